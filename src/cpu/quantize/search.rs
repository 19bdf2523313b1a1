//! The greedy walk of sixteen rows at once.

use super::block::Block;
use super::grid::Grids;
use super::lanes::{LANES, Lanes, add, div, mul, sub};
use crate::Search;

/// Where every row's walk stands.
struct Walk {
    step: Lanes,
    kept: Lanes,
    low: Lanes,
    high: Lanes,
}

/// Both ranges one step narrower, and what they cost.
struct Candidates {
    left_low: Lanes,
    right_high: Lanes,
    left_loss: Lanes,
    right_loss: Lanes,
}

impl Walk {
    #[inline(always)]
    fn new(block: &Block, search: Search, kept_bins: f32) -> Self {
        let span = block.high.zip(block.low, sub);
        let step = Lanes::new(|lane| div(span[lane], search.bins as f32));
        Self {
            step,
            kept: Lanes::new(|lane| mul(kept_bins, step[lane])),
            low: block.low,
            high: block.high,
        }
    }

    /// Which rows have further to go.
    #[inline(always)]
    fn walking(&self) -> [bool; LANES] {
        std::array::from_fn(|lane| add(self.low[lane], self.kept[lane]) < self.high[lane])
    }

    #[inline(always)]
    fn candidates(&self, loss: impl Fn(Lanes, Lanes) -> Lanes) -> Candidates {
        let left_low = self.low.zip(self.step, add);
        let right_high = self.high.zip(self.step, sub);
        Candidates {
            left_low,
            right_high,
            left_loss: loss(left_low, self.high),
            right_loss: loss(self.low, right_high),
        }
    }

    /// Moves a row's cheaper end; gives what the new range costs.
    #[inline(always)]
    fn step(&mut self, lane: usize, candidates: &Candidates) -> (End, f32) {
        if candidates.left_loss[lane] < candidates.right_loss[lane] {
            self.low[lane] = candidates.left_low[lane];
            (End::Low, candidates.left_loss[lane])
        } else {
            self.high[lane] = candidates.right_high[lane];
            (End::High, candidates.right_loss[lane])
        }
    }
}

/// Which end moved.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Low,
    High,
}

/// What is kept of the walk where a step makes a new best.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keep {
    /// The range: the best that was tried.
    Range,
    /// The end that moved, as in the paper's pseudo-code.
    MovedEnd,
}

/// The full range, narrowed by what is kept of the walk.
#[inline(always)]
pub(super) fn narrowed(block: &Block, search: Search, keep: Keep) -> Grids {
    let kept_bins = match keep {
        Keep::Range => search.kept_bins() as f32,
        Keep::MovedEnd => search.kept_bins_exactly(),
    };
    let mut walk = Walk::new(block, search, kept_bins);
    let mut least = block.loss(block.low, block.high);
    let (mut low, mut high) = (block.low, block.high);
    for _ in 0..search.most_steps() {
        let walking = walk.walking();
        if walking == [false; LANES] {
            break;
        }
        let candidates = walk.candidates(|low, high| block.loss(low, high));
        for lane in (0..LANES).filter(|lane| walking[*lane]) {
            let (end, loss) = walk.step(lane, &candidates);
            if loss < least[lane] {
                least[lane] = loss;
                if keep == Keep::Range || end == End::Low {
                    low[lane] = walk.low[lane];
                }
                if keep == Keep::Range || end == End::High {
                    high[lane] = walk.high[lane];
                }
            }
        }
    }
    block.rule.of_ranges(low, high)
}

/// PyTorch's: the best strict local optimum, else the full range.
#[inline(always)]
pub(super) fn torch(block: &Block, search: Search) -> Grids {
    let mut walk = Walk::new(block, search, search.kept_bins() as f32);
    let mut least = block.loss_in_order(block.low, block.high);
    let mut current = least;
    let (mut low, mut high) = (block.low, block.high);
    for _ in 0..search.most_steps() {
        let walking = walk.walking();
        if walking == [false; LANES] {
            break;
        }
        let candidates = walk.candidates(|low, high| block.loss_in_order(low, high));
        for lane in (0..LANES).filter(|lane| walking[*lane]) {
            let cheaper = candidates.left_loss[lane].min(candidates.right_loss[lane]);
            if current[lane] < cheaper && current[lane] < least[lane] {
                least[lane] = current[lane];
                low[lane] = walk.low[lane];
                high[lane] = walk.high[lane];
            }
            current[lane] = walk.step(lane, &candidates).1;
        }
    }
    block.rule.of_ranges(low, high)
}
