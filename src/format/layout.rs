//! Other libraries' row layouts, byte by byte, to and from the native row.

use half::f16;

use super::row::put_code;
use super::{Bits, Format, Header, Params, Row};
use crate::{Error, Result};

/// A row layout of another library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// Fused rows of `torch.ops.quantized.embedding_bag_*_prepack` and of FBGEMM on the CPU:
    /// codes, then scale and bias; f32 at 8 bits, f16 at 4 and 2; no padding.
    PyTorch,
    /// Rows of FBGEMM's inference TBE: scale and bias as f16, then codes, padded with zero bytes.
    Tbe {
        /// Multiple that the row length is rounded up to.
        row_alignment: RowAlignment,
    },
}

/// Multiple of bytes that a TBE row is padded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowAlignment {
    /// No padding, as FBGEMM has it on the CPU.
    A1,
    /// Whole words.
    A4,
    /// As FBGEMM has it on a GPU.
    A16,
}

impl RowAlignment {
    /// Every alignment, smallest first.
    pub const ALL: [Self; 3] = [Self::A1, Self::A4, Self::A16];

    /// The multiple.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::A1 => 1,
            Self::A4 => 4,
            Self::A16 => 16,
        }
    }
}

impl TryFrom<u32> for RowAlignment {
    type Error = Error;

    fn try_from(bytes: u32) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|alignment| alignment.bytes() == bytes)
            .ok_or_else(|| Error::Shape {
                argument: "row_alignment",
                needed: "1, 4 or 16".into(),
                got: bytes.to_string(),
            })
    }
}

/// Whether an f32 header may lose bits on its way into a layout that holds f16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// Refuse.
    Refuse,
    /// Round to nearest even; what does not fit f16 is an error all the same.
    Round,
}

impl Layout {
    /// The native format that holds this layout's rows without loss.
    pub const fn native(self, bits: Bits) -> Format {
        Format::Affine {
            bits,
            params: self.params(bits),
        }
    }

    /// Type of scale and bias.
    const fn params(self, bits: Bits) -> Params {
        match self {
            Self::PyTorch => Params::default_for(bits),
            Self::Tbe { .. } => Params::F16,
        }
    }

    /// Bytes of one row. `dim` is 1 to 8192.
    pub const fn row_bytes(self, bits: Bits, dim: u32) -> u32 {
        let header = 4 * self.native(bits).header_words();
        let unpadded = header + code_bytes(bits, dim);
        match self {
            Self::PyTorch => unpadded,
            Self::Tbe { row_alignment } => unpadded.next_multiple_of(row_alignment.bytes()),
        }
    }

    /// The TBE layout whose rows have this length; the smallest alignment that fits.
    ///
    /// # Errors
    /// [`Error::Shape`] where none of 1, 4 and 16 gives that length.
    pub fn tbe_of_length(bits: Bits, dim: u32, row_bytes: usize) -> Result<Self> {
        let lengths = RowAlignment::ALL.map(|row_alignment| {
            let layout = Self::Tbe { row_alignment };
            (layout, layout.row_bytes(bits, dim) as usize)
        });
        lengths
            .iter()
            .find(|(_, length)| *length == row_bytes)
            .map(|(layout, _)| *layout)
            .ok_or_else(|| Error::Shape {
                argument: "rows",
                needed: format!(
                    "{}, {} or {} bytes a row for {} bits and dim {dim} at alignment 1, 4 or 16",
                    lengths[0].1,
                    lengths[1].1,
                    lengths[2].1,
                    bits.count()
                ),
                got: row_bytes.to_string(),
            })
    }

    /// # Errors
    /// [`Error::Unsupported`] for widths that the layout does not have.
    pub(crate) fn check_bits(self, bits: Bits) -> Result<()> {
        match bits {
            Bits::B2 | Bits::B4 | Bits::B8 => Ok(()),
            Bits::B3 => Err(Error::Unsupported {
                what: "3 bits in another library's rows".into(),
                instead: "PyTorch and FBGEMM have 2, 4 and 8",
            }),
        }
    }

    /// Bits and header of the affine rows that can be written in this layout.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for symmetric rows, rows with codebooks, rows of floats and widths that the layout
    /// does not have; [`Error::NarrowingRefused`] where the layout's header is f16, the format's is f32 and
    /// `narrow` refuses.
    pub(crate) fn check_export(self, format: Format, narrow: Narrow) -> Result<(Bits, Params)> {
        let foreign = match format {
            Format::Affine { bits, params } => {
                self.check_bits(bits)?;
                return match (self.narrows(bits, params), narrow) {
                    (true, Narrow::Refuse) => Err(Error::NarrowingRefused),
                    (true, Narrow::Round) | (false, _) => Ok((bits, params)),
                };
            }
            Format::Symmetric { .. } => "a signed code",
            Format::Codebook { .. } | Format::Blocks { .. } => "a codebook",
            Format::Float(_) => "a float",
        };
        Err(Error::Unsupported {
            what: format!("{foreign} in another library's rows"),
            instead: "PyTorch and FBGEMM have scale and bias; quantize by an affine method",
        })
    }

    /// Whether a header of this type loses bits on its way into this layout.
    const fn narrows(self, bits: Bits, params: Params) -> bool {
        matches!((params, self.params(bits)), (Params::F32, Params::F16))
    }

