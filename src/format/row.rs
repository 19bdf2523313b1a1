//! One row, read and written code by code.

use half::f16;

use super::{Float, Format, Params};

/// Scale and bias of an affine row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// What one step of the code is worth.
    pub scale: f32,
    /// Value of code 0.
    pub bias: f32,
}

impl Header {
    /// Reads the header at the start of a row's words.
    ///
    /// # Panics
    /// Where `words` is shorter than a header.
    pub fn read(words: &[u32], params: Params) -> Self {
        match params {
            Params::F16 => Self {
                scale: half(words, 0),
                bias: half(words, 1),
            },
            Params::F32 => Self {
                scale: f32::from_bits(words[0]),
                bias: f32::from_bits(words[1]),
            },
        }
    }

    /// Writes the header to the start of a row's words; f16 rounds to nearest even.
    ///
    /// # Panics
    /// Where `words` is shorter than a header.
    pub fn write(self, words: &mut [u32], params: Params) {
        match params {
            Params::F16 => {
                let half = |x: f32| u32::from(f16::from_f32(x).to_bits());
                words[0] = half(self.scale) | half(self.bias) << 16;
            }
            Params::F32 => {
                words[0] = self.scale.to_bits();
                words[1] = self.bias.to_bits();
            }
        }
    }
}

/// The step in the first word of a symmetric row.
///
/// # Panics
/// Where there is no word.
pub(crate) fn read_step(words: &[u32], params: Params) -> f32 {
    match params {
        Params::F16 => half(words, 0),
        Params::F32 => f32::from_bits(words[0]),
    }
}

/// Writes the step to the first word of a symmetric row; f16 rounds to nearest even, the high half is zero.
///
/// # Panics
/// Where there is no word.
pub(crate) fn write_step(words: &mut [u32], params: Params, step: f32) {
    words[0] = match params {
        Params::F16 => f16::from_f32(step).to_bits().into(),
        Params::F32 => step.to_bits(),
    };
}

/// What the codes of a row stand for, or that it has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Levels<'a> {
    /// `scale * code + bias`
    Affine(Header),
    /// `step * code`, where the code is a signed integer: [`Row::signed_code`].
    Symmetric {
        /// What one step of the code is worth.
        step: f32,
    },
    /// `codebook[code]`
    Codebook(Codebook<'a>),
    /// There are no codes: the row holds its values, [`Row::float`].
    Float(Float),
}

/// f16 centroids, two to a word, the even one in the low half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Codebook<'a>(&'a [u32]);

impl<'a> Codebook<'a> {
    pub(crate) fn new(words: &'a [u32]) -> Self {
        Self(words)
    }

    /// The centroid of a code.
    ///
    /// # Panics
    /// Where the codebook has no such code.
    pub fn value(&self, code: u32) -> f32 {
        half(self.0, code as usize)
    }

    /// Number of centroids.
    pub fn count(&self) -> u32 {
        2 * self.0.len() as u32
    }
}

/// The f16 at a position, in f32.
fn half(words: &[u32], at: usize) -> f32 {
    f16::from_bits((words[at / 2] >> (at % 2 * 16)) as u16).to_f32()
}

/// A row's words, seen as codes and what they stand for.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    words: &'a [u32],
    format: Format,
    levels: Levels<'a>,
}

impl<'a> Row<'a> {
    /// `words` holds one row of `format`, whose levels stand in the row itself.
    pub(crate) fn new(words: &'a [u32], format: Format) -> Self {
        let levels = match format {
            Format::Affine { params, .. } => Levels::Affine(Header::read(words, params)),
            Format::Symmetric { params, .. } => Levels::Symmetric {
                step: read_step(words, params),
            },
            Format::Codebook { .. } | Format::Blocks { .. } => {
                Levels::Codebook(Codebook(&words[..format.header_words() as usize]))
            }
            Format::Float(float) => Levels::Float(float),
        };
        Self::with_levels(words, format, levels)
    }

    /// `words` holds one row of `format`.
    pub(crate) fn with_levels(words: &'a [u32], format: Format, levels: Levels<'a>) -> Self {
        Self {
            words,
            format,
            levels,
        }
    }

