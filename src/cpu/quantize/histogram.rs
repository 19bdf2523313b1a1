//! Ranges chosen by a row's histogram.

use super::block::Block;
use super::grid::Grids;
use super::lanes::{LANES, add, div, mul, sub};
use super::scan::{RowRange, input};
use crate::Bits;
use crate::method::bin_errors;

/// Reciprocal of the quantile step.
const QUANTILE_STEPS: u32 = 100_000;

/// What a value in a bin is expected to cost, by range of bins: [`bin_errors`], with the places of a
/// length turned round, so that neighbouring ranges read neighbouring numbers.
pub(super) struct Errors {
    bins: usize,
    table: Vec<f32>,
}

impl Errors {
    pub(super) fn new(bins: u32, bits: Bits) -> Self {
        let mut table = bin_errors(bins, bits);
        let places = 2 * bins as usize - 1;
        table.chunks_exact_mut(places).for_each(<[f32]>::reverse);
        Self {
            bins: bins as usize,
            table,
        }
    }

    /// What a value in `bin` costs, for every range of this length, by its first bin.
    #[inline(always)]
    fn by_start(&self, bin: usize, length: usize) -> &[f32] {
        let places = 2 * self.bins - 1;
        &self.table[(length - 1) * places + self.bins - 1 - bin..][..self.bins - length + 1]
    }
}

/// A range of bins.
#[derive(Clone, Copy)]
pub(super) struct Bins {
    start: usize,
    length: usize,
}

/// The grids of every row's range of bins, as `choose` finds it.
#[inline(always)]
pub(super) fn ranges(
    block: &Block,
    rows: &[Option<&[f32]>; LANES],
    full: &[Option<RowRange>; LANES],
    errors: &Errors,
    choose: impl Fn(&[u32], &Errors) -> Bins,
) -> Grids {
    let (mut low, mut high) = (block.low, block.high);
    for (lane, (row, range)) in rows.iter().zip(full).enumerate() {
        let (Some(row), Some(range)) = (row, range) else {
            continue;
        };
        let bins = choose(&counts(row, *range, errors.bins), errors);
        let width = div(sub(range.high, range.low), errors.bins as f32);
        let edge = |bin: usize| add(range.low, mul(width, bin as f32));
        if bins.start > 0 {
            low[lane] = edge(bins.start);
        }
        if bins.start + bins.length < errors.bins {
            high[lane] = edge(bins.start + bins.length);
        }
    }
    block.rule.of_ranges(low, high)
}

#[inline(always)]
fn counts(row: &[f32], range: RowRange, bins: usize) -> Vec<u32> {
    let mut counts = vec![0; bins];
    let bins_per_unit = div(bins as f32, sub(range.high, range.low));
    for x in row {
        let at = mul(sub(input(*x), range.low), bins_per_unit) as usize;
        counts[at.min(bins - 1)] += 1;
    }
    counts
}

/// Every range of bins, those of one length together.
#[inline(always)]
pub(super) fn brute(counts: &[u32], errors: &Errors) -> Bins {
    let bins = errors.bins;
    let occupied: Vec<_> = (0..bins).filter(|bin| counts[*bin] > 0).collect();
    let mut best = Bins {
        start: 0,
        length: bins,
    };
    let mut least = f32::MAX;
    let mut sums = vec![0.0; bins];
    for length in 1..=bins {
        let sums = &mut sums[..bins - length + 1];
        sums.fill(0.0);
        for &bin in &occupied {
            let count = counts[bin] as f32;
            for (sum, error) in sums.iter_mut().zip(errors.by_start(bin, length)) {
                *sum += count * error;
            }
        }
        for (start, &sum) in sums.iter().enumerate() {
            if sum < least {
                (least, best) = (sum, Bins { start, length });
            }
        }
    }
    best
}

/// Drops bins from the high end by quantiles until the error grows. The low end never moves: its bin
/// alone holds more than a quantile step of a row's values.
#[inline(always)]
pub(super) fn approximate(counts: &[u32], errors: &Errors) -> Bins {
    let total: u32 = counts.iter().sum();
    // Values above the bin that the range ends with.
    let mut above = 0;
    let mut last = errors.bins - 1;
    let mut steps = 0;
    let mut least = f32::MAX;
    loop {
        // The first step that reaches a bin further down.
        steps = (above * QUANTILE_STEPS / total).max(steps) + 1;
        let mut next = last;
        while next > 0 && above * QUANTILE_STEPS < steps * total {
            above += counts[next];
            next -= 1;
        }
        if steps > QUANTILE_STEPS || next == last {
            break;
        }
        let terms = (0..errors.bins).filter(|bin| counts[*bin] > 0);
        let error = terms.fold(0.0, |sum, bin| {
            sum + counts[bin] as f32 * errors.by_start(bin, next + 1)[0]
        });
        if error > least {
            break;
        }
        (last, least) = (next, error);
    }
    Bins {
        start: 0,
        length: last + 1,
    }
}
