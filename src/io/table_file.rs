//! A packed table in a safetensors file: a U8 tensor `rows` `[rows, row_bytes]` and string metadata
//! that says everything needed to read it (`docs/formats.md`).

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::Dtype;

use super::file_error;
use super::replace::replace;
use super::safetensors_file::SafetensorsFile;
use crate::format::check_dim;
use crate::{Bits, Format, PackedTable, Params, Result};

/// Version of the metadata.
const VERSION: &str = "1";

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
    /// [`crate::Error::File`] where it cannot be read, is no table file, or where metadata and size
    /// disagree.
    pub fn load(path: &Path) -> Result<Self> {
        let mut file = SafetensorsFile::open(path)?;
        let metadata = file.metadata.metadata().clone().unwrap_or_default();
        let (format, dim) = described(path, &metadata)?;
        let info = file.tensor(Some("rows"))?;
        let row_bytes = format.row_bytes(dim) as usize;
        let rows = match (info.dtype, &info.shape[..]) {
            (Dtype::U8, &[rows, found]) if found == row_bytes => rows,
            (dtype, shape) => {
                let problem = format!(
                    "its metadata ({format}, dim {dim}) needs U8 rows of {row_bytes} bytes, the tensor is {dtype:?} {shape:?}"
                );
                return Err(file_error(path, problem));
            }
        };
        let mut words = vec![0u32; rows * row_bytes / 4];
        file.read(&info, bytemuck::cast_slice_mut(&mut words))?;
        let table = PackedTable::from_words(format, dim as usize, words)
            .map_err(|error| file_error(path, error))?;
        let method = metadata.get("method").cloned().unwrap_or_default();
        Ok(Self { table, method })
    }

    /// Writes a table file, whole or not at all. The same table gives the same bytes.
    ///
    /// # Errors
    /// [`crate::Error::File`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let table = &self.table;
        let format = table.format();
        let row_bytes = format.row_bytes(table.dim());
        let data = table.bytes();
        let mut header = serde_json::json!({
            "__metadata__": {
                "format": "qembed",
                "version": VERSION,
                "kind": "affine",
                "bits": format.bits().count().to_string(),
                "params": format.params().name(),
                "dim": table.dim().to_string(),
                "method": self.method,
            },
            "rows": {
                "dtype": "U8",
                "shape": [table.rows(), row_bytes],
                "data_offsets": [0, data.len()],
            },
        })
        .to_string();
        // Spaces align the data to 8 bytes, as the format asks.
        header.extend(std::iter::repeat_n(
            ' ',
            header.len().next_multiple_of(8) - header.len(),
        ));
        replace(path, |file| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(header.as_bytes())?;
            file.write_all(data)
        })
    }
}

/// Format and dim that the metadata describes.
fn described(path: &Path, metadata: &HashMap<String, String>) -> Result<(Format, u32)> {
    let get = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
    if get("format") != "qembed" {
        let problem = "is no table file: quantize makes one";
        return Err(file_error(path, problem));
    }
    if (get("version"), get("kind")) != (VERSION, "affine") {
        let problem = format!(
            "has version {:?} and kind {:?}; this qembed reads version {VERSION:?}, kind \"affine\"",
            get("version"),
            get("kind")
        );
        return Err(file_error(path, problem));
    }
    let number = |key: &str| {
        let text = get(key);
        text.parse::<u32>().map_err(|_| {
            file_error(
                path,
                format!("its metadata {key:?} is {text:?}, not a number"),
            )
        })
    };
    let bits = Bits::try_from(number("bits")?).map_err(|error| file_error(path, error))?;
    let params = Params::ALL
        .into_iter()
        .find(|params| params.name() == get("params"))
        .ok_or_else(|| {
            let problem = format!(
                "its metadata \"params\" is {:?}, not f16 or f32",
                get("params")
            );
            file_error(path, problem)
        })?;
    let dim = check_dim(number("dim")? as usize).map_err(|error| file_error(path, error))?;
    Ok((Format::Affine { bits, params }, dim))
}
