//! The header of a safetensors file, and one tensor out of it; the rest stays on disk.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use npyz::Order;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::floats::{Encoding, Floats};
use super::{file_error, os_error, read_error};
use crate::Result;

/// The longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// An open file whose header is read and agrees with its length.
pub(super) struct SafetensorsFile<'a> {
    path: &'a Path,
    file: File,
    data_start: u64,
    pub(super) metadata: Metadata,
}

impl<'a> SafetensorsFile<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        let unreadable = |error| os_error(path, "cannot be read", &error);
        let mut file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let mut length = [0; 8];
        if bytes < 8 {
            return Err(file_error(
                path,
                "is no safetensors file: it ends before its header",
            ));
        }
        file.read_exact(&mut length).map_err(unreadable)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES || 8 + length > bytes {
            let problem = format!(
                "is truncated or no safetensors file: its header claims {length} bytes, the file has {bytes}"
            );
            return Err(file_error(path, problem));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(unreadable)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| file_error(path, format!("is no safetensors file: {error}")))?;
        let promised = metadata.data_len() as u64;
        if promised != bytes - 8 - length {
            let problem = format!(
                "is truncated or damaged: its header promises {promised} bytes of data, it has {}",
                bytes - 8 - length
            );
            return Err(file_error(path, problem));
        }
        Ok(Self {
            path,
            file,
            data_start: 8 + length,
            metadata,
        })
    }

    /// The tensor of this name, or the only one.
    pub(super) fn tensor(&self, name: Option<&str>) -> Result<TensorInfo> {
        let mut names = self.metadata.offset_keys();
        let name = match (name, &names[..]) {
            (Some(name), _) => name.to_string(),
            (None, [only]) => only.clone(),
            (None, []) => return Err(file_error(self.path, "holds no tensors")),
            (None, _) => {
                names.sort();
                let problem = format!(
                    "holds several tensors; choose with --tensor: {}",
                    listed(&names)
                );
                return Err(file_error(self.path, problem));
            }
        };
        self.metadata.info(&name).cloned().ok_or_else(|| {
            names.sort();
            file_error(
                self.path,
                format!("has no tensor {name}; it has {}", listed(&names)),
            )
        })
    }

    /// Fills `bytes` with those of one tensor, of which there are as many.
    pub(super) fn read(&mut self, tensor: &TensorInfo, bytes: &mut [u8]) -> Result<()> {
        let (start, _) = tensor.data_offsets;
        self.file
            .seek(SeekFrom::Start(self.data_start + start as u64))
            .and_then(|_| self.file.read_exact(bytes))
            .map_err(|error| read_error(self.path, &error))
    }
}

/// A tensor of floats; its values stay on disk.
pub(super) fn open_floats(path: &Path, tensor: Option<&str>) -> Result<Floats> {
    let file = SafetensorsFile::open(path)?;
    let tensor = file.tensor(tensor)?;
    let encoding = match tensor.dtype {
        Dtype::F32 => Encoding::F32,
        Dtype::F16 => Encoding::F16,
        Dtype::BF16 => Encoding::Bf16,
        other => {
            let problem = format!("holds {other:?}; needed F32, F16 or BF16");
            return Err(file_error(path, problem));
        }
    };
    let (start, _) = tensor.data_offsets;
    Ok(Floats {
        path: path.to_owned(),
        start: file.data_start + start as u64,
        file: file.file,
        shape: tensor.shape,
        encoding,
        order: Order::C,
    })
}

/// The first few names.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
