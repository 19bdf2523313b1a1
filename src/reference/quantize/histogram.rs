//! Ranges chosen by the error that a histogram of the row lets one expect.

use super::{Grid, Range, Rule};
use crate::Bits;
use crate::method::bin_errors;
use crate::reference::exact;

/// Reciprocal of the quantile step of [`approximate`], 1e-5.
const QUANTILE_STEPS: u32 = 100_000;

/// A row's histogram.
struct Histogram {
    range: Range,
    counts: Vec<u32>,
    errors: Vec<f32>,
}

impl Histogram {
    fn new(values: &[f32], range: Range, bits: Bits, bins: u32) -> Self {
        let mut counts = vec![0; bins as usize];
        let bins_per_unit = exact::div(exact::integer(bins), range.span());
        for &x in values {
            let at = exact::mul(exact::sub(x, range.low), bins_per_unit) as u32;
            counts[at.min(bins - 1) as usize] += 1;
        }
        Self {
            range,
            counts,
            errors: bin_errors(bins, bits),
        }
    }

    fn bins(&self) -> usize {
        self.counts.len()
    }

    /// What a range of bins is expected to cost, summed in order of bins.
    fn error(&self, start: usize, length: usize) -> f32 {
        let bins = self.bins();
        let errors = &self.errors[(length - 1) * (2 * bins - 1)..][..2 * bins - 1];
        let costs =
            self.counts.iter().enumerate().map(|(bin, &count)| {
                exact::mul(exact::integer(count), errors[bin + bins - 1 - start])
            });
        costs.fold(0.0, exact::add)
    }

    /// The grid of a range of bins.
    fn grid(&self, start: usize, length: usize, rule: Rule) -> Grid {
        let width = exact::div(self.range.span(), exact::integer(self.bins() as u32));
        let edge = |bin: usize| match bin {
            0 => self.range.low,
            bin if bin == self.bins() => self.range.high,
            bin => exact::add(
                self.range.low,
                exact::mul(width, exact::integer(bin as u32)),
            ),
        };
        let chosen = Range {
            low: edge(start),
            high: edge(start + length),
        };
        Grid::of_range(chosen, rule)
            .or_else(|| Grid::of_range(self.range, rule))
            .expect("the full range was tried before")
    }
}

/// The range of bins with the smallest error; of equals the shortest, then the first.
///
/// # Source
/// Caffe2 `NormMinimization::Minimize`. Departures: the range need not contain zero, and the bias is a
/// number, not an integer zero point.
pub(super) fn brute(values: &[f32], range: Range, rule: Rule, bins: u32) -> Grid {
    let histogram = Histogram::new(values, range, rule.bits, bins);
    let bins = histogram.bins();
    let ranges =
        (1..=bins).flat_map(|length| (0..=bins - length).map(move |start| (start, length)));
    let mut best = (f32::MAX, 0, bins);
    for (start, length) in ranges {
        let error = histogram.error(start, length);
        if error < best.0 {
            best = (error, start, length);
        }
    }
    histogram.grid(best.1, best.2, rule)
}

/// Drops bins from the ends by quantiles until the error grows.
///
/// # Source
/// Caffe2 `NormMinimization::NonlinearQuantizationParamsSearch`, with quantiles counted in integers:
/// `cumulative * 1e5 < steps * total`. Departures as in [`brute`]. A row has fewer than 1e5 values, so that the
/// first bin alone holds more than a step and only the high end ever moves.
pub(super) fn approximate(values: &[f32], range: Range, rule: Rule, bins: u32) -> Grid {
    let histogram = Histogram::new(values, range, rule.bits, bins);
    let total = values.len() as u32;
    let cumulative: Vec<u32> = histogram
        .counts
        .iter()
        .scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        })
        .collect();
    let (mut low_steps, mut high_steps) = (0, 0);
    let (mut first, mut last) = (0, histogram.bins() - 1);
    let mut least = f32::MAX;
    while low_steps + high_steps < QUANTILE_STEPS {
        let mut next_first = first;
        while next_first < last && cumulative[next_first] * QUANTILE_STEPS < (low_steps + 1) * total
        {
            next_first += 1;
        }
        let mut next_last = last;
        while next_last > first
            && (total - cumulative[next_last]) * QUANTILE_STEPS < (high_steps + 1) * total
        {
            next_last -= 1;
        }
        if next_first - first > last - next_last {
            low_steps += 1;
            next_last = last;
        } else {
            high_steps += 1;
            next_first = first;
        }
        if (next_first, next_last) == (first, last) {
            continue;
        }
        let error = histogram.error(next_first, next_last + 1 - next_first);
        if error > least {
            break;
        }
        (first, last, least) = (next_first, next_last, error);
    }
    histogram.grid(first, last + 1 - first, rule)
}
