//! Floats in an open file: where they are, how they are stored, and their values.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use npyz::Order;

use super::{file_error, read_error};
use crate::Result;

/// How a number is stored; little-endian unless the name says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    F32,
    F32BigEndian,
    F16,
    F16BigEndian,
    Bf16,
}

impl Encoding {
    fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::F32BigEndian => 4,
            Self::F16 | Self::F16BigEndian | Self::Bf16 => 2,
        }
    }
}

/// Floats in an open file that is long enough for them.
#[derive(Debug)]
pub(super) struct Floats {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Where the first number stands in the file.
    pub(super) start: u64,
    pub(super) shape: Vec<usize>,
    pub(super) encoding: Encoding,
    pub(super) order: Order,
}

impl Floats {
    /// The values of `count` numbers from number `first` on, in the file's order.
    pub(super) fn read(&mut self, first: u64, count: usize) -> Result<Vec<f32>> {
        let mut values = zeros(&self.path, count)?;
        self.read_each(first, count, |at, value| values[at] = value)?;
        Ok(values)
    }

    /// Gives the value of each of `count` numbers from number `first` on to `put`, with its place among
    /// them.
    pub(super) fn read_each(
        &mut self,
        first: u64,
        count: usize,
        put: impl FnMut(usize, f32),
    ) -> Result<()> {
        let start = self.start + first * self.encoding.bytes();
        self.file
            .seek(SeekFrom::Start(start))
            .map_err(|error| read_error(&self.path, &error))?;
        match self.encoding {
            Encoding::F32 => self.decode(count, f32::from_le_bytes, put),
            Encoding::F32BigEndian => self.decode(count, f32::from_be_bytes, put),
            Encoding::F16 => self.decode(count, |bytes| f16::from_le_bytes(bytes).to_f32(), put),
            Encoding::F16BigEndian => {
                self.decode(count, |bytes| f16::from_be_bytes(bytes).to_f32(), put)
            }
            Encoding::Bf16 => self.decode(count, |bytes| bf16::from_le_bytes(bytes).to_f32(), put),
        }
    }

    /// Reads `count` numbers of `N` bytes from where the file stands, through a small buffer: the values
    /// are the only copy of any size.
    fn decode<const N: usize>(
        &mut self,
        count: usize,
        decode: impl Fn([u8; N]) -> f32,
        mut put: impl FnMut(usize, f32),
    ) -> Result<()> {
        const BUFFERED: usize = 1 << 15;
        let mut buffer = vec![0; N * count.min(BUFFERED)];
        let mut done = 0;
        while done < count {
            let bytes = &mut buffer[..N * (count - done).min(BUFFERED)];
            self.file
                .read_exact(bytes)
                .map_err(|error| read_error(&self.path, &error))?;
            let (numbers, _) = bytes.as_chunks();
            for (at, number) in numbers.iter().enumerate() {
                put(done + at, decode(*number));
            }
            done += numbers.len();
        }
        Ok(())
    }
}

/// Room for this many values; an error, not an abort, where memory does not take them.
pub(super) fn zeros(path: &Path, count: usize) -> Result<Vec<f32>> {
    let mut values = vec![];
    values.try_reserve_exact(count).map_err(|_| {
        let problem =
            format!("{count} values of 4 bytes do not fit into memory; read smaller parts");
        file_error(path, problem)
    })?;
    values.resize(count, 0.0);
    Ok(values)
}
