//! Codes of a row to values, sixteen columns at a time.

use super::super::lanes::{LANES, Lanes, flush};
use crate::format::{Format, Header, read_step};

/// What the codes of a row stand for: `step * code + bias`, subnormals flushed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) step: f32,
    pub(super) bias: f32,
}

impl Scale {
    /// As a row's header says. The bias of a symmetric row is 0.
    #[inline(always)]
    pub(super) fn read(words: &[u32], format: Format) -> Self {
        match format {
            Format::Symmetric { params, .. } => Self::new(read_step(words, params), 0.0),
            Format::Affine { params, .. } => Header::read(words, params).into(),
            Format::Codebook { .. } | Format::Blocks { .. } | Format::Float(_) => {
                unreachable!("{format} rows are not trained")
            }
        }
    }

    #[inline(always)]
    pub(super) fn new(step: f32, bias: f32) -> Self {
        Self {
            step: flush(step),
            bias: flush(bias),
        }
    }

    /// Two roundings, as written. A product of an integer and a normal number is zero or normal, and what is
    /// left of a sum that cancels is flushed; adding the bias 0 changes nothing but the sign of a zero.
    #[inline(always)]
    fn value(self, code: f32) -> f32 {
        flush(self.step * code + self.bias)
    }
}

impl From<Header> for Scale {
    #[inline(always)]
    fn from(header: Header) -> Self {
        Self::new(header.scale, header.bias)
    }
}

/// The values of a row, `dim` of them, then zeros.
#[inline(always)]
pub(super) fn decode(words: &[u32], format: Format, dim: usize, values: &mut [Lanes]) {
    let scale = Scale::read(words, format);
    let signed = matches!(format, Format::Symmetric { .. });
    let codes = &words[format.header_words() as usize..];
    match (format.width_bits(), signed) {
        (2, false) => groups::<2, false, 1>(codes, scale, values),
        (4, false) => groups::<4, false, 2>(codes, scale, values),
        (8, false) => groups::<8, false, 4>(codes, scale, values),
        (2, true) => groups::<2, true, 1>(codes, scale, values),
        (4, true) => groups::<4, true, 2>(codes, scale, values),
        (8, true) => groups::<8, true, 4>(codes, scale, values),
        (bits, _) => unreachable!("rows of {bits} bits are not trained"),
    }
    // The padding is somebody else's bits.
    if let Some(last) = values.last_mut()
        && !dim.is_multiple_of(LANES)
    {
        (dim % LANES..LANES).for_each(|lane| last[lane] = 0.0);
    }
}

/// `WORDS` words hold the codes of sixteen columns; the row's last may be fewer.
#[inline(always)]
fn groups<const BITS: usize, const SIGNED: bool, const WORDS: usize>(
    codes: &[u32],
    scale: Scale,
    values: &mut [Lanes],
) {
    let (whole, rest) = codes.as_chunks::<WORDS>();
    for (words, values) in whole.iter().zip(values.iter_mut()) {
        *values = group::<BITS, SIGNED, WORDS>(words, scale);
    }
    if !rest.is_empty() {
        let mut words = [0; WORDS];
        words[..rest.len()].copy_from_slice(rest);
        values[whole.len()] = group::<BITS, SIGNED, WORDS>(&words, scale);
    }
}

#[inline(always)]
fn group<const BITS: usize, const SIGNED: bool, const WORDS: usize>(
    words: &[u32; WORDS],
    scale: Scale,
) -> Lanes {
    let per_word = 32 / BITS;
    Lanes::new(
        #[inline(always)]
        |column| {
            // The code's bits at the top, so that the way down extends the sign.
            let top = words[column / per_word] << (32 - BITS - column % per_word * BITS);
            let code = if SIGNED {
                top as i32 >> (32 - BITS)
            } else {
                (top >> (32 - BITS)) as i32
            };
            scale.value(code as f32)
        },
    )
}
