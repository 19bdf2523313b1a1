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
pub fn round(x: f64) -> f32 {
    // Far above the subnormals, so that the cast rounds to 24 bits whatever the exponent.
    const LIFT: f64 = (1u128 << 100) as f64;
    if x.abs() >= 2.0 * TINY || x.is_nan() {
        return x as f32;
    }
    let rounded = f64::from((x * LIFT) as f32) / LIFT;
    if rounded.abs() < TINY {
        0.0
    } else {
        rounded as f32
    }
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
    }

    #[test]
    fn infinities_and_nans_pass() {
        assert_eq!(mul(f32::MAX, 2.0), f32::INFINITY);
        assert!(mul(f32::INFINITY, 0.0).is_nan());
        assert!(sub(f32::INFINITY, f32::INFINITY).is_nan());
    }
}
