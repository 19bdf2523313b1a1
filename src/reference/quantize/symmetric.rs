//! Symmetric rows: a step, and for every value the nearest multiple of it.

use super::Range;
use super::grid::stored;
use crate::format::{Bits, Format, Params, put_code, write_step};
use crate::reference::exact;

/// The step that takes a row's largest magnitude to the largest code, rounded to the header's type; `None`
/// where that cannot hold it.
///
/// 1 where it would be 0, in a row of zeros or of values too small for it: a step is divided by, and a learned
/// one is scaled from what it is. All codes are 0 then.
pub fn absmax_step(range: Range, bits: Bits, params: Params) -> Option<f32> {
    let largest = range.low.abs().max(range.high.abs());
    let step = stored(
        exact::div(largest, *bits.signed_codes().end() as f32),
        params,
    );
    match step {
        0.0 => Some(1.0),
        step => step.is_finite().then_some(step),
    }
}

/// The code of a value: that of the nearest multiple of a positive step, of two the even one, clamped.
pub fn signed_code(x: f32, step: f32, bits: Bits) -> i32 {
    let (least, most) = bits.signed_codes().into_inner();
    let steps = exact::div(x, step).round_ties_even();
    steps.clamp(least as f32, most as f32) as i32
}

/// Writes a step that the header's type holds, and the code of every value, into the zeroed words of a
/// symmetric row. Subnormal values count as zero.
///
/// # Panics
/// Where `words` is shorter than a row.
pub fn write_symmetric(
    values: &[f32],
    step: f32,
    (bits, params): (Bits, Params),
    words: &mut [u32],
) {
    write_step(words, params, step);
    let format = Format::Symmetric { bits, params };
    for (column, x) in values.iter().enumerate() {
        let code = signed_code(exact::input(*x), step, bits);
        put_code(words, format, column, code as u32 & bits.max_code());
    }
}
