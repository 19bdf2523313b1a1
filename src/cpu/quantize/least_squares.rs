//! Least squares of sixteen rows at once.

use super::block::Block;
use super::columns::Sums;
use super::grid::Grids;
use super::lanes::{LANES, Lanes, add, div, mul, sub};
use super::search::{self, Keep};
use crate::Search;
use crate::method::cut;

/// From the best range of the greedy search and from the full one.
#[inline(always)]
pub(super) fn lsq(block: &Block, search: Search, iterations: u32) -> Grids {
    from_starts(block, search, iterations, 1)
}

/// From the best range of the greedy search and from sixteen with 0 to 3 parts cut from each end.
#[inline(always)]
pub(super) fn best(block: &Block, search: Search, iterations: u32) -> Grids {
    from_starts(block, search, iterations, 16)
}

/// Steps of the grid in the largest value of a row, beyond which nothing is refined.
const MOST_STEPS: f32 = 16384.0;

/// The best of all, of equals the first. The first of the starts is the full range.
#[inline(always)]
fn from_starts(block: &Block, search: Search, iterations: u32, starts: u32) -> Grids {
    let greedy = search::narrowed(block, search, Keep::Range);
    let (mut best, mut least) = refined(block, greedy, iterations);
    let coarse: [bool; LANES] = std::array::from_fn(|lane| {
        let largest = block.low[lane].abs().max(block.high[lane].abs());
        mul(greedy.scale[lane], MOST_STEPS) >= largest
    });
    let cut = cut(block.bits);
    let part = Lanes::new(|lane| mul(sub(block.high[lane], block.low[lane]), cut));
    for start in 0..starts {
        let (low_parts, high_parts) = ((start / 4) as f32, (start % 4) as f32);
        let low = block
            .low
            .zip(part, |low, part| add(low, mul(low_parts, part)));
        let high = block
            .high
            .zip(part, |high, part| sub(high, mul(high_parts, part)));
        let (found, loss) = refined(block, block.rule.of_ranges(low, high), iterations);
        for lane in 0..LANES {
            if loss[lane] < least[lane] {
                least[lane] = loss[lane];
                best.take(lane, &found);
            }
        }
    }
    for lane in (0..LANES).filter(|lane| !coarse[*lane]) {
        best.take(lane, &greedy);
    }
    best
}

/// Alternates while a row's loss falls.
#[inline(always)]
fn refined(block: &Block, start: Grids, iterations: u32) -> (Grids, Lanes) {
    let (mut best, mut least) = (start, block.loss_of(&start));
    let mut falling: [bool; LANES] = std::array::from_fn(|lane| start.fits(lane));
    for _ in 0..iterations {
        if falling == [false; LANES] {
            break;
        }
        let (next, possible) = fitted(block, &best);
        let loss = block.loss_of(&next);
        for lane in 0..LANES {
            falling[lane] &= possible[lane] && next.fits(lane) && loss[lane] < least[lane];
            if falling[lane] {
                least[lane] = loss[lane];
                best.take(lane, &next);
            }
        }
    }
    (best, least)
}

/// The scales and biases with the least squares for the codes of `grids`, and for which rows there are
/// any.
#[inline(always)]
fn fitted(block: &Block, grids: &Grids) -> (Grids, [bool; LANES]) {
    let n = block.columns.count() as f32;
    let sums = block.columns.sums(grids, block.rule.max_code);
    let mut possible = [false; LANES];
    let (mut scale, mut bias) = (Lanes::splat(1.0), Lanes::splat(0.0));
    for lane in 0..LANES {
        if let Some((fitted_scale, shift)) = fit(&sums, lane, n) {
            possible[lane] = true;
            scale[lane] = fitted_scale;
            bias[lane] = add(grids.bias[lane], shift);
        }
    }
    (block.rule.of_headers(scale, bias), possible)
}

/// Scale, and how far the bias moves; `None` where all codes are one.
#[inline(always)]
fn fit(sums: &Sums, lane: usize, n: f32) -> Option<(f32, f32)> {
    let codes = sums.codes[lane] as f32;
    let mean_code = div(codes, n);
    let variance = sub(sums.squared_codes[lane] as f32, mul(codes, mean_code));
    let distances = sums.distances[lane];
    let covariance = sub(sums.products[lane], mul(distances, mean_code));
    if variance <= 0.0 {
        return None;
    }
    let scale = div(covariance, variance);
    let rest = sub(distances, mul(scale, codes));
    Some((scale, div(rest, n)))
}
