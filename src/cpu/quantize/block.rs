//! Sixteen rows on their way to a grid each.

use super::columns::Columns;
use super::grid::{Grids, Rule};
use super::lanes::Lanes;
use super::scan::RowRange;
use crate::Bits;

/// Sixteen rows that can be searched; a lane without one holds zeros.
pub(super) struct Block<'a> {
    pub(super) rule: Rule,
    pub(super) bits: Bits,
    pub(super) columns: &'a Columns,
    pub(super) low: Lanes,
    pub(super) high: Lanes,
}

impl Block<'_> {
    /// What storing the rows with these ranges costs, squared.
    #[inline(always)]
    pub(super) fn loss(&self, low: Lanes, high: Lanes) -> Lanes {
        self.loss_of(&self.rule.of_ranges(low, high))
    }

    /// The same as a distance, summed in order of columns.
    #[inline(always)]
    pub(super) fn loss_in_order(&self, low: Lanes, high: Lanes) -> Lanes {
        let grids = self.rule.of_ranges(low, high);
        let losses = self.columns.losses_in_order(&grids, self.rule.max_code);
        or_largest(losses, &grids)
    }

    /// What storing the rows with these grids costs, squared.
    #[inline(always)]
    pub(super) fn loss_of(&self, grids: &Grids) -> Lanes {
        or_largest(self.columns.losses(grids, self.rule.max_code), grids)
    }
}

/// A grid that the header cannot hold costs more than any other.
#[inline(always)]
fn or_largest(losses: Lanes, grids: &Grids) -> Lanes {
    Lanes::new(|lane| {
        if grids.fits(lane) {
            losses[lane]
        } else {
            f32::MAX
        }
    })
}

impl RowRange {
    /// Whether f32 holds the squared errors of such rows, and their sum.
    pub(super) fn is_searchable(self) -> bool {
        let largest = self.low.abs().max(self.high.abs());
        largest < 2.0f32.powi(50) && self.high - self.low > 0.5f32.powi(50)
    }

    /// From `-max|x|` to `max|x|`.
    pub(super) fn symmetric(self) -> Self {
        let high = self.low.abs().max(self.high.abs());
        Self { low: -high, high }
    }
}