    /// What the codes stand for.
    pub fn levels(&self) -> Levels<'a> {
        self.levels
    }

    /// Scale and bias as stored; `None` where the row is not affine.
    pub fn header(&self) -> Option<Header> {
        match self.levels {
            Levels::Affine(header) => Some(header),
            Levels::Symmetric { .. } | Levels::Codebook(_) | Levels::Float(_) => None,
        }
    }

    /// The step as stored; `None` where the row is not symmetric.
    pub fn step(&self) -> Option<f32> {
        match self.levels {
            Levels::Symmetric { step } => Some(step),
            Levels::Affine(_) | Levels::Codebook(_) | Levels::Float(_) => None,
        }
    }

    /// The float of one column as stored, a subnormal too; `None` where the row has codes.
    ///
    /// # Panics
    /// Where the row has no such column.
    pub fn float(&self, column: usize) -> Option<f32> {
        match self.levels {
            Levels::Float(float) => Some(float.widened(self.code(column))),
            Levels::Affine(_) | Levels::Symmetric { .. } | Levels::Codebook(_) => None,
        }
    }

    /// The bits of one column's code, as an unsigned integer; in a row of floats those of the float.
    ///
    /// # Panics
    /// Where the row has no such column.
    pub fn code(&self, column: usize) -> u32 {
        get_bits(
            &self.words[self.format.header_words() as usize..],
            column,
            self.format.width_bits(),
        )
    }

    /// The code of one column of a symmetric row: its bits in two's complement, `-2^(bits-1)` to
    /// `2^(bits-1) - 1`.
    ///
    /// # Panics
    /// Where the row has no such column.
    pub fn signed_code(&self, column: usize) -> i32 {
        let unused = u32::BITS - self.format.width_bits();
        (self.code(column) << unused) as i32 >> unused
    }
}

/// Ors one code into a row whose code bits are still zero.
pub(crate) fn put_code(words: &mut [u32], format: Format, column: usize, code: u32) {
    let codes = &mut words[format.header_words() as usize..];
    put_bits(codes, column, format.width_bits(), code);
}

/// Number `at` of a dense sequence of `width` bits each, low bits first; 0 where `width` is.
pub(super) fn get_bits(words: &[u32], at: usize, width: u32) -> u32 {
    if width == 0 {
        return 0;
    }
    let bit = at * width as usize;
    let (word, shift) = (bit / 32, bit % 32);
    let mut bits = words[word] >> shift;
    if shift + width as usize > 32 {
        bits |= words[word + 1] << (32 - shift);
    }
    bits & (u32::MAX >> (32 - width))
}

/// Ors one number into a dense sequence whose bits there are still zero.
pub(super) fn put_bits(words: &mut [u32], at: usize, width: u32, value: u32) {
    if width == 0 {
        return;
    }
    let bit = at * width as usize;
    let (word, shift) = (bit / 32, bit % 32);
    words[word] |= value << shift;
    if shift + width as usize > 32 {
        words[word + 1] |= value >> (32 - shift);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bits;

    #[test]
    fn every_width_survives_dense_packing() {
        for width in 1..=32 {
            let mask = u32::MAX >> (32 - width);
            let value = |at: usize| (at as u32).wrapping_mul(0x9e37_79b9) & mask;
            let mut words = vec![0; 100 * width as usize / 32 + 1];
            (0..100).for_each(|at| put_bits(&mut words, at, width, value(at)));
            for at in 0..100 {
                assert_eq!(get_bits(&words, at, width), value(at), "width {width}");
            }
        }
    }

    #[test]
    fn three_bits_low_bits_first() {
        let format = Format::affine(Bits::B3);
        let mut words = vec![0; format.row_words(12) as usize];
        for column in 0..12 {
            put_code(&mut words, format, column, column as u32 & 7);
        }
        // Column 10 has bits 30 to 32: two in the first word, one in the second.
        assert_eq!(
            words,
            [0, 0b10_001_000_111_110_101_100_011_010_001_000, 0b0110]
        );
    }
}
