//! A packed table on the host.

use crate::format::{Bits, Blocks, Format, Layout, Levels, Narrow, Row, check_dim, check_rows};
use crate::{Error, Result};

/// `rows` x `dim` values in one [`Format`], on the host.
///
/// Rows lie one after the other, [`Format::row_words`] words each.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedTable {
    format: Format,
    rows: u32,
    dim: u32,
    words: Vec<u32>,
    /// Of [`Format::Blocks`] alone.
    blocks: Option<Blocks>,
}

impl PackedTable {
    /// Wraps words that are already packed; their number gives the rows.
    ///
    /// # Errors
    /// [`Error::Shape`] where `dim` is not 1 to 8192, where `words` is not a whole number of rows,
    /// and where there are more rows than a u32 index reaches; [`Error::Unsupported`] for
    /// [`Format::Blocks`], which [`PackedTable::from_blocks`] makes, for codebooks of 8 bits and symmetric rows
    /// of 3.
    pub fn from_words(format: Format, dim: usize, words: Vec<u32>) -> Result<Self> {
        if let Format::Blocks { .. } = format {
            return Err(Error::Unsupported {
                what: "a table of shared codebooks without them".into(),
                instead: "make it with PackedTable::from_blocks",
            });
        }
        Self::new(format, dim, words, None)
    }

    /// Wraps the codes of rows that share codebooks.
    ///
    /// # Errors
    /// [`Error::Shape`] as [`PackedTable::from_words`], and where `blocks` is for another number of rows.
    pub fn from_blocks(dim: usize, words: Vec<u32>, blocks: Blocks) -> Result<Self> {
        let bits = blocks.bits();
        let expected = blocks.rows();
        let table = Self::new(Format::Blocks { bits }, dim, words, Some(blocks))?;
        if table.rows != expected {
            return Err(Error::Shape {
                argument: "blocks",
                needed: format!("block ids for {} rows", table.rows),
                got: expected.to_string(),
            });
        }
        Ok(table)
    }

    fn new(format: Format, dim: usize, words: Vec<u32>, blocks: Option<Blocks>) -> Result<Self> {
        format.check()?;
        let dim = check_dim(dim)?;
        let row_words = format.row_words(dim) as usize;
        if !words.len().is_multiple_of(row_words) {
            return Err(Error::Shape {
                argument: "words",
                needed: format!("a multiple of {row_words} words (one {format} row of dim {dim})"),
                got: words.len().to_string(),
            });
        }
        let rows = check_rows(words.len() / row_words)?;
        Ok(Self {
            format,
            rows,
            dim,
            words,
            blocks,
        })
    }

    /// Reads rows of another library's layout, without loss.
    ///
    /// The table gets the format [`Layout::native`]; padding bits are dropped.
    ///
    /// # Errors
    /// [`Error::Shape`] where `bytes` is not a whole number of rows, or `dim` or the number of rows
    /// is out of range; [`Error::Unsupported`] for 3 bits, which other libraries do not have.
    pub fn import(layout: Layout, bits: Bits, dim: usize, bytes: &[u8]) -> Result<Self> {
        layout.check_bits(bits)?;
        let columns = check_dim(dim)?;
        let format = layout.native(bits);
        let row_bytes = layout.row_bytes(bits, columns) as usize;
        if !bytes.len().is_multiple_of(row_bytes) {
            return Err(Error::Shape {
                argument: "bytes",
                needed: format!(
                    "a multiple of {row_bytes} bytes (one {layout:?} row of dim {dim})"
                ),
                got: bytes.len().to_string(),
            });
        }
        let row_words = format.row_words(columns) as usize;
        let mut words = vec![0; bytes.len() / row_bytes * row_words];
        let rows = bytes.chunks_exact(row_bytes);
        for (bytes, words) in rows.zip(words.chunks_exact_mut(row_words)) {
            layout.import_row(bytes, bits, columns, words);
        }
        Self::from_words(format, dim, words)
    }

    /// Writes the rows in another library's layout, [`Layout::row_bytes`] bytes each.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for 3 bits, signed codes, codebooks and floats, which other libraries' rows do not have,
    /// [`Error::NarrowingRefused`] where an f32 header would have to become f16 and `narrow` refuses,
    /// [`Error::Narrow`] where it does not fit.
    pub fn export(&self, layout: Layout, narrow: Narrow) -> Result<Vec<u8>> {
        let (bits, params) = layout.check_export(self.format, narrow)?;
        let row_bytes = layout.row_bytes(bits, self.dim) as usize;
        let mut bytes = vec![0; self.rows as usize * row_bytes];
        for (row, out) in bytes.chunks_exact_mut(row_bytes).enumerate() {
            layout
                .export_row(self.row_words(row), (bits, params, self.dim), out)
                .map_err(|(name, value)| Error::Narrow { row, name, value })?;
        }
        Ok(bytes)
    }

