//! Golden-section search and analytical clipping of sixteen rows at once.

use super::block::Block;
use super::columns::squared;
use super::grid::Grids;
use super::lanes::{LANES, Lanes, add, div, mul, sub};
use crate::method::clip;

/// Steps of the golden-section search.
const GOLDEN_STEPS: u32 = 20;
/// (sqrt(5) - 1) / 2
const GOLDEN: f32 = 0.618_034;

/// The best symmetric range tried between 0 and the largest magnitude, which is `block.high`.
#[inline(always)]
pub(super) fn golden_section(block: &Block) -> Grids {
    let negative = |x: Lanes| Lanes::new(|lane| -x[lane]);
    let loss = |high: Lanes| block.loss(negative(high), high);
    let (mut a, mut b) = (Lanes::splat(0.0), block.high);
    let (mut least, mut best) = (loss(b), b);
    let mut tried = |high: Lanes| {
        let found = loss(high);
        for lane in 0..LANES {
            if found[lane] < least[lane] {
                (least[lane], best[lane]) = (found[lane], high[lane]);
            }
        }
        found
    };
    let (mut c, mut d) = (a.zip(b, lower), a.zip(b, upper));
    let (mut loss_c, mut loss_d) = (tried(c), tried(d));
    for _ in 0..GOLDEN_STEPS {
        let left: [bool; LANES] = std::array::from_fn(|lane| loss_c[lane] < loss_d[lane]);
        for lane in 0..LANES {
            if left[lane] {
                (b[lane], d[lane], loss_d[lane]) = (d[lane], c[lane], loss_c[lane]);
                c[lane] = lower(a[lane], b[lane]);
            } else {
                (a[lane], c[lane], loss_c[lane]) = (c[lane], d[lane], loss_d[lane]);
                d[lane] = upper(a[lane], b[lane]);
            }
        }
        let found = tried(Lanes::new(
            |lane| if left[lane] { c[lane] } else { d[lane] },
        ));
        for lane in 0..LANES {
            match left[lane] {
                true => loss_c[lane] = found[lane],
                false => loss_d[lane] = found[lane],
            }
        }
    }
    block.rule.of_ranges(negative(best), best)
}

/// A golden part of the way from `b` down to `a`.
#[inline(always)]
fn lower(a: f32, b: f32) -> f32 {
    add(b, mul(GOLDEN, -sub(b, a)))
}

/// A golden part of the way from `a` up to `b`.
#[inline(always)]
fn upper(a: f32, b: f32) -> f32 {
    add(a, mul(GOLDEN, sub(b, a)))
}

/// The range around the mean that promises less error, cut to where there are values.
#[inline(always)]
pub(super) fn aciq(block: &Block) -> Grids {
    let n = block.columns.count() as f32;
    if n < 2.0 {
        return block.rule.of_ranges(block.low, block.high);
    }
    let sum = block.columns.sum_of(|x, _| x);
    let mean = Lanes::new(|lane| div(sum[lane], n));
    let squares = block.columns.sum_of(|x, lane| squared(sub(x, mean[lane])));
    let absolute = block.columns.sum_of(|x, lane| sub(x, mean[lane]).abs());
    let clip = clip(block.bits);
    let reach = Lanes::new(|lane| {
        let variance = div(squares[lane], n - 1.0);
        let deviation = div(absolute[lane], n);
        let normal_error = mul(clip.normal_error, variance);
        let laplace_error = mul(clip.laplace_error, squared(deviation));
        match normal_error < laplace_error {
            true => mul(clip.normal, variance.sqrt()),
            false => mul(clip.laplace, deviation),
        }
    });
    // Comparisons written out: `max` and `min` leave open which zero they give.
    let low = Lanes::new(|lane| {
        let clipped = sub(mean[lane], reach[lane]);
        if clipped > block.low[lane] {
            clipped
        } else {
            block.low[lane]
        }
    });
    let high = Lanes::new(|lane| {
        let clipped = add(mean[lane], reach[lane]);
        if clipped < block.high[lane] {
            clipped
        } else {
            block.high[lane]
        }
    });
    block.rule.of_ranges(low, high)
}
