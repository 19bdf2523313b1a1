//! Row formats: which bytes a row has and what they mean. Pure arithmetic.
//!
//! `docs/formats.md` draws every layout byte by byte.

mod blocks;
mod float;
mod layout;
mod row;

pub use blocks::Blocks;
#[cfg(any(feature = "gpu", feature = "io"))]
pub(crate) use blocks::id_words;
pub(crate) use blocks::{codebook_words, id_bits};
pub use float::Float;
pub use layout::{Layout, Narrow, RowAlignment};
pub use row::{Codebook, Header, Levels, Row};
pub(crate) use row::{put_code, read_step, write_step};

use crate::{Error, Result};

/// Columns that a row may have.
pub const DIM_RANGE: std::ops::RangeInclusive<u32> = 1..=8192;

/// Bits per code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Bits {
    /// Two bits, codes 0 to 3.
    B2,
    /// Three bits, codes 0 to 7; ten columns and two thirds to a word.
    B3,
    /// Four bits, codes 0 to 15.
    B4,
    /// Eight bits, codes 0 to 255.
    B8,
}

impl Bits {
    /// Every width, narrowest first.
    pub const ALL: [Self; 4] = [Self::B2, Self::B3, Self::B4, Self::B8];

    /// The width as a number.
    pub const fn count(self) -> u32 {
        match self {
            Self::B2 => 2,
            Self::B3 => 3,
            Self::B4 => 4,
            Self::B8 => 8,
        }
    }

    /// The largest code.
    pub const fn max_code(self) -> u32 {
        (1 << self.count()) - 1
    }

    /// The codes of symmetric rows, two's complement: `-2^(bits-1)` to `2^(bits-1) - 1`.
    pub const fn signed_codes(self) -> std::ops::RangeInclusive<i32> {
        let half = 1 << (self.count() - 1);
        std::ops::RangeInclusive::new(-half, half - 1)
    }
}

impl TryFrom<u32> for Bits {
    type Error = Error;

    fn try_from(count: u32) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|bits| bits.count() == count)
            .ok_or_else(|| Error::Shape {
                argument: "bits",
                needed: "2, 3, 4 or 8".into(),
                got: count.to_string(),
            })
    }
}

/// Type of a row's scale and bias, or of its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Params {
    /// f16: scale and bias take 4 bytes a row, and so does a step, in a word of its own.
    F16,
    /// f32: scale and bias take 8 bytes a row, a step 4.
    F32,
}

impl Params {
    /// Both types.
    pub const ALL: [Self; 2] = [Self::F16, Self::F32];

    /// The type's name in files, labels and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// What PyTorch stores beside codes of this width: f32 at 8 bits, else f16.
    pub const fn default_for(bits: Bits) -> Self {
        match bits {
            Bits::B8 => Self::F32,
            Bits::B2 | Bits::B3 | Bits::B4 => Self::F16,
        }
    }
}

/// What a packed row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// `value = scale * code + bias`, scale and bias in the row's header.
    ///
    /// Source: the row of FBGEMM's inference TBE, with an f32 header as a further choice.
    Affine {
        /// Bits per code.
        bits: Bits,
        /// Type of scale and bias.
        params: Params,
    },
    /// `value = step * code`, the code a signed integer, the step in the row's header; it is positive and
    /// finite in every row that this library makes.
    ///
    /// Source: the rows that embeddings are trained on with learned or given steps, as in Li et al. 2023,
    /// "Adaptive Low-Precision Training for Embeddings in Click-Through Rate Prediction".
    Symmetric {
        /// Bits per code: 2, 4 or 8.
        bits: Bits,
        /// Type of the step.
        params: Params,
    },
    /// `value = codebook[code]`: f16 centroids, `2^bits` of them, in the row's header.
    ///
    /// Source: KMEANS of Guan et al. 2019, "Post-Training 4-bit Quantization on Embedding Tables".
    Codebook {
        /// Bits per code: 2, 3 or 4.
        bits: Bits,
    },
    /// `value = codebook[block of the row][code]`: rows have no header; codebooks and block ids are the
    /// table's ([`Blocks`]).
    ///
    /// Source: KMEANS-CLS of the same paper.
    Blocks {
        /// Bits per code: 2, 3 or 4.
        bits: Bits,
    },
    /// The values themselves, without a header; f32 and bf16 subnormals count as zeros of their sign.
    Float(Float),
}

