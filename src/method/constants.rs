//! Numbers that methods are made of; every wing takes them from here.

use crate::Bits;

/// What the two distributions are clipped at, and what error they then promise.
///
/// Source: Banner et al. 2018, "Post training 4-bit quantization of convolution networks for
/// rapid-deployment". The errors are its closed forms at those clips, which leave a constant times the
/// square of the deviation: `(1 + k^2) (1 - erf(k / sqrt 2)) - sqrt(2 / pi) k exp(-k^2 / 2) + k^2 / (3 * 4^bits)`
/// for the normal one, `2 exp(-m) + m^2 / (3 * 4^bits)` for Laplace's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Standard deviations that a normal distribution is clipped at.
    pub normal: f32,
    /// Its error in units of the variance.
    pub normal_error: f32,
    /// Mean absolute deviations that a Laplace distribution is clipped at.
    pub laplace: f32,
    /// Its error in units of the squared mean absolute deviation.
    pub laplace_error: f32,
}

/// The clips of a width.
pub const fn clip(bits: Bits) -> Clip {
    let (normal, normal_error, laplace, laplace_error) = match bits {
        Bits::B2 => (1.71, 0.087_148_526, 2.83, 0.284_877_79),
        Bits::B3 => (2.15, 0.031_429_537, 3.89, 0.119_703_71),
        Bits::B4 => (2.55, 0.010_494_246, 5.03, 0.046_021_501),
        Bits::B8 => (3.92, 8.707_941e-5, 9.89, 5.988_559_6e-4),
    };
    Clip {
        normal,
        normal_error,
        laplace,
        laplace_error,
    }
}

/// The part of the range that a start of [`super::Method::Best`] cuts off: the fewer codes, the more is worth clipping.
pub const fn cut(bits: Bits) -> f32 {
    match bits {
        Bits::B2 => 0.125,
        Bits::B3 => 0.0625,
        Bits::B4 => 0.03125,
        Bits::B8 => 0.003_906_25,
    }
}

/// What one value in a bin of the histogram is expected to cost, for every range of bins that the codes
/// may span, in units of a bin's squared width.
///
/// Shape `[bins, 2 * bins - 1]`: the range's length in bins less one, then the bin's place relative to the
/// range's first one, plus `bins - 1`. Values are taken to be spread evenly over their bin, and rounded to
/// the middle of one of `2^bits` equal parts of the range, the nearest one where they lie outside.
///
/// # Source
/// Caffe2's `norm_minimization.cc` (L2). A constant table, computed in f64 and rounded, so that every
/// device adds the same numbers.
pub fn bin_errors(bins: u32, bits: Bits) -> Vec<f32> {
    let places = || (1 - i64::from(bins))..i64::from(bins);
    (1..=i64::from(bins))
        .flat_map(|length| places().map(move |place| bin_error(place, length, bits) as f32))
        .collect()
}

/// One entry of [`bin_errors`].
fn bin_error(place: i64, length: i64, bits: Bits) -> f64 {
    let parts = i64::from(bits.max_code()) + 1;
    let width = length as f64 / parts as f64;
    // Which part a boundary of bins lies in.
    let part = |at: i64| (at * parts).div_euclid(length).clamp(0, parts - 1);
    let middle = |part: i64| (part as f64 + 0.5) * width;
    let integral = |from: f64, to: f64| (to.powi(3) - from.powi(3)) / 3.0;
    let (first, last) = (part(place), part(place + 1));
    let whole_parts = (last - first - 1) as f64;
    integral(place as f64 - middle(first), width / 2.0)
        + whole_parts * integral(-width / 2.0, width / 2.0)
        + integral(-width / 2.0, (place + 1) as f64 - middle(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The density of a distribution with deviation 1, integrated numerically against the error of clipping
    /// at `clip` and rounding within.
    fn error(clip: f64, bits: Bits, density: impl Fn(f64) -> f64) -> f64 {
        const STEP: f64 = 1e-4;
        let beyond = (0..400_000).map(|i| {
            let x = clip + (f64::from(i) + 0.5) * STEP;
            2.0 * density(x) * (x - clip) * (x - clip) * STEP
        });
        beyond.sum::<f64>() + clip * clip / (3.0 * 4.0f64.powi(bits.count() as i32))
    }

    #[test]
    fn the_errors_are_those_of_the_distributions() {
        let normal = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let laplace = |x: f64| (-x).exp() / 2.0;
        for bits in Bits::ALL {
            let clip = clip(bits);
            let expected = error(clip.normal.into(), bits, normal);
            approx::assert_relative_eq!(
                f64::from(clip.normal_error),
                expected,
                max_relative = 1e-5
            );
            let expected = error(clip.laplace.into(), bits, laplace);
            approx::assert_relative_eq!(
                f64::from(clip.laplace_error),
                expected,
                max_relative = 1e-5
            );
        }
    }

    /// A bin as wide as a part of the range is rounded to its middle: the variance of an even
    /// distribution over one bin.
    #[test]
    fn errors_by_hand() {
        let errors = bin_errors(4, Bits::B2);
        let at = |place: i64, length: usize| errors[(length - 1) * 7 + (place + 3) as usize];
        for place in 0..4 {
            assert_eq!(at(place, 4), 1.0 / 12.0);
        }
        // Codes over one bin, four quarters; the bin beside it goes to the last quarter's middle, 1/8 off.
        assert_eq!(at(0, 1), 1.0 / 12.0 / 16.0);
        let beside = (1.125f64.powi(3) - 0.125f64.powi(3)) / 3.0;
        assert_eq!(at(1, 1), beside as f32);
        assert_eq!(at(-1, 1), beside as f32);
    }
}
