//! One affine row, read and written code by code.

use half::f16;

use super::{Bits, Format, Params};

/// Scale and bias of a row.
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
                scale: f16::from_bits(words[0] as u16).to_f32(),
                bias: f16::from_bits((words[0] >> 16) as u16).to_f32(),
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

/// A row's words, seen as header and codes.
#[derive(Clone, Copy, Debug)]
pub struct AffineRow<'a> {
    words: &'a [u32],
    bits: Bits,
    params: Params,
}

impl<'a> AffineRow<'a> {
    /// `words` holds one row of `format`.
    pub fn new(words: &'a [u32], format: Format) -> Self {
        let Format::Affine { bits, params } = format;
        Self {
            words,
            bits,
            params,
        }
    }

    /// Scale and bias as stored.
    pub fn header(&self) -> Header {
        Header::read(self.words, self.params)
    }

    /// The code of one column.
    ///
    /// # Panics
    /// Where the row has no such column.
    pub fn code(&self, column: usize) -> u32 {
        let (word, shift) = position(column, self.bits, self.params);
        self.words[word] >> shift & self.bits.max_code()
    }
}

/// Ors one code into a row whose code bits are still zero.
pub(crate) fn put_code(words: &mut [u32], format: Format, column: usize, code: u32) {
    let Format::Affine { bits, params } = format;
    let (word, shift) = position(column, bits, params);
    words[word] |= code << shift;
}

/// Word of the row and first bit in it: column `i` lies at bit `i * bits` of the code area.
fn position(column: usize, bits: Bits, params: Params) -> (usize, usize) {
    let header_words = Format::Affine { bits, params }.header_words() as usize;
    let bit = column * bits.count() as usize;
    (header_words + bit / 32, bit % 32)
}
