//! A table file written in parts.

use std::io::{self, Write};
use std::path::Path;

use super::replace::{CANNOT, replace};
use super::table_file::TableFile;
use super::table_header::TableHeader;
use super::table_metadata::TableMetadata;
use super::{file_error, os_error};
use crate::format::{check_dim, check_rows};
use crate::{Error, Format, PackedTable, Result};

/// What a table that is written in parts will be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableShape<'a> {
    /// Format of every row; not [`Format::Blocks`].
    pub format: Format,
    /// Number of rows of all parts together.
    pub rows: usize,
    /// Number of columns, 1 to 8192.
    pub dim: usize,
    /// How it is made: a quantizer's name, `import`, or whatever the writer says.
    pub method: &'a str,
}

impl TableShape<'_> {
    fn header(&self) -> Result<TableHeader> {
        if let Format::Blocks { .. } = self.format {
            return Err(Error::Unsupported {
                what: "a table of shared codebooks in parts".into(),
                instead: "write it whole with TableFile::save",
            });
        }
        self.format.check()?;
        Ok(TableHeader {
            metadata: TableMetadata {
                format: self.format,
                dim: check_dim(self.dim)?,
                blocks: None,
                method: self.method.into(),
            },
            rows: check_rows(self.rows)?,
        })
    }
}

/// A table file that is being written; [`TableFile::save_in_parts`] gives one.
pub struct TableWriter<'a> {
    path: &'a Path,
    out: &'a mut dyn Write,
    header: &'a TableHeader,
    rows_left: u32,
    /// Whether a part was written in part.
    broken: bool,
}

impl TableWriter<'_> {
    /// Appends the rows of a part.
    ///
    /// # Errors
    /// [`Error::Shape`] where the part has another format or dim than the file, or more rows than are left;
    /// [`Error::File`] where it cannot be written.
    pub fn append(&mut self, part: &PackedTable) -> Result<()> {
        self.check_unbroken()?;
        let TableMetadata { format, dim, .. } = self.header.metadata;
        if (part.format(), part.dim()) != (format, dim) {
            return Err(Error::Shape {
                argument: "part",
                needed: format!("{format} rows of dim {dim}"),
                got: format!("{} rows of dim {}", part.format(), part.dim()),
            });
        }
        let Some(rows_left) = self.rows_left.checked_sub(part.rows()) else {
            return Err(Error::Shape {
                argument: "part",
                needed: format!(
                    "at most {} rows, the rest of {}",
                    self.rows_left, self.header.rows
                ),
                got: part.rows().to_string(),
            });
        };
        // Where this write fails, part of it may be there: nothing that follows makes the file whole.
        self.broken = true;
        self.out
            .write_all(part.bytes())
            .map_err(|error| os_error(self.path, CANNOT, &error))?;
        self.broken = false;
        self.rows_left = rows_left;
        Ok(())
    }

    fn check_unbroken(&self) -> Result<()> {
        match self.broken {
            true => Err(file_error(
                self.path,
                "is incomplete: writing a part failed",
            )),
            false => Ok(()),
        }
    }

    fn finish(&self) -> Result<()> {
        self.check_unbroken()?;
        match self.rows_left {
            0 => Ok(()),
            left => Err(Error::Shape {
                argument: "parts",
                needed: format!("{} rows", self.header.rows),
                got: (self.header.rows - left).to_string(),
            }),
        }
    }
}

impl TableFile {
    /// Writes a table file part by part, whole or not at all: `write` appends parts until all rows of `shape`
    /// are there. The file has the same bytes as that of the whole table.
    ///
    /// Holds a buffer of 1 MiB and none of the parts.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::Unsupported`] where there is no such table, or none that can be written
    /// in parts, before `write` is called; what `write` says; [`Error::Shape`] where it left rows out;
    /// [`Error::File`]. A file that was there is as it was then.
    ///
    /// # Examples
    /// ```no_run
    /// use qembed::io::{MatrixFile, TableFile, TableShape};
    /// use qembed::{Bits, Format, Method, PackedTable};
    ///
    /// let mut matrix = MatrixFile::open("model.safetensors".as_ref(), Some("embeddings"))?;
    /// let (rows, dim) = (matrix.rows(), matrix.dim());
    /// let format = Format::affine(Bits::B4);
    /// let shape = TableShape { format, rows, dim, method: Method::Asym.name() };
    /// TableFile::save_in_parts("table.safetensors".as_ref(), &shape, |file| {
    ///     for start in (0..rows).step_by(4096) {
    ///         let values = matrix.read_rows(start..rows.min(start + 4096))?;
    ///         file.append(&PackedTable::quantize(&values, dim, format, Method::Asym)?)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok::<(), qembed::Error>(())
    /// ```
    pub fn save_in_parts(
        path: &Path,
        shape: &TableShape<'_>,
        write: impl FnOnce(&mut TableWriter<'_>) -> Result<()>,
    ) -> Result<()> {
        let header = shape.header()?;
        replace(path, |file| {
            header.write(file)?;
            let mut writer = TableWriter {
                path,
                out: file,
                header: &header,
                rows_left: header.rows,
                broken: false,
            };
            write(&mut writer)
                .and_then(|()| writer.finish())
                .map_err(io::Error::other)
        })
    }
}
