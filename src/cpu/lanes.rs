//! Sixteen numbers at a time, one to a lane: plain loops that compile to vector instructions.
//!
//! Everything here is inlined into its caller, which runs under the instruction set found at run time.

use std::ops::{Index, IndexMut};

/// Numbers that are worked on together: rows that are quantized, columns of a row that is updated.
pub(super) const LANES: usize = 16;

/// One number of each.
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
        Self(array(f))
    }

    /// The first sixteen.
    #[inline(always)]
    pub(super) fn from_slice(x: &[f32]) -> Self {
        Self::new(|lane| x[..LANES][lane])
    }

    /// At most sixteen, then zeros.
    #[inline(always)]
    pub(super) fn padded(x: &[f32]) -> Self {
        let mut lanes = Self::splat(0.0);
        lanes.0[..x.len()].copy_from_slice(x);
        lanes
    }

    #[inline(always)]
    pub(super) fn as_array(&self) -> &[f32; LANES] {
        &self.0
    }

    #[inline(always)]
    pub(super) fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self::new(|lane| f(self[lane]))
    }

    /// Lane `i` takes lane `i + 8`'s number, then `i + 4`'s, `i + 2`'s, `i + 1`'s.
    #[inline(always)]
    pub(super) fn sum(mut self) -> f32 {
        for stride in [8, 4, 2, 1] {
            for lane in 0..stride {
                self[lane] = add(self[lane], self[lane + stride]);
            }
        }
        self[0]
    }

    #[inline(always)]
    pub(super) fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self::new(|lane| f(self[lane], other[lane]))
    }
}

/// `std::array::from_fn`, which in long functions is not inlined: then it runs without the instruction set.
#[inline(always)]
pub(super) fn array<T: Copy + Default, const N: usize>(mut f: impl FnMut(usize) -> T) -> [T; N] {
    let mut all = [T::default(); N];
    for (i, x) in all.iter_mut().enumerate() {
        *x = f(i);
    }
    all
}

impl From<[f32; LANES]> for Lanes {
    #[inline(always)]
    fn from(x: [f32; LANES]) -> Self {
        Self(x)
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
pub(super) fn mul(a: f32, b: f32) -> f32 {
    Factor::new(a).times(b)
}

/// One factor of many products.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor {
    plain: f32,
    shifted: f32,
}

impl Factor {
    #[inline(always)]
    pub(super) fn new(plain: f32) -> Self {
        Self {
            plain,
            shifted: plain * SHIFT,
        }
    }

