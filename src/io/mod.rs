//! Files: tables (safetensors), arrays (npy). Feature `io`.
//!
//! Every error is [`crate::Error::File`] and names the file.
//! A file is written under a temporary name beside its target and renamed when it is whole and on disk;
//! what was there before is replaced, and keeps its permissions. A symbolic link is followed.

pub mod npy;
mod replace;
mod safetensors_file;
mod table_file;

use std::path::Path;

pub use replace::{abandon, check_writable, replace};
pub use table_file::TableFile;

use crate::format::check_dim;
use crate::table::check_rows;
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

/// Reads a two-dimensional tensor, widened to f32.
///
/// `.safetensors` holds F32, F16 or BF16; `tensor` names one where there are several.
/// `.npy` holds f4 or f2 in either order of axes.
///
/// # Errors
/// [`Error::File`].
pub fn read_matrix(path: &Path, tensor: Option<&str>) -> Result<Matrix> {
    let (shape, values) = match extension(path) {
        "safetensors" => safetensors_file::read_floats(path, tensor)?,
        "npy" if tensor.is_some() => {
            return Err(file_error(path, "holds one array; leave --tensor out"));
        }
        "npy" => {
            let array = npy::read_floats(path)?;
            (array.shape, array.values)
        }
        _ => return Err(file_error(path, "is neither .safetensors nor .npy")),
    };
    let [rows, dim] = shape[..] else {
        let problem = format!(
            "needs two dimensions (rows, dim), has {}: {shape:?}",
            shape.len()
        );
        return Err(file_error(path, problem));
    };
    if values.is_empty() {
        return Err(file_error(
            path,
            format!("is empty: its shape is {shape:?}"),
        ));
    }
    check_dim(dim).map_err(|error| file_error(path, error))?;
    check_rows(rows).map_err(|error| file_error(path, error))?;
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
