//! The header of a table file: how it is written, and what it must say to be read.

use std::io::{self, Write};
use std::path::Path;

use safetensors::Dtype;

use super::safetensors_file::SafetensorsFile;
use super::table_metadata::TableMetadata;
use super::tensors::{Tensor, check_tensors, read_rows, write_header};
use crate::format::{id_bits, id_words};
use crate::{Format, PackedTable, Result};

/// What a table file says before its data.
pub(super) struct TableHeader {
    pub(super) metadata: TableMetadata,
    pub(super) rows: u32,
}

impl TableHeader {
    /// Of a whole table.
    pub(super) fn of(table: &PackedTable, method: &str) -> Self {
        Self {
            metadata: TableMetadata {
                format: table.format(),
                dim: table.dim(),
                blocks: table.blocks().map(|blocks| blocks.count()),
                method: method.into(),
            },
            rows: table.rows(),
        }
    }

    /// Writes everything that stands before the data. The same header gives the same bytes.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_header(out, self.metadata.to_json(), &self.tensors())
    }

    /// Reads the header of an open file and checks that the tensors are those that its metadata describes.
    pub(super) fn read(path: &Path, file: &SafetensorsFile<'_>) -> Result<Self> {
        let entries = file.metadata.metadata().clone().unwrap_or_default();
        let metadata = TableMetadata::read(path, entries)?;
        let rows = read_rows(path, file, (metadata.format, metadata.dim))?;
        let header = Self { metadata, rows };
        check_tensors(path, file, rows, &header.tensors())?;
        Ok(header)
    }

    /// The tensors in the order of their data. Rows are whole words: the centroids after them are aligned.
    fn tensors(&self) -> Vec<Tensor> {
        let TableMetadata { format, dim, .. } = self.metadata;
        let rows = Tensor {
            name: "rows",
            dtype: Dtype::U8,
            shape: vec![self.rows.into(), format.row_bytes(dim).into()],
        };
        let (Some(blocks), Format::Blocks { bits }) = (self.metadata.blocks, format) else {
            return vec![rows];
        };
        let centroids = bits.max_code() + 1;
        let codebooks = Tensor {
            name: "codebooks",
            dtype: Dtype::F16,
            shape: vec![blocks.into(), centroids.into()],
        };
        let block_ids = Tensor {
            name: "block_ids",
            dtype: Dtype::U8,
            shape: vec![4 * id_words(self.rows, id_bits(blocks)) as u64],
        };
        vec![rows, codebooks, block_ids]
    }
}
