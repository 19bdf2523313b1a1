//! What the rings share: devices, and PyTorch's golden vectors.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part"
)]

use std::path::PathBuf;

use qembed::verify::batched::BatchedData;
use qembed::{Bits, Layout, PackedTable, Params, Place};
use safetensors::{Dtype, SafeTensors};

#[cfg(feature = "session")]
mod device;
#[cfg(feature = "session")]
pub use device::{Bench, gpu};
#[cfg(feature = "gpu")]
mod noop;
#[cfg(feature = "gpu")]
pub use noop::Noop;
pub mod training;

/// The widths that PyTorch has.
pub const PYTORCH_BITS: [Bits; 3] = [Bits::B2, Bits::B4, Bits::B8];

/// One file of golden vectors.
pub struct Oracle {
    pub name: String,
    bytes: Vec<u8>,
}

/// Every file whose name begins with `prefix`.
pub fn oracles(prefix: &str) -> Vec<Oracle> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let mut oracles: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path
                .file_name()?
                .to_str()?
                .strip_suffix(".safetensors")?
                .to_string();
            let bytes = name
                .starts_with(prefix)
                .then(|| std::fs::read(&path).unwrap())?;
            Some(Oracle { name, bytes })
        })
        .collect();
    oracles.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!oracles.is_empty(), "no golden vectors begin with {prefix}");
    oracles
}

impl Oracle {
    fn raw(&self, tensor: &str, dtype: Dtype) -> Vec<u8> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(tensor).unwrap();
        assert_eq!(view.dtype(), dtype, "{tensor}");
        view.data().to_vec()
    }

    pub fn u8(&self, tensor: &str) -> Vec<u8> {
        self.raw(tensor, Dtype::U8)
    }

    pub fn f32(&self, tensor: &str) -> Vec<f32> {
        let bytes = self.raw(tensor, Dtype::F32);
        bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    /// i32 in the file; none is negative.
    pub fn u32(&self, tensor: &str) -> Vec<u32> {
        let bytes = self.raw(tensor, Dtype::I32);
        bytes
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    pub fn dim(&self) -> usize {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        file.tensor("weights").unwrap().shape()[1]
    }

    /// PyTorch's own rows.
    pub fn table(&self, bits: Bits) -> PackedTable {
        let rows = self.u8(&format!("rows{}", bits.count()));
        PackedTable::import(Layout::PyTorch, bits, self.dim(), &rows).unwrap()
    }
}

/// Where the rows of each feature of a batch go, and its dim: beside each other where the batch does not say.
pub fn places(data: &BatchedData) -> Vec<(Place, u32)> {
    let features = data.features.iter();
    let dims: Vec<_> = features.map(|one| data.tables[one.table].0.dim()).collect();
    let stride = dims.iter().sum();
    let mut first = 0;
    let beside_each_other = dims.iter().map(|dim| {
        first += dim;
        let first = first - dim;
        Place { first, stride }
    });
    let places = match &data.places {
        Some(places) => places.clone(),
        None => beside_each_other.collect(),
    };
    places.into_iter().zip(dims).collect()
}

/// A table from literal symmetric rows: step, codes.
pub fn symmetric(format: qembed::Format, rows: &[(f32, &[i32])]) -> PackedTable {
    let dim = rows[0].1.len();
    let bits = format.bits().unwrap().count() as usize;
    let mut words = vec![];
    for (step, codes) in rows {
        let mut row = vec![0; format.row_words(dim as u32) as usize];
        row[0] = match format.params().unwrap() {
            Params::F16 => half::f16::from_f32(*step).to_bits().into(),
            Params::F32 => step.to_bits(),
        };
        for (column, code) in codes.iter().enumerate() {
            let bits_of_code = *code as u32 & format.bits().unwrap().max_code();
            row[1 + column * bits / 32] |= bits_of_code << (column * bits % 32);
        }
        words.extend(row);
    }
    PackedTable::from_words(format, dim, words).unwrap()
}

/// A table from literal rows: scale, bias, codes.
pub fn table(format: qembed::Format, rows: &[(f32, f32, &[u32])]) -> PackedTable {
    let dim = rows[0].2.len();
    let bits = format.bits().unwrap().count() as usize;
    let mut words = vec![];
    for (scale, bias, codes) in rows {
        let mut row = vec![0; format.row_words(dim as u32) as usize];
        qembed::Header {
            scale: *scale,
            bias: *bias,
        }
        .write(&mut row, format.params().unwrap());
        for (column, code) in codes.iter().enumerate() {
            let word = format.header_words() as usize + column * bits / 32;
            row[word] |= code << (column * bits % 32);
        }
        words.extend(row);
    }
    PackedTable::from_words(format, dim, words).unwrap()
}
