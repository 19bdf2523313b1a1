//! Single rows, each to one row of the output: gathers, and all rows of a table.

use std::ops::Range;

use super::super::lanes::{Factor, Lanes, flush};
use super::columns::{Blocks, each_block, each_group};
use super::decode::Decode;
use super::isa::{Isa, Task};
use super::output::{LookupOutput, RowShape};
use super::prefetch::ROWS_AHEAD;
use super::rows::{Copied, NOT_COPIED, Rows};
use crate::LookupStatus;

/// Which rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// Those of these indices, times as many weights or none.
    Indices(&'a [u32], Option<&'a [f32]>),
    /// Row `i` of the table to row `i` of the output.
    All,
}

impl Source<'_> {
    /// The index of a position; `None` beyond the last.
    #[inline(always)]
    fn index(self, position: usize) -> Option<u32> {
        match self {
            Self::Indices(indices, _) => indices.get(position).copied(),
            Self::All => Some(position as u32),
        }
    }

    #[inline(always)]
    fn weight(self, position: usize) -> Option<Factor> {
        match self {
            Self::Indices(_, Some(weights)) => Some(Factor::new(flush(weights[position]))),
            Self::Indices(_, None) | Self::All => None,
        }
    }
}

/// Some of the output's rows.
pub(super) struct Gather<'a, D> {
    pub(super) rows: Rows<'a, D>,
    pub(super) source: Source<'a>,
    pub(super) positions: Range<usize>,
    /// The output of these positions alone.
    pub(super) output: LookupOutput<'a>,
    pub(super) shape: RowShape,
}

impl<D: Decode> Task for Gather<'_, D> {
    type Output = LookupStatus;

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) -> LookupStatus {
        let mut status = LookupStatus::CLEAR;
        let mut copied = NOT_COPIED;
        let dim = self.rows.dim;
        for (row, position) in self.positions.clone().enumerate() {
            match self.source.index(position) {
                Some(index) if index < self.rows.count => {
                    let one = One {
                        weight: self.source.weight(position),
                        ahead: self.source.index(position + ROWS_AHEAD),
                        gather: &mut self,
                        row,
                        index,
                        copied: &mut copied,
                    };
                    each_block(isa, dim, 2, one);
                }
                _ => {
                    status.bad_indices = status.bad_indices.wrapping_add(1);
                    status.first_position = status.first_position.min(position as u32);
                    self.output.zero_row(row, self.shape);
                }
            }
        }
        status
    }
}

/// One row of the table, to one of the output.
struct One<'t, 'a, D> {
    gather: &'t mut Gather<'a, D>,
    row: usize,
    index: u32,
    weight: Option<Factor>,
    /// A row that is wanted soon.
    ahead: Option<u32>,
    copied: &'t mut Copied,
}

impl<D: Decode> Blocks for One<'_, '_, D> {
    #[inline(always)]
    fn block<I: Isa, const N: usize>(&mut self, isa: I, group: usize) {
        let Gather {
            rows,
            output,
            shape,
            ..
        } = &mut *self.gather;
        let part = rows.part::<N>(group);
        if let Some(ahead) = self.ahead {
            part.prefetch(ahead);
        }
        let read = part.read(isa, self.index).or_else(
            #[inline(always)]
            || {
                let is_row = part.copy(self.index, self.copied);
                is_row
                    .then_some(part.of_copied(self.copied))?
                    .read(isa, self.index)
            },
        );
        let Some((levels, codes)) = read else {
            return;
        };
        let mut values = [Lanes::splat(0.0); N];
        each_group::<N>(
            #[inline(always)]
            |at| {
                let codes = &codes[at * D::GROUP_BYTES..][..D::GROUP_BYTES];
                let exact = D::exact(D::values(isa, &levels, codes));
                let weighed = match self.weight {
                    None => exact,
                    Some(weight) => exact.map(
                        #[inline(always)]
                        |x| weight.times(x),
                    ),
                };
                values[at] = D::in_order(weighed);
            },
        );
        output.store((self.row, group), *shape, &values);
    }
}
