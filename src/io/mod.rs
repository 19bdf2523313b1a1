//! Files: tables and runs of training (safetensors), arrays (npy). Feature `io`.
//!
//! Errors are [`crate::Error::File`] and name the file, but where an argument is at fault.
//! A file is written under a temporary name beside its target and renamed when it is whole and on disk;
//! what was there before is replaced, and keeps its permissions. A symbolic link is followed.

mod checkpoint_file;
mod checkpoint_metadata;
mod entries;
mod floats;
mod matrix_file;
pub mod npy;
mod replace;
mod row_kind;
mod safetensors_file;
mod table_file;
mod table_header;
mod table_metadata;
mod table_writer;
mod tensors;

use std::io::ErrorKind;
use std::path::Path;

pub use checkpoint_file::CheckpointFile;
pub use matrix_file::MatrixFile;
pub use replace::{abandon, check_writable, replace};
pub use table_file::TableFile;
pub use table_writer::{TableShape, TableWriter};

use crate::{Error, Result};

/// f32 rows out of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub dim: usize,
    /// `[rows, dim]`, row-major.
    pub values: Vec<f32>,
}

/// Reads a two-dimensional tensor whole, widened to f32: 4 bytes of memory a value. [`MatrixFile`] reads
/// parts of it.
///
/// # Errors
/// [`Error::File`], as [`MatrixFile::open`] and [`MatrixFile::read_rows`] give it.
pub fn read_matrix(path: &Path, tensor: Option<&str>) -> Result<Matrix> {
    let mut file = MatrixFile::open(path, tensor)?;
    let (rows, dim) = (file.rows(), file.dim());
    let values = file.read_rows(0..rows)?;
    Ok(Matrix { rows, dim, values })
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}

fn file_error(path: &Path, problem: impl std::fmt::Display) -> Error {
    // A damaged file's own text may stand in the problem, and be of any length.
    const LONGEST: usize = 300;
    let mut problem = problem.to_string();
    if let Some((end, _)) = problem.char_indices().nth(LONGEST) {
        problem.truncate(end);
        problem.push_str("...");
    }
    Error::File {
        path: path.to_owned(),
        problem,
    }
}

/// An error of the operating system, without its number.
fn os_error(path: &Path, what: &str, error: &std::io::Error) -> Error {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    file_error(path, format!("{what}: {text}"))
}

/// An error while data is read, of which there was enough when the file was opened.
fn read_error(path: &Path, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => file_error(path, "became shorter while it was read; try again"),
        _ => os_error(path, "cannot be read", error),
    }
}