    /// Format of every row.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Number of rows.
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// Number of columns.
    pub const fn dim(&self) -> u32 {
        self.dim
    }

    /// All rows, packed.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// All rows as bytes, `rows * row_bytes`, little-endian.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    /// The words of one row.
    ///
    /// # Panics
    /// Where the table has no such row.
    pub fn row_words(&self, row: usize) -> &[u32] {
        let row_words = self.format.row_words(self.dim) as usize;
        &self.words[row * row_words..][..row_words]
    }

    /// Writes rows over those from `first_row` on; the others keep every bit.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` have another format or dim than the table, or do not all lie in it;
    /// [`Error::Unsupported`] for [`Format::Blocks`], whose codebooks belong to the whole table.
    ///
    /// # Cost
    /// Copies the rows; allocates nothing.
    ///
    /// # Examples
    /// ```
    /// use qembed::{Bits, Format, Method, PackedTable};
    ///
    /// let quantize = |values: &[f32]| PackedTable::quantize(values, 2, Format::affine(Bits::B8), Method::Asym);
    /// let mut table = quantize(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
    /// table.write_rows(1, &quantize(&[-1.0, 7.0])?)?;
    /// assert_eq!(table.dequantize(), [0.0, 1.0, -1.0, 7.0, 4.0, 5.0]);
    /// # Ok::<(), qembed::Error>(())
    /// ```
    pub fn write_rows(&mut self, first_row: u32, rows: &PackedTable) -> Result<()> {
        check_written((self.format, self.rows, self.dim), first_row, rows)?;
        let start = first_row as usize * self.format.row_words(self.dim) as usize;
        self.words[start..][..rows.words.len()].copy_from_slice(&rows.words);
        Ok(())
    }

    /// All rows, to be written.
    pub(crate) fn words_mut(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// The words of one row, to be written.
    pub(crate) fn row_words_mut(&mut self, row: usize) -> &mut [u32] {
        let row_words = self.format.row_words(self.dim) as usize;
        &mut self.words[row * row_words..][..row_words]
    }

    /// One row, to be read code by code.
    ///
    /// # Panics
    /// Where the table has no such row.
    pub fn row(&self, row: usize) -> Row<'_> {
        let words = self.row_words(row);
        match &self.blocks {
            None => Row::new(words, self.format),
            Some(blocks) => {
                let codebook = blocks.codebook(blocks.id(row as u32));
                Row::with_levels(words, self.format, Levels::Codebook(codebook))
            }
        }
    }

    /// Codebooks and block ids of a table of [`Format::Blocks`].
    pub fn blocks(&self) -> Option<&Blocks> {
        self.blocks.as_ref()
    }

    /// Bytes of rows, codebooks and block ids together.
    pub fn total_bytes(&self) -> u64 {
        let shared = self
            .blocks
            .as_ref()
            .map_or(0, |blocks| blocks.words().len());
        4 * (self.words.len() + shared) as u64
    }
}

/// Refuses rows that cannot be written to a table of this format, so many rows and this dim.
///
/// # Errors
/// [`Error::Shape`], [`Error::Unsupported`].
pub(crate) fn check_written(
    (format, rows, dim): (Format, u32, u32),
    first_row: u32,
    written: &PackedTable,
) -> Result<()> {
    if (written.format, written.dim) != (format, dim) {
        return Err(Error::Shape {
            argument: "rows",
            needed: format!("{format} rows of dim {dim}, as the table has"),
            got: format!("{} rows of dim {}", written.format, written.dim),
        });
    }
    if let Format::Blocks { .. } = format {
        return Err(Error::Unsupported {
            what: "writing rows that share codebooks".into(),
            instead: "make the table anew: codebooks and block ids belong to the whole of it",
        });
    }
    match first_row.checked_add(written.rows) {
        Some(end) if end <= rows => Ok(()),
        _ => Err(Error::Shape {
            argument: "rows",
            needed: format!("rows within 0..{rows}"),
            got: format!("{} from row {first_row} on", written.rows),
        }),
    }
}

/// The number of rows of `dim` values that a slice holds.
pub(crate) fn rows_of(values: &[f32], dim: usize) -> Result<u32> {
    check_dim(dim)?;
    if !values.len().is_multiple_of(dim) {
        return Err(Error::Shape {
            argument: "values",
            needed: format!("a multiple of dim ({dim})"),
            got: values.len().to_string(),
        });
    }
    check_rows(values.len() / dim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_whole_row_are_refused() {
        let error = PackedTable::from_words(Format::affine(Bits::B4), 8, vec![0; 3]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "words: needed a multiple of 2 words (one q4h16 row of dim 8), got 3"
        );
    }

    #[test]
    fn a_table_may_have_no_rows() {
        let table = PackedTable::from_words(Format::affine(Bits::B2), 5, vec![]).unwrap();
        assert_eq!((table.rows(), table.dim()), (0, 5));
    }
}
