//! Ranges around zero or around the mean: golden-section search, analytical clipping.

use super::{Grid, Range, Rule};
use crate::method::clip;
use crate::reference::exact;

/// Steps of the golden-section search: the interval shrinks to 0.618^20, 7e-5 of the largest magnitude.
pub(super) const GOLDEN_STEPS: u32 = 20;
/// (sqrt(5) - 1) / 2
const GOLDEN: f32 = 0.618_034;

/// The best symmetric range tried by a golden-section search between 0 and the largest magnitude,
/// which is tried too. The loss need not have one minimum alone, so that the best may not be the last.
pub(super) fn golden_section(values: &[f32], symmetric: Range, rule: Rule) -> Grid {
    let grid = |high: f32| Grid::of_range(Range { low: -high, high }, rule);
    let loss = |high: f32| grid(high).map_or(f32::MAX, |grid| grid.loss(values));
    let inner = |from: f32, length: f32| exact::add(from, exact::mul(GOLDEN, length));

    let (mut a, mut b) = (0.0, symmetric.high);
    let mut best = (loss(b), b);
    let mut tried = |high: f32| {
        let found = loss(high);
        if found < best.0 {
            best = (found, high);
        }
        found
    };
    let length = exact::sub(b, a);
    let (mut c, mut d) = (inner(b, -length), inner(a, length));
    let (mut loss_c, mut loss_d) = (tried(c), tried(d));
    for _ in 0..GOLDEN_STEPS {
        if loss_c < loss_d {
            (b, d, loss_d) = (d, c, loss_c);
            c = inner(b, -exact::sub(b, a));
            loss_c = tried(c);
        } else {
            (a, c, loss_c) = (c, d, loss_d);
            d = inner(a, exact::sub(b, a));
            loss_d = tried(d);
        }
    }
    grid(best.1).expect("it was tried before")
}

/// The range around the mean that promises less error, cut to where there are values.
pub(super) fn aciq(values: &[f32], range: Range, rule: Rule) -> Grid {
    let full = || Grid::of_range(range, rule).expect("the full range was tried before");
    let n = values.len() as u32;
    if n < 2 {
        return full();
    }
    let mean = exact::div(exact::sum16(values.iter().copied()), exact::integer(n));
    let deviations = || values.iter().map(|&x| exact::sub(x, mean));
    let squares = exact::sum16(deviations().map(exact::squared));
    let variance = exact::div(squares, exact::integer(n - 1));
    let absolute = exact::sum16(deviations().map(f32::abs));
    let deviation = exact::div(absolute, exact::integer(n));

    let clip = clip(rule.bits);
    let normal_error = exact::mul(clip.normal_error, variance);
    let laplace_error = exact::mul(clip.laplace_error, exact::squared(deviation));
    let reach = if normal_error < laplace_error {
        exact::mul(clip.normal, exact::sqrt(variance))
    } else {
        exact::mul(clip.laplace, deviation)
    };
    let (low, high) = (exact::sub(mean, reach), exact::add(mean, reach));
    // Comparisons written out: `max` and `min` leave open which zero they give.
    let clipped = Range {
        low: if low > range.low { low } else { range.low },
        high: if high < range.high { high } else { range.high },
    };
    Grid::of_range(clipped, rule).unwrap_or_else(full)
}
