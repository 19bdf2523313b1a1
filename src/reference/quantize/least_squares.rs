//! Scale and bias fitted to the codes, codes to scale and bias, in turn.

use super::{Grid, Range, Rule, greedy};
use crate::method::cut;
use crate::reference::exact;
use crate::{Bits, Search};

/// From the best range of the greedy search and from the full one; the better, of equals the first.
pub(super) fn lsq(
    values: &[f32],
    range: Range,
    rule: Rule,
    search: Search,
    iterations: u32,
) -> Grid {
    from_starts(values, range, rule, search, iterations, [range])
}

/// From the best range of the greedy search and from [`starts`]; the best of all, of equals the first.
pub(super) fn best(
    values: &[f32],
    range: Range,
    rule: Rule,
    search: Search,
    iterations: u32,
) -> Grid {
    let starts = starts(range, rule.bits);
    from_starts(values, range, rule, search, iterations, starts)
}

/// Steps of the grid in the largest value of a row, beyond which nothing is refined: the loss would measure
/// how f32 rounds the values, not how the grid fits them.
const MOST_STEPS: f32 = 16384.0;

fn from_starts(
    values: &[f32],
    range: Range,
    rule: Rule,
    search: Search,
    iterations: u32,
    starts: impl IntoIterator<Item = Range>,
) -> Grid {
    let greedy = greedy::best_visited(values, range, rule, search);
    let largest = range.symmetric().high;
    if exact::mul(greedy.header.scale, MOST_STEPS) < largest {
        return greedy;
    }
    let mut best = refined(values, greedy, rule, iterations);
    for start in starts {
        let Some(grid) = Grid::of_range(start, rule) else {
            continue;
        };
        let found = refined(values, grid, rule, iterations);
        if found.1 < best.1 {
            best = found;
        }
    }
    best.0
}

/// Sixteen ranges, 0 to 3 parts of the full one cut from each end; the low end outermost.
fn starts(range: Range, bits: Bits) -> impl Iterator<Item = Range> {
    let part = exact::mul(range.span(), cut(bits));
    (0..4).flat_map(move |low| {
        (0..4).map(move |high| Range {
            low: exact::add(range.low, exact::mul(exact::integer(low), part)),
            high: exact::sub(range.high, exact::mul(exact::integer(high), part)),
        })
    })
}

/// Alternates while the loss falls; the last grid that made it fall, and its loss.
fn refined(values: &[f32], start: Grid, rule: Rule, iterations: u32) -> (Grid, f32) {
    let mut best = (start, start.loss(values));
    for _ in 0..iterations {
        let Some(next) = fitted(values, best.0, rule) else {
            break;
        };
        let loss = next.loss(values);
        if loss >= best.1 {
            break;
        }
        best = (next, loss);
    }
    best
}

/// The scale and bias with the least squares for the codes of a grid, rounded to the header's type; `None`
/// where all codes are one, and where the header cannot hold them.
fn fitted(values: &[f32], grid: Grid, rule: Rule) -> Option<Grid> {
    let n = exact::integer(values.len() as u32);
    let codes = || values.iter().map(|&x| grid.code(x));
    // Relative to the present bias, so that a large one costs no digits.
    let distances = || values.iter().map(|&x| exact::sub(x, grid.header.bias));
    let code_sum = exact::integer(codes().sum());
    let square_sum = exact::integer(codes().map(|code| code * code).sum());
    let distance_sum = exact::sum16(distances());
    let product_sum = exact::sum16(
        codes()
            .zip(distances())
            .map(|(q, d)| exact::mul(exact::integer(q), d)),
    );

    let mean_code = exact::div(code_sum, n);
    let variance = exact::sub(square_sum, exact::mul(code_sum, mean_code));
    if variance <= 0.0 {
        return None;
    }
    let covariance = exact::sub(product_sum, exact::mul(distance_sum, mean_code));
    let scale = exact::div(covariance, variance);
    let rest = exact::sub(distance_sum, exact::mul(scale, code_sum));
    let bias = exact::add(grid.header.bias, exact::div(rest, n));
    Grid::of_header(scale, bias, rule)
}