    /// Writes one native affine row in this layout, into zeroed bytes.
    ///
    /// # Errors
    /// Name and value of the first number in the header that rounding makes infinite.
    pub(crate) fn export_row(
        self,
        words: &[u32],
        (bits, params, dim): (Bits, Params, u32),
        out: &mut [u8],
    ) -> Result<(), (&'static str, f32)> {
        let format = Format::Affine { bits, params };
        let native = self.native(bits);
        let (header_at, codes_at) = self.places(bits, out.len());
        if self.narrows(bits, params) {
            check_narrowed(Header::read(words, Params::F32))?;
        }
        let mut header = [0; 2];
        match native == format {
            // Bit by bit, signalling NaNs included.
            true => header[..format.header_words() as usize]
                .copy_from_slice(&words[..format.header_words() as usize]),
            false => Header::read(words, params).write(&mut header, self.params(bits)),
        }
        for (i, word) in header[..native.header_words() as usize].iter().enumerate() {
            out[header_at + 4 * i..][..4].copy_from_slice(&word.to_le_bytes());
        }
        // Code by code: what stands in the padding of the native row stays there.
        let row = Row::new(words, format);
        let codes_per_byte = 8 / bits.count() as usize;
        for column in 0..dim as usize {
            let shift = column % codes_per_byte * bits.count() as usize;
            out[codes_at + column / codes_per_byte] |= (row.code(column) as u8) << shift;
        }
        Ok(())
    }

    /// Reads one row of this layout into zeroed native words of [`Layout::native`].
    pub(crate) fn import_row(self, bytes: &[u8], bits: Bits, dim: u32, words: &mut [u32]) {
        let format = self.native(bits);
        let (header_at, codes_at) = self.places(bits, bytes.len());
        let half = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let word = |at: usize| half(at) | half(at + 2) << 16;
        for (i, header_word) in words[..format.header_words() as usize]
            .iter_mut()
            .enumerate()
        {
            *header_word = word(header_at + 4 * i);
        }
        let codes_per_byte = 8 / bits.count() as usize;
        for column in 0..dim as usize {
            let shift = column % codes_per_byte * bits.count() as usize;
            let code =
                u32::from(bytes[codes_at + column / codes_per_byte] >> shift) & bits.max_code();
            put_code(words, format, column, code);
        }
    }

    /// Where header and codes start in a row of this many bytes.
    fn places(self, bits: Bits, row_bytes: usize) -> (usize, usize) {
        let header = 4 * self.native(bits).header_words() as usize;
        match self {
            Self::PyTorch => (row_bytes - header, 0),
            Self::Tbe { .. } => (0, header),
        }
    }
}

/// Bytes that hold the codes of a row without padding.
const fn code_bytes(bits: Bits, dim: u32) -> u32 {
    (dim as u64 * bits.count() as u64).div_ceil(8) as u32
}

/// Name and value of what f16 cannot hold, if there is such a number.
fn check_narrowed(header: Header) -> Result<(), (&'static str, f32)> {
    let numbers = [("scale", header.scale), ("bias", header.bias)];
    let overflows = |x: f32| x.is_finite() && f16::from_f32(x).is_infinite();
    match numbers.into_iter().find(|(_, x)| overflows(*x)) {
        Some(number) => Err(number),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code value at every width, through both layouts and back.
    #[test]
    fn every_code_value_survives_both_layouts() {
        for bits in [Bits::B2, Bits::B4, Bits::B8] {
            for extra in 0..4 {
                let dim = bits.max_code() + 1 + extra;
                let tbe = RowAlignment::ALL.map(|row_alignment| Layout::Tbe { row_alignment });
                for layout in tbe.into_iter().chain([Layout::PyTorch]) {
                    let format = layout.native(bits);
                    let mut words = vec![0; format.row_words(dim) as usize];
                    let header = Header {
                        scale: 0.5,
                        bias: -3.25,
                    };
                    let params = layout.params(bits);
                    header.write(&mut words, params);
                    for column in 0..dim {
                        put_code(
                            &mut words,
                            format,
                            column as usize,
                            column & bits.max_code(),
                        );
                    }
                    let mut bytes = vec![0; layout.row_bytes(bits, dim) as usize];
                    layout
                        .export_row(&words, (bits, params, dim), &mut bytes)
                        .unwrap();
                    let mut back = vec![0; words.len()];
                    layout.import_row(&bytes, bits, dim, &mut back);
                    assert_eq!(back, words, "{bits:?} {layout:?} dim {dim}");
                }
            }
        }
    }

    #[test]
    fn pytorch_puts_the_even_column_in_the_low_nibble_and_the_header_last() {
        let format = Format::affine(Bits::B4);
        let mut words = vec![0; format.row_words(3) as usize];
        Header {
            scale: 1.0,
            bias: 2.0,
        }
        .write(&mut words, Params::F16);
        for (column, code) in [(0, 0xa), (1, 0xb), (2, 0xc)] {
            put_code(&mut words, format, column, code);
        }
        let mut bytes = vec![0; 6];
        Layout::PyTorch
            .export_row(&words, (Bits::B4, Params::F16, 3), &mut bytes)
            .unwrap();
        assert_eq!(bytes, [0xba, 0x0c, 0x00, 0x3c, 0x00, 0x40]);
    }

    #[test]
    fn padding_bits_of_a_foreign_row_are_dropped() {
        let mut words = [0; 2];
        Layout::PyTorch.import_row(&[0xff, 0, 0x3c, 0, 0], Bits::B4, 1, &mut words);
        assert_eq!(words[1], 0xf);
    }
}