    /// [`mul`].
    ///
    /// The product of f32 hardware is right but for one case: below 2^-126 its units are twice those of 24
    /// bits, and so it is 2^-126 already for what 24 bits round to the number below, which is flushed. The
    /// product of the shifted factor is rounded to 24 bits there, and tells. Where the shift
    /// overflows, the product is far from that case, or zero.
    #[inline(always)]
    pub(super) fn times(self, b: f32) -> f32 {
        let product = self.plain * b;
        let flushed = (product.abs() < f32::MIN_POSITIVE)
            | ((self.shifted * b).abs() < f32::MIN_POSITIVE * SHIFT);
        if flushed { 0.0 } else { product }
    }
}

/// Multiplying by it is exact, and lifts what rounds to 2^-126 well above the subnormals.
const SHIFT: f32 = (1 << 24) as f32;

/// Rounded once, as if the exponent had no lower end, then flushed.
///
/// The quotient of f32 hardware is right but for one case: `2^-126 (1 - 2^-24)`, all ones over a power of two,
/// which has 24 bits and is to be flushed, is a tie between two subnormals and goes up to 2^-126. There the
/// dividend is less than 2^-126 of the divisor, and wherever else the result is flushed. Half of the 2^-126
/// is taken to either side: products that are subnormal, which cost hundreds of cycles, are then those of divisors
/// below 2^-63 alone, of which no float but zero is less than 2^-126.
#[inline(always)]
pub(super) fn div(a: f32, b: f32) -> f32 {
    const UP: f32 = (1u64 << 63) as f32;
    let quotient = a / b;
    let flushed = (quotient.abs() < f32::MIN_POSITIVE) | (b.abs() * (1.0 / UP) > a.abs() * UP);
    if flushed { 0.0 } else { quotient }
}

/// What would be below the normals is zero.
#[inline(always)]
pub(super) fn squared(a: f32) -> f32 {
    // (2^-63)^2 is the smallest normal; the square of the next smaller float is a whole unit of the subnormals
    // less, and stays below when rounded to them.
    flush(a * a)
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

/// The value of an f16, without a branch and without subnormal arithmetic.
#[inline(always)]
pub(super) fn from_half_bits(bits: u16) -> f32 {
    const INFINITE: u32 = 0x7c00;
    // The exponents differ by 112; at the top f32 has as many again.
    const EXPONENTS: u32 = 112 << 23;
    let magnitude = u32::from(bits) & 0x7fff;
    let rebased = (magnitude << 13) + EXPONENTS;
    let normal = if magnitude >= INFINITE {
        rebased + EXPONENTS
    } else {
        rebased
    };
    // Subnormals are units of 2^-24, which is that of 0.5.
    let subnormal = f32::from_bits(0.5f32.to_bits() + magnitude) - 0.5;
    let value = if magnitude < 0x0400 {
        subnormal.to_bits()
    } else {
        normal
    };
    f32::from_bits(value | (u32::from(bits) & 0x8000) << 16)
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
    fn every_f16_has_its_value() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits).to_f32();
            assert!(same(from_half_bits(bits), expected), "{bits:#06x}");
        }
    }

    /// Numbers of all sizes and of both signs, close to powers of two on either side.
    fn edges() -> Vec<f32> {
        let near = |bits: u32| [-2i32, -1, 0, 1, 2].map(|i| bits.wrapping_add_signed(i));
        let powers = (0..256u32).flat_map(|exponent| near(exponent << 23));
        let mut bits: Vec<u32> = powers.collect();
        // Halves and thirds, whose products are ties, and a few more.
        bits.extend((0..256u32).flat_map(|exponent| {
            [0x40_0000, 0x2a_aaab, 0x55_5555].map(|mantissa| exponent << 23 | mantissa)
        }));
        let signs = |bits: u32| [f32::from_bits(bits), -f32::from_bits(bits)];
        bits.into_iter().flat_map(signs).collect()
    }

    fn same(got: f32, expected: f32) -> bool {
        got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan()
    }

    #[test]
    fn products_and_quotients_are_those_of_the_reference() {
        let edges = edges();
        for &a in &edges {
            for &b in &edges {
                assert!(same(mul(a, b), exact::mul(a, b)), "{a:e} * {b:e}");
                assert!(same(div(a, b), exact::div(a, b)), "{a:e} / {b:e}");
            }
            let normal = exact::input(a);
            assert!(same(squared(normal), exact::squared(normal)), "{a:e}");
        }
    }

    /// Factors and divisors whose results surround 2^-126, where 24 bits and the subnormals round apart.
    #[test]
    fn results_around_the_smallest_normal() {
        for step in 0..200_000u32 {
            let a = f32::from_bits(0x3f80_0000 | step.wrapping_mul(0x9e37_79b9) >> 9);
            for scale in [0.5f32.powi(120), 0.5f32.powi(63), 1.0, 2.0f32.powi(100)] {
                let a = a * scale;
                let b = (f64::from(f32::MIN_POSITIVE) / f64::from(a)) as f32;
                let c = (f64::from(a) / f64::from(f32::MIN_POSITIVE)) as f32;
                for i in -2..=2 {
                    let near = |x: f32| f32::from_bits(x.to_bits().wrapping_add_signed(i));
                    assert!(same(mul(a, near(b)), exact::mul(a, near(b))), "{a:e} {b:e}");
                    assert!(same(mul(near(b), a), exact::mul(near(b), a)), "{b:e} {a:e}");
                    assert!(same(div(a, near(c)), exact::div(a, near(c))), "{a:e} {c:e}");
                }
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
