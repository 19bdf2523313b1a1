//! The header of a safetensors file that this library writes: how it is written, and that the tensors in it are
//! those that its metadata describes.

use std::io::{self, Write};
use std::path::Path;

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::file_error;
use super::safetensors_file::SafetensorsFile;
use crate::format::check_rows;
use crate::{Format, Result};

/// A tensor of a file.
pub(super) struct Tensor {
    pub(super) name: &'static str,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<u64>,
}

impl Tensor {
    fn bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.bitsize() as u64 / 8
    }
}

/// Writes everything that stands before the data of these tensors, which follow each other without gaps. The
/// same arguments give the same bytes.
pub(super) fn write_header(
    out: &mut impl Write,
    metadata: Value,
    tensors: &[Tensor],
) -> io::Result<()> {
    let mut entries = Map::new();
    entries.insert("__metadata__".into(), metadata);
    let mut end = 0;
    for tensor in tensors {
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

/// # Errors
/// [`crate::Error::File`] where a tensor is missing or has another type or shape than its `rows` rows need.
pub(super) fn check_tensors(
    path: &Path,
    file: &SafetensorsFile<'_>,
    rows: u32,
    tensors: &[Tensor],
) -> Result<()> {
    for Tensor { name, dtype, shape } in tensors {
        let found = file.tensor(Some(name))?;
        let found_shape = found.shape.iter().map(|&length| length as u64);
        if found.dtype != *dtype || !found_shape.eq(shape.iter().copied()) {
            let problem = format!(
                "its metadata and {rows} rows need {name} {dtype:?} {shape:?}, the tensor is {:?} {:?}",
                found.dtype, found.shape
            );
            return Err(file_error(path, problem));
        }
    }
    Ok(())
}

/// The number of rows of the tensor `rows`, which has rows of this format and dim.
///
/// # Errors
/// [`crate::Error::File`] where it has another type or length of rows, or more rows than an index reaches.
pub(super) fn read_rows(
    path: &Path,
    file: &SafetensorsFile<'_>,
    (format, dim): (Format, u32),
) -> Result<u32> {
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
    check_rows(rows).map_err(|error| file_error(path, error))
}

/// A tensor of whole words.
pub(super) fn read_words(file: &mut SafetensorsFile<'_>, name: &str) -> Result<Vec<u32>> {
    let info = file.tensor(Some(name))?;
    let (start, end) = info.data_offsets;
    let mut words = vec![0; (end - start) / 4];
    file.read(&info, bytemuck::cast_slice_mut(&mut words))?;
    Ok(words)
}
