//! A packed table in a safetensors file: its rows, the codebooks that they share, and string metadata that
//! says everything needed to read them (`docs/formats.md`).

use std::io::Write;
use std::path::Path;

use super::file_error;
use super::replace::replace;
use super::safetensors_file::SafetensorsFile;
use super::table_header::TableHeader;
use super::tensors::read_words;
use crate::{Blocks, Format, PackedTable, Result};

/// A table and what its file says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableFile {
    /// The table.
    pub table: PackedTable,
    /// How it was made: a quantizer's name, `import`, or whatever the writer says.
    pub method: String,
}

impl TableFile {
    /// Reads a table file.
    ///
    /// # Errors
    /// [`crate::Error::File`] where it cannot be read, is no table file, or where metadata, tensors and
    /// block ids disagree.
    pub fn load(path: &Path) -> Result<Self> {
        let mut file = SafetensorsFile::open(path)?;
        let header = TableHeader::read(path, &file)?;
        let (format, dim) = (header.metadata.format, header.metadata.dim as usize);
        let words = read_words(&mut file, "rows")?;
        let table = match format {
            Format::Affine { .. }
            | Format::Symmetric { .. }
            | Format::Codebook { .. }
            | Format::Float(_) => PackedTable::from_words(format, dim, words),
            Format::Blocks { bits } => {
                let codebooks = read_words(&mut file, "codebooks")?;
                let ids = read_words(&mut file, "block_ids")?;
                Blocks::from_words(bits, codebooks, header.rows, &ids)
                    .and_then(|blocks| PackedTable::from_blocks(dim, words, blocks))
            }
        };
        Ok(Self {
            table: table.map_err(|error| file_error(path, error))?,
            method: header.metadata.method,
        })
    }

    /// Writes a table file, whole or not at all. The same table gives the same bytes.
    ///
    /// # Errors
    /// [`crate::Error::File`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let header = TableHeader::of(&self.table, &self.method);
        replace(path, |file| {
            header.write(file)?;
            file.write_all(self.table.bytes())?;
            // Codebooks, then block ids, as the header has them.
            let shared = self.table.blocks().map_or(&[][..], Blocks::words);
            file.write_all(bytemuck::cast_slice(shared))
        })
    }
}