impl Format {
    /// Every format.
    pub fn all() -> impl Iterator<Item = Self> {
        let affine = Bits::ALL.into_iter().flat_map(|bits| {
            Params::ALL
                .into_iter()
                .map(move |params| Self::Affine { bits, params })
        });
        let symmetric = [Bits::B2, Bits::B4, Bits::B8].into_iter().flat_map(|bits| {
            Params::ALL
                .into_iter()
                .map(move |params| Self::Symmetric { bits, params })
        });
        let bits = [Bits::B2, Bits::B3, Bits::B4];
        affine
            .chain(symmetric)
            .chain(bits.map(|bits| Self::Codebook { bits }))
            .chain(bits.map(|bits| Self::Blocks { bits }))
            .chain(Float::ALL.map(Self::Float))
    }

    /// Affine rows with the header that PyTorch gives this width ([`Params::default_for`]).
    pub const fn affine(bits: Bits) -> Self {
        Self::Affine {
            bits,
            params: Params::default_for(bits),
        }
    }

    /// Bits per code; `None` for rows of floats, which have no codes.
    pub const fn bits(self) -> Option<Bits> {
        match self {
            Self::Affine { bits, .. }
            | Self::Symmetric { bits, .. }
            | Self::Codebook { bits }
            | Self::Blocks { bits } => Some(bits),
            Self::Float(_) => None,
        }
    }

    /// Bits of a row that a column takes: those of its code, or of its float.
    pub const fn width_bits(self) -> u32 {
        match self {
            Self::Affine { bits, .. }
            | Self::Symmetric { bits, .. }
            | Self::Codebook { bits }
            | Self::Blocks { bits } => bits.count(),
            Self::Float(float) => float.width_bits(),
        }
    }

    /// As many low bits as a column takes.
    pub(crate) const fn column_mask(self) -> u32 {
        u32::MAX >> (u32::BITS - self.width_bits())
    }

    /// Type of scale and bias, of the step, or of the centroids; `None` for rows of floats, which have nothing
    /// beside their values.
    pub const fn params(self) -> Option<Params> {
        match self {
            Self::Affine { params, .. } | Self::Symmetric { params, .. } => Some(params),
            Self::Codebook { .. } | Self::Blocks { .. } => Some(Params::F16),
            Self::Float(_) => None,
        }
    }

    /// The format's part of every label: `q4h16` is 4-bit codes beside an f16 header, `s4h16` signed ones
    /// beside an f16 step, `c4` codes beside a codebook of the row's own, `b4` with a codebook of the row's
    /// block; rows of floats have their type's name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Affine { bits, params } => match (bits, params) {
                (Bits::B2, Params::F16) => "q2h16",
                (Bits::B2, Params::F32) => "q2h32",
                (Bits::B3, Params::F16) => "q3h16",
                (Bits::B3, Params::F32) => "q3h32",
                (Bits::B4, Params::F16) => "q4h16",
                (Bits::B4, Params::F32) => "q4h32",
                (Bits::B8, Params::F16) => "q8h16",
                (Bits::B8, Params::F32) => "q8h32",
            },
            Self::Symmetric { bits, params } => match (bits, params) {
                (Bits::B2, Params::F16) => "s2h16",
                (Bits::B2, Params::F32) => "s2h32",
                (Bits::B3, Params::F16) => "s3h16",
                (Bits::B3, Params::F32) => "s3h32",
                (Bits::B4, Params::F16) => "s4h16",
                (Bits::B4, Params::F32) => "s4h32",
                (Bits::B8, Params::F16) => "s8h16",
                (Bits::B8, Params::F32) => "s8h32",
            },
            Self::Codebook { bits } => match bits {
                Bits::B2 => "c2",
                Bits::B3 => "c3",
                Bits::B4 => "c4",
                Bits::B8 => "c8",
            },
            Self::Blocks { bits } => match bits {
                Bits::B2 => "b2",
                Bits::B3 => "b3",
                Bits::B4 => "b4",
                Bits::B8 => "b8",
            },
            Self::Float(float) => float.name(),
        }
    }

    /// Words of a row's header.
    pub const fn header_words(self) -> u32 {
        match self {
            Self::Affine { params, .. } => match params {
                Params::F16 => 1,
                Params::F32 => 2,
            },
            // A row is whole words: an f16 step takes one as an f32 step does.
            Self::Symmetric { .. } => 1,
            Self::Codebook { bits } => codebook_words(bits),
            Self::Blocks { .. } | Self::Float(_) => 0,
        }
    }

    /// Words of a row: header, then codes or floats, padded with zero bits to whole words. `dim` is 1 to 8192.
    pub const fn row_words(self, dim: u32) -> u32 {
        let column_bits = dim as u64 * self.width_bits() as u64;
        self.header_words() + column_bits.div_ceil(32) as u32
    }

    /// Bytes from one row to the next.
    pub const fn row_bytes(self, dim: u32) -> u32 {
        self.row_words(dim).saturating_mul(4)
    }

    /// Refuses a format that does not exist.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for codebooks of 8 bits and symmetric rows of 3.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Affine { .. } | Self::Float(_) => Ok(()),
            Self::Symmetric { bits, .. } => check_symmetric_bits(bits),
            Self::Codebook { bits } | Self::Blocks { bits } => check_codebook_bits(bits),
        }
    }
}

