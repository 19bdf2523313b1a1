//! Sixteen rows at a time, one to a lane: plain loops that compile to vector instructions.
//!
//! Everything here is inlined into its caller, which runs under the instruction set found at run time.

use std::ops::{Index, IndexMut};

/// Rows that are quantized together.
pub(super) const LANES: usize = 16;

/// One number of each row.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Lanes([f32; LANES]);

impl Lanes {
    #[inline(always)]
    pub(super) fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    pub(super) fn new(f: impl FnMut(usize) -> f32) -> Self {
        Self(std::array::from_fn(f))
    }

    #[inline(always)]
    pub(super) fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self::new(|lane| f(self[lane], other[lane]))
    }
}

impl Index<usize> for Lanes {
    type Output = f32;

    #[inline(always)]
    fn index(&self, lane: usize) -> &f32 {
        &self.0[lane]
    }
}

impl IndexMut<usize> for Lanes {
    #[inline(always)]
    fn index_mut(&mut self, lane: usize) -> &mut f32 {
        &mut self.0[lane]
    }
}

/// What is below the normals becomes +0.
#[inline(always)]
pub(super) fn flush(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

#[inline(always)]
pub(super) fn add(a: f32, b: f32) -> f32 {
    flush(a + b)
}

#[inline(always)]
pub(super) fn sub(a: f32, b: f32) -> f32 {
    flush(a - b)
}

/// Rounded once, as if the exponent had no lower end, then flushed.
#[inline(always)]
pub(super) fn round(x: f64) -> f32 {
    // Half a unit below 2^-126: from there on a number rounds up to it.
    const ROUNDS_UP: f64 = f32::MIN_POSITIVE as f64 * (1.0 - f32::EPSILON as f64 / 4.0);
    let rounded = x as f32;
    if x.abs() < ROUNDS_UP { 0.0 } else { rounded }
}

#[inline(always)]
pub(super) fn mul(a: f32, b: f32) -> f32 {
    round(f64::from(a) * f64::from(b))
}

#[inline(always)]
pub(super) fn div(a: f32, b: f32) -> f32 {
    round(f64::from(a) / f64::from(b))
}

/// To f16 and back, to nearest even, without a branch.
#[inline(always)]
pub(super) fn to_f16(x: f32) -> f32 {
    let magnitude = x.abs();
    let bits = magnitude.to_bits();
    let rounded = f32::from_bits((bits + 0xfff + (bits >> 13 & 1)) & !0x1fff);
    // One unit of 0.5 is that of f16's subnormals, 2^-24.
    let small = (magnitude + 0.5) - 0.5;
    let finite = if magnitude < 0.5f32.powi(14) {
        small
    } else {
        rounded
    };
    let half = if finite >= 65536.0 {
        f32::INFINITY
    } else {
        finite
    };
    half.copysign(x)
}

/// Units of 2^23 are integers: adding it rounds to nearest even, and leaves the integer in the low bits.
const INTEGERS: f32 = 8_388_608.0;

/// A code from the number of steps above the bias: clamped, then rounded.
#[inline(always)]
pub(super) fn code(steps: f32, max_code: f32) -> f32 {
    (clamped(steps, max_code) + INTEGERS) - INTEGERS
}

/// The same as an integer.
#[inline(always)]
pub(super) fn code_bits(steps: f32, max_code: f32) -> u32 {
    (clamped(steps, max_code) + INTEGERS).to_bits() - INTEGERS.to_bits()
}

#[inline(always)]
fn clamped(steps: f32, max_code: f32) -> f32 {
    let low = if steps > 0.0 { steps } else { 0.0 };
    if low < max_code { low } else { max_code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::exact;

    /// Every 16th bit pattern of the finite floats, and f16 of each.
    #[test]
    fn f16_is_that_of_the_reference() {
        for bits in (0..0x7f80_0000u32).step_by(509) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                assert_eq!(to_f16(x).to_bits(), exact::to_f16(x).to_bits(), "{x:e}");
            }
        }
    }

    #[test]
    fn codes_round_to_even_and_are_clamped() {
        let codes = [-1.0, -0.0, 0.5, 1.5, 2.5, 14.5, 15.4, 99.0, f32::INFINITY];
        let expected = [0.0, 0.0, 0.0, 2.0, 2.0, 14.0, 15.0, 15.0, 15.0];
        assert_eq!(codes.map(|x| code(x, 15.0)), expected);
        assert_eq!(codes.map(|x| code_bits(x, 15.0) as f32), expected);
    }
}
