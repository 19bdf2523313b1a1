//! Values to packed codes, one row at a time.

use super::lanes::{code_bits, flush};
use super::scan::input;
use crate::format::{Bits, Format, Params};

/// Scale, bias and codes per unit of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RowGrid {
    pub(super) scale: f32,
    pub(super) bias: f32,
    pub(super) codes_per_unit: f32,
}

/// Writes a row's header and codes into zeroed words.
#[inline(always)]
pub(super) fn encode(
    values: &[f32],
    grid: RowGrid,
    (bits, params): (Bits, Params),
    words: &mut [u32],
) {
    let header = crate::Header {
        scale: grid.scale,
        bias: grid.bias,
    };
    header.write(words, params);
    let max_code = bits.max_code() as f32;
    pack_row(
        values,
        Format::Affine { bits, params },
        words,
        #[inline(always)]
        |x| one(x, grid, max_code),
    );
}

/// Writes the codes, or the bits of the floats, of a row into zeroed words, behind its header.
#[inline(always)]
pub(super) fn pack_row(
    values: &[f32],
    format: Format,
    words: &mut [u32],
    code: impl Fn(f32) -> u32,
) {
    let codes = &mut words[format.header_words() as usize..];
    let bits = format.width_bits();
    match bits {
        2 => pack::<16>(values, 2, codes, code),
        4 => pack::<8>(values, 4, codes, code),
        8 => pack::<4>(values, 8, codes, code),
        16 => pack::<2>(values, 16, codes, code),
        32 => pack::<1>(values, 32, codes, code),
        _ => pack_densely(values, bits, codes, code),
    }
}

/// Whole codes to a word.
#[inline(always)]
fn pack<const PER_WORD: usize>(
    values: &[f32],
    bits: u32,
    words: &mut [u32],
    code: impl Fn(f32) -> u32,
) {
    let whole = values.chunks_exact(PER_WORD);
    let rest = whole.remainder();
    for (chunk, word) in whole.zip(words.iter_mut()) {
        let codes: [u32; PER_WORD] = std::array::from_fn(|i| code(chunk[i]));
        *word = join(&codes, bits);
    }
    if !rest.is_empty() {
        let mut codes = [0; PER_WORD];
        for (at, x) in codes.iter_mut().zip(rest) {
            *at = code(*x);
        }
        words[values.len() / PER_WORD] = join(&codes, bits);
    }
}

#[inline(always)]
fn join(codes: &[u32], bits: u32) -> u32 {
    let shifted = codes
        .iter()
        .enumerate()
        .map(|(i, code)| code << (i as u32 * bits));
    shifted.fold(0, |word, code| word | code)
}

/// Codes that may lie in two words.
#[inline(always)]
fn pack_densely(values: &[f32], bits: u32, words: &mut [u32], code: impl Fn(f32) -> u32) {
    let (mut pending, mut filled, mut at) = (0u64, 0, 0);
    for x in values {
        pending |= u64::from(code(*x)) << filled;
        filled += bits;
        if filled >= 32 {
            words[at] = pending as u32;
            (pending, filled, at) = (pending >> 32, filled - 32, at + 1);
        }
    }
    if filled > 0 {
        words[at] = pending as u32;
    }
}

/// The code of one value.
#[inline(always)]
fn one(x: f32, grid: RowGrid, max_code: f32) -> u32 {
    // What a subnormal product loses does not matter: it rounds to 0.
    code_bits(flush(input(x) - grid.bias) * grid.codes_per_unit, max_code)
}