/// Refuses signed codes that straddle words: rows that are trained are written code by code, by lanes that
/// own whole words.
fn check_symmetric_bits(bits: Bits) -> Result<()> {
    match bits {
        Bits::B2 | Bits::B4 | Bits::B8 => Ok(()),
        Bits::B3 => Err(Error::Unsupported {
            what: "a symmetric row of 3 bits".into(),
            instead: "take 2, 4 or 8 bits, or affine rows",
        }),
    }
}

/// Refuses codebooks larger than most rows.
fn check_codebook_bits(bits: Bits) -> Result<()> {
    match bits {
        Bits::B2 | Bits::B3 | Bits::B4 => Ok(()),
        Bits::B8 => Err(Error::Unsupported {
            what: "a codebook of 8 bits (256 centroids, 512 bytes)".into(),
            instead: "take 2, 3 or 4 bits, or affine rows",
        }),
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// Refuses a number of columns that no kernel takes.
pub(crate) fn check_dim(dim: usize) -> Result<u32> {
    u32::try_from(dim)
        .ok()
        .filter(|dim| DIM_RANGE.contains(dim))
        .ok_or_else(|| Error::Shape {
            argument: "dim",
            needed: format!("{} to {}", DIM_RANGE.start(), DIM_RANGE.end()),
            got: dim.to_string(),
        })
}

/// Refuses more rows than a u32 index reaches.
pub(crate) fn check_rows(rows: usize) -> Result<u32> {
    u32::try_from(rows).map_err(|_| Error::Shape {
        argument: "rows",
        needed: format!("at most {}", u32::MAX),
        got: rows.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_sizes_are_those_of_docs_formats() {
        let bytes = |bits, params, dim| Format::Affine { bits, params }.row_bytes(dim);
        assert_eq!(bytes(Bits::B4, Params::F16, 64), 36);
        assert_eq!(bytes(Bits::B4, Params::F16, 65), 40);
        assert_eq!(bytes(Bits::B2, Params::F16, 1), 8);
        assert_eq!(bytes(Bits::B8, Params::F32, 384), 392);
        assert_eq!(bytes(Bits::B8, Params::F16, 8192), 8196);
        assert_eq!(bytes(Bits::B3, Params::F16, 64), 28);
        assert_eq!(bytes(Bits::B3, Params::F16, 11), 12);
        let c4 = Format::Codebook { bits: Bits::B4 };
        let b4 = Format::Blocks { bits: Bits::B4 };
        assert_eq!((c4.row_bytes(64), b4.row_bytes(64)), (64, 32));
        for params in Params::ALL {
            let bits = Bits::B8;
            let s8 = Format::Symmetric { bits, params };
            assert_eq!((s8.row_bytes(64), s8.row_bytes(65)), (68, 72));
        }
        let floats = |dim| Float::ALL.map(|float| Format::Float(float).row_bytes(dim));
        assert_eq!(floats(64), [256, 128, 128]);
        assert_eq!(floats(1), [4, 4, 4]);
        assert_eq!(floats(8191), [32764, 16384, 16384]);
    }

    #[test]
    fn twenty_three_formats_with_a_label_each() {
        let labels: std::collections::BTreeSet<_> = Format::all().map(Format::label).collect();
        assert_eq!(labels.len(), 23);
        assert!(Format::all().all(|format| format.check().is_ok()));
    }
}
