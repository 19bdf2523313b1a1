//! Arithmetic with one result on every device.
//!
//! f32 rounded to nearest even; what is below 2^-126 in magnitude counts as zero, because some
//! devices flush it and some do not. A result is rounded first, as if the exponent had no lower
//! end, then flushed; a flushed result is +0.

/// The smallest normal f32, 2^-126.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// An input: a subnormal becomes a zero of its sign.
pub fn input(x: f32) -> f32 {
    if x.is_subnormal() {
        0.0f32.copysign(x)
    } else {
        x
    }
}

/// A result computed in f64 without error that could matter to the one rounding done here.
///
/// From half a unit below 2^-126 on, 24 bits round up to it; the cast, whose units are twice as
/// coarse there, does so too.
pub fn round(x: f64) -> f32 {
    const ROUNDS_UP: f64 = TINY - TINY * (f32::EPSILON as f64) / 4.0;
    if x.abs() < ROUNDS_UP { 0.0 } else { x as f32 }
}

/// `a + b`. The sum of two floats is exact where it is subnormal.
pub fn add(a: f32, b: f32) -> f32 {
    let sum = a + b;
    if sum.abs() < f32::MIN_POSITIVE {
        0.0
    } else {
        sum
    }
}

/// `a - b`.
pub fn sub(a: f32, b: f32) -> f32 {
    add(a, -b)
}

/// `a * b`: exact in f64, then rounded once.
pub fn mul(a: f32, b: f32) -> f32 {
    round(f64::from(a) * f64::from(b))
}

/// `a / b`: 53 bits suffice for the second rounding, to 24, to be the only one.
pub fn div(a: f32, b: f32) -> f32 {
    round(f64::from(a) / f64::from(b))
}

/// `sqrt(a)`: 53 bits suffice for the second rounding, to 24, to be the only one.
pub fn sqrt(a: f32) -> f32 {
    f64::from(a).sqrt() as f32
}

/// `a * a`; what would be below the normals is zero.
pub fn squared(a: f32) -> f32 {
    // (2^-63)^2 is the smallest normal; the next smaller float's square rounds to less.
    if a.abs() < 0.5f32.powi(63) {
        0.0
    } else {
        a * a
    }
}

/// An integer, rounded to nearest even.
pub fn integer(a: u32) -> f32 {
    a as f32
}

/// f32 to f16 and back.
pub fn to_f16(a: f32) -> f32 {
    half::f16::from_f32(a).to_f32()
}

/// The sum of non-negative or well-scaled terms, one for every column, in the order in which 16 lanes
/// that share a row make it: partial sums by column mod 16, each in order of columns, then
/// lane `i` takes lane `i + 8`'s, then `i + 4`'s, then `i + 2`'s, then `i + 1`'s.
pub fn sum16(terms: impl Iterator<Item = f32>) -> f32 {
    let mut partial = [0.0; 16];
    for (column, term) in terms.enumerate() {
        partial[column % 16] = add(partial[column % 16], term);
    }
    for stride in [8, 4, 2, 1] {
        for lane in 0..stride {
            partial[lane] = add(partial[lane], partial[lane + stride]);
        }
    }
    partial[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_below_the_normals_are_positive_zero() {
        let tiny = f32::MIN_POSITIVE;
        assert_eq!(mul(-tiny, 0.5).to_bits(), 0);
        assert_eq!(sub(1.5 * tiny, tiny).to_bits(), 0);
        assert_eq!(div(tiny, 2.0).to_bits(), 0);
        assert_eq!(mul(-0.0, 1.0).to_bits(), 0);
        assert_eq!(input(-1e-40).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn a_product_that_rounds_up_to_the_smallest_normal_is_kept() {
        // (1 - 2^-24) * 2^-126 rounds to 2^-126 (tie to even, 24 bits); (1 - 2^-23) does not.
        let just_below = 1.0 - f32::EPSILON / 2.0;
        let above = f32::MIN_POSITIVE * (1.0 + f32::EPSILON);
        assert_eq!(mul(just_below, f32::MIN_POSITIVE).to_bits(), 0);
        assert_eq!(mul(just_below, above), f32::MIN_POSITIVE);
        let half_a_unit = 0.5f64.powi(151);
        assert_eq!(round(TINY - half_a_unit), f32::MIN_POSITIVE);
        assert_eq!(round(-(TINY - half_a_unit)), -f32::MIN_POSITIVE);
        assert_eq!(round(TINY - half_a_unit * 1.000_001), 0.0);
    }

    #[test]
    fn squares_below_the_normals_are_zero() {
        let edge = 0.5f32.powi(63);
        assert_eq!(squared(edge), f32::MIN_POSITIVE);
        assert_eq!(squared(-edge), f32::MIN_POSITIVE);
        assert_eq!(squared(f32::from_bits(edge.to_bits() - 1)), 0.0);
        assert_eq!(squared(3.0), 9.0);
    }

    #[test]
    fn sixteen_partial_sums_in_their_order() {
        assert_eq!(sum16((1..=100).map(|i| i as f32)), 5050.0);
        // Lane 0 holds 2^24 and takes lane 8's 1 first, which is lost; then lane 4's 2 + 0, which is not.
        let mut terms = [0.0; 16];
        terms[0] = 16_777_216.0;
        terms[8] = 1.0;
        terms[4] = 1.0;
        terms[12] = 1.0;
        assert_eq!(sum16(terms.into_iter()), 16_777_218.0);
    }

    #[test]
    fn infinities_and_nans_pass() {
        assert_eq!(mul(f32::MAX, 2.0), f32::INFINITY);
        assert!(mul(f32::INFINITY, 0.0).is_nan());
        assert!(sub(f32::INFINITY, f32::INFINITY).is_nan());
    }
}
