//! Narrows the range from the end that costs less; three choices of what to keep of the walk.

use super::{Grid, Range, Rule};
use crate::Search;
use crate::reference::exact;

/// Where the walk stands, and what storing the row with that range costs.
#[derive(Clone, Copy)]
struct Stand {
    range: Range,
    loss: f32,
}

/// Which end moved.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Low,
    High,
}

/// The length of a step.
fn step(range: Range, search: Search) -> f32 {
    exact::div(range.span(), exact::integer(search.bins))
}

/// Both ranges that are one step narrower.
fn narrower(range: Range, step: f32) -> [Range; 2] {
    let Range { low, high } = range;
    [
        Range {
            low: exact::add(low, step),
            high,
        },
        Range {
            low,
            high: exact::sub(high, step),
        },
    ]
}

/// Where storing a row with a range costs more than any f32, the range is one that the header cannot hold.
fn loss(values: &[f32], range: Range, rule: Rule) -> f32 {
    Grid::of_range(range, rule).map_or(f32::MAX, |grid| grid.loss(values))
}

/// Walks from the full range while more than `kept` steps of it are left; hands every new stand and the end
/// that moved to `visit`.
fn walk(
    start: Stand,
    (step, kept): (f32, f32),
    most_steps: u32,
    mut loss: impl FnMut(Range) -> f32,
    mut visit: impl FnMut(Stand, End),
) {
    let kept = exact::mul(kept, step);
    let mut range = start.range;
    for _ in 0..most_steps {
        if exact::add(range.low, kept) >= range.high {
            break;
        }
        let [left, right] = narrower(range, step);
        let (left_loss, right_loss) = (loss(left), loss(right));
        if left_loss < right_loss {
            range = left;
            visit(
                Stand {
                    range,
                    loss: left_loss,
                },
                End::Low,
            );
        } else {
            range = right;
            visit(
                Stand {
                    range,
                    loss: right_loss,
                },
                End::High,
            );
        }
    }
}

/// The best range on the way, the full one included.
pub(super) fn best_visited(values: &[f32], range: Range, rule: Rule, search: Search) -> Grid {
    let start = Stand {
        range,
        loss: loss(values, range, rule),
    };
    let mut best = start;
    walk(
        start,
        (step(range, search), exact::integer(search.kept_bins())),
        search.most_steps(),
        |range| loss(values, range, rule),
        |stand, _| {
            if stand.loss < best.loss {
                best = stand;
            }
        },
    );
    grid(best.range, range, rule)
}

/// The paper's pseudo-code: where a step makes a new best, the end that moved is kept, the other one left
/// as it was kept before.
pub(super) fn paper(values: &[f32], range: Range, rule: Rule, search: Search) -> Grid {
    let start = Stand {
        range,
        loss: loss(values, range, rule),
    };
    let mut kept = range;
    let mut least = start.loss;
    walk(
        start,
        (step(range, search), search.kept_bins_exactly()),
        search.most_steps(),
        |range| loss(values, range, rule),
        |stand, end| {
            if stand.loss < least {
                least = stand.loss;
                match end {
                    End::Low => kept.low = stand.range.low,
                    End::High => kept.high = stand.range.high,
                }
            }
        },
    );
    grid(kept, range, rule)
}

/// PyTorch's `choose_qparams_optimized`, Caffe2's `param_search_greedy`: the best of the stands that both
/// their neighbours are worse than; the full range where there is none.
///
/// Written as its own loop, to be compared with the original line by line.
pub(super) fn torch(values: &[f32], range: Range, rule: Rule, search: Search) -> Grid {
    let loss =
        |range| Grid::of_range(range, rule).map_or(f32::MAX, |grid| grid.loss_in_order(values));
    let step = step(range, search);
    let threshold = exact::mul(exact::integer(search.kept_bins()), step);
    let mut best = range;
    let mut best_loss = loss(range);
    let mut current = range;
    let mut current_loss = best_loss;
    for _ in 0..search.most_steps() {
        if exact::add(current.low, threshold) >= current.high {
            break;
        }
        let [left, right] = narrower(current, step);
        let (left_loss, right_loss) = (loss(left), loss(right));
        if current_loss < left_loss && current_loss < right_loss && current_loss < best_loss {
            best_loss = current_loss;
            best = current;
        }
        if left_loss < right_loss {
            current = left;
            current_loss = left_loss;
        } else {
            current = right;
            current_loss = right_loss;
        }
    }
    grid(best, range, rule)
}

/// The grid of a range that the search chose; the paper's may be one that it never tried, which the header
/// need not hold.
fn grid(chosen: Range, full: Range, rule: Rule) -> Grid {
    Grid::of_range(chosen, rule)
        .or_else(|| Grid::of_range(full, rule))
        .expect("the full range was tried before")
}
