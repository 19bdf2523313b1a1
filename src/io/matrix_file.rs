//! A two-dimensional tensor on disk, read in parts.

use std::ops::Range;
use std::path::Path;

use npyz::Order;

use super::floats::{Floats, zeros};
use super::{extension, file_error, npy, safetensors_file};
use crate::format::{check_dim, check_rows};
use crate::{Error, Result};

/// A two-dimensional tensor on disk, of which any rows can be read alone.
///
/// `.safetensors` holds F32, F16 or BF16; `.npy` holds f4 or f2, of either byte order, in either order of
/// axes.
#[derive(Debug)]
pub struct MatrixFile {
    floats: Floats,
    rows: usize,
    dim: usize,
}

impl MatrixFile {
    /// Opens a tensor and checks everything that can be checked without its values; `tensor` names one
    /// where a `.safetensors` file holds several.
    ///
    /// Reads the file's header alone.
    ///
    /// # Errors
    /// [`Error::File`] where the file cannot be read, is damaged or truncated, or holds something else than
    /// floats in two dimensions, of 1 to 8192 columns and at least one row.
    pub fn open(path: &Path, tensor: Option<&str>) -> Result<Self> {
        let floats = match extension(path) {
            "safetensors" => safetensors_file::open_floats(path, tensor)?,
            "npy" if tensor.is_some() => {
                return Err(file_error(path, "holds one array; leave --tensor out"));
            }
            "npy" => npy::open_floats(path)?,
            _ => return Err(file_error(path, "is neither .safetensors nor .npy")),
        };
        let shape = &floats.shape;
        let [rows, dim] = shape[..] else {
            let problem = format!(
                "needs two dimensions (rows, dim), has {}: {shape:?}",
                shape.len()
            );
            return Err(file_error(path, problem));
        };
        if rows == 0 || dim == 0 {
            let problem = format!("is empty: its shape is {shape:?}");
            return Err(file_error(path, problem));
        }
        check_dim(dim).map_err(|error| file_error(path, error))?;
        check_rows(rows).map_err(|error| file_error(path, error))?;
        Ok(Self { floats, rows, dim })
    }

    /// Number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns, 1 to 8192.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Reads some of the rows: `[rows.len(), dim]`, row-major, widened to f32.
    ///
    /// Takes 4 bytes of memory a value, and a buffer of at most 128 KiB. From a file in Fortran order it
    /// reads a piece of every column, so that few rows cost about as many seeks as many.
    ///
    /// # Errors
    /// [`Error::Shape`] where the file has no such rows; [`Error::File`] where they cannot be read, where
    /// the file became shorter after it was opened, and where memory does not take them.
    pub fn read_rows(&mut self, rows: Range<usize>) -> Result<Vec<f32>> {
        if rows.start > rows.end || rows.end > self.rows {
            return Err(Error::Shape {
                argument: "rows",
                needed: format!("a range within 0..{}", self.rows),
                got: format!("{rows:?}"),
            });
        }
        match self.floats.order {
            Order::C => {
                let first = rows.start as u64 * self.dim as u64;
                self.floats.read(first, rows.len().saturating_mul(self.dim))
            }
            Order::Fortran => self.read_columns(rows),
        }
    }

    /// [`MatrixFile::read_rows`] where columns lie one after the other.
    fn read_columns(&mut self, rows: Range<usize>) -> Result<Vec<f32>> {
        let dim = self.dim;
        let mut values = zeros(&self.floats.path, rows.len().saturating_mul(dim))?;
        for column in 0..dim {
            let first = column as u64 * self.rows as u64 + rows.start as u64;
            self.floats.read_each(first, rows.len(), |row, value| {
                values[row * dim + column] = value;
            })?;
        }
        Ok(values)
    }
}
