//! Rows of floats: every value rounded once, in integers.

use super::encode::pack_row;
use super::lanes::to_f16;
use super::scan::scan;
use crate::format::{Float, Format};
use crate::reference::RowProblem;

/// Rounds one row into zeroed words; f32 keeps every bit.
///
/// # Errors
/// What is wrong with the row.
#[inline(always)]
pub(super) fn quantize_row(
    values: &[f32],
    float: Float,
    words: &mut [u32],
) -> Result<(), RowProblem> {
    let range = scan(values)?;
    let largest = range.low.abs().max(range.high.abs());
    if largest > largest_held(float) {
        return Err(range.problem());
    }
    let format = Format::Float(float);
    match float {
        Float::F32 => pack_row(values, format, words, f32::to_bits),
        Float::F16 => pack_row(values, format, words, f16_bits),
        Float::Bf16 => pack_row(values, format, words, bf16_bits),
    }
    Ok(())
}

/// The largest f32 that does not become infinite.
#[inline(always)]
fn largest_held(float: Float) -> f32 {
    match float {
        Float::F32 => f32::MAX,
        Float::F16 => 65520.0f32.next_down(),
        // Half a unit above the largest bf16 is a tie, which goes up.
        Float::Bf16 => f32::from_bits(0x7f7f_7fff),
    }
}

/// The f16 of a value that it holds.
#[inline(always)]
fn f16_bits(x: f32) -> u32 {
    let magnitude = to_f16(x).abs();
    let normal = magnitude.to_bits().wrapping_sub(112 << 23) >> 13;
    // One unit of 0.5 is that of f16's subnormals, 2^-24.
    let subnormal = (magnitude + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let bits = if magnitude < 0.5f32.powi(14) {
        subnormal
    } else {
        normal
    };
    bits | x.to_bits() >> 16 & 0x8000
}

/// The bf16 of a finite value.
#[inline(always)]
fn bf16_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 509th bit pattern of the floats that a type holds, and those around every place where it rounds.
    #[test]
    fn floats_are_those_of_the_reference() {
        for (float, cast) in [
            (Float::F16, f16_bits as fn(f32) -> u32),
            (Float::Bf16, bf16_bits),
        ] {
            let ties = (0..0x7f80_0000u32).step_by(1 << 12);
            let near = ties.flat_map(|bits| [-1i32, 0, 1].map(|i| bits.saturating_add_signed(i)));
            for bits in (0..0x7f80_0000).step_by(509).chain(near) {
                let x = f32::from_bits(bits);
                if x > largest_held(float) {
                    continue;
                }
                for x in [x, -x] {
                    assert_eq!(cast(x), float.rounded(x), "{x:e} as {float:?}");
                }
            }
        }
    }

    #[test]
    fn the_largest_floats_are_those_that_stay_finite() {
        for float in Float::ALL {
            let most = largest_held(float);
            assert!(float.widened(float.rounded(most)).is_finite(), "{float:?}");
            let next = most.next_up();
            assert!(
                float.widened(float.rounded(next)).is_infinite(),
                "{float:?}"
            );
        }
    }
}
