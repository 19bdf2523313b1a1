//! The header of a table file: how it is written, and what it must say to be read.

use std::io::{self, Write};
use std::path::Path;

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::file_error;
use super::safetensors_file::SafetensorsFile;
use super::table_metadata::TableMetadata;
use crate::format::{check_rows, id_bits, id_words};
use crate::{PackedTable, Result};

/// What a table file says before its data.
pub(super) struct TableHeader {
    pub(super) metadata: TableMetadata,
    pub(super) rows: u32,
}

/// A tensor of a table file.
struct Tensor {
    name: &'static str,
    dtype: Dtype,
    shape: Vec<u64>,
}

impl Tensor {
    fn bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.bitsize() as u64 / 8
    }
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
        let mut entries = Map::new();
        entries.insert("__metadata__".into(), self.metadata.to_json());
        let mut end = 0;
        for tensor in self.tensors() {
            let start = end;
            end += tensor.bytes();
            let entry = json!({
                "dtype": tensor.dtype,
                "shape": tensor.shape,
                "data_offsets": [start, end],
            });
            entries.insert(tensor.name.into(), entry);
        }
        let mut text = Value::from(entries).to_string();
        // Spaces align the data to 8 bytes, as the format asks.
        let padding = text.len().next_multiple_of(8) - text.len();
        text.extend(std::iter::repeat_n(' ', padding));
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        out.write_all(text.as_bytes())
    }

    /// Reads the header of an open file and checks that the tensors are those that its metadata describes.
    pub(super) fn read(path: &Path, file: &SafetensorsFile<'_>) -> Result<Self> {
        let entries = file.metadata.metadata().clone().unwrap_or_default();
        let metadata = TableMetadata::read(path, entries)?;
        let (format, dim) = (metadata.format, metadata.dim);
        let row_bytes = format.row_bytes(dim) as usize;
        let info = file.tensor(Some("rows"))?;
        let rows = match (info.dtype, &info.shape[..]) {
            (Dtype::U8, &[rows, found]) if found == row_bytes => rows,
            (dtype, shape) => {
                let problem = format!(
                    "its metadata ({format}, dim {dim}) needs U8 rows of {row_bytes} bytes, the tensor is {dtype:?} {shape:?}"
                );
                return Err(file_error(path, problem));
            }
        };
        let rows = check_rows(rows).map_err(|error| file_error(path, error))?;
        let header = Self { metadata, rows };
        header.check_tensors(path, file)?;
        Ok(header)
    }

    fn check_tensors(&self, path: &Path, file: &SafetensorsFile<'_>) -> Result<()> {
        for Tensor { name, dtype, shape } in self.tensors() {
            let found = file.tensor(Some(name))?;
            let found_shape = found.shape.iter().map(|&length| length as u64);
            if found.dtype != dtype || !found_shape.eq(shape.iter().copied()) {
                let problem = format!(
                    "its metadata and {} rows need {name} {dtype:?} {shape:?}, the tensor is {:?} {:?}",
                    self.rows, found.dtype, found.shape
                );
                return Err(file_error(path, problem));
            }
        }
        Ok(())
    }

    /// The tensors in the order of their data. Rows are whole words: the centroids after them are aligned.
    fn tensors(&self) -> Vec<Tensor> {
        let TableMetadata { format, dim, .. } = self.metadata;
        let rows = Tensor {
            name: "rows",
            dtype: Dtype::U8,
            shape: vec![self.rows.into(), format.row_bytes(dim).into()],
        };
        let Some(blocks) = self.metadata.blocks else {
            return vec![rows];
        };
        let centroids = format.bits().max_code() + 1;
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
