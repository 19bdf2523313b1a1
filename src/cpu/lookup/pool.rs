//! Bags of rows, each to one row of the output.

use std::marker::PhantomData;
use std::ops::Range;

use super::super::lanes::{LANES, Lanes};
use super::Batch;
use super::columns::{Blocks, GROUPS_MAX, each_block, each_group};
use super::decode::Decode;
use super::fold::Fold;
use super::isa::{Isa, Task};
use super::output::{LookupOutput, RowShape};
use super::prefetch::ROWS_AHEAD;
use super::rows::{Copied, NOT_COPIED, Rows, RowsPart};
use crate::{LookupStatus, Pooling};

/// Consecutive indices of a bag that are summed on their own: part of what a sum is (`docs/accuracy.md`).
const CHUNK: usize = 64;

/// Some of a batch's bags.
pub(super) struct Pool<'a, D, F> {
    pub(super) rows: Rows<'a, D>,
    pub(super) batch: Batch<'a>,
    pub(super) offsets: &'a [u32],
    pub(super) bags: Range<usize>,
    /// The output of these bags alone.
    pub(super) output: LookupOutput<'a>,
    pub(super) shape: RowShape,
    pub(super) fold: PhantomData<F>,
}

impl<D: Decode, F: Fold> Task for Pool<'_, D, F> {
    type Output = LookupStatus;

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) -> LookupStatus {
        let mut status = LookupStatus::CLEAR;
        let mut copied = NOT_COPIED;
        self.prefetch_first();
        for row in 0..self.bags.len() {
            let dim = self.rows.dim;
            match self.positions(row, &mut status) {
                None => self.output.zero_row(row, self.shape),
                Some(positions) => {
                    let bag = Bag {
                        pool: &mut self,
                        row,
                        positions,
                        copied: &mut copied,
                    };
                    each_block(isa, dim, I::GROUPS, bag);
                }
            }
        }
        status
    }
}

impl<D: Decode, F: Fold> Pool<'_, D, F> {
    /// The rows that nobody has asked for when the first bag is begun.
    #[inline(always)]
    fn prefetch_first(&self) {
        let first = self.offsets[self.bags.start] as usize;
        let part = self.rows.part::<GROUPS_MAX>(0);
        for index in self.batch.indices.iter().skip(first).take(ROWS_AHEAD) {
            part.prefetch(*index);
        }
    }

    /// The positions of a bag; `None` where its output is zeros: it is bad or empty, or no index is a row.
    #[inline(always)]
    fn positions(&self, row: usize, status: &mut LookupStatus) -> Option<Range<usize>> {
        let bag = self.bags.start + row;
        let positions = self.offsets[bag] as usize..self.offsets[bag + 1] as usize;
        let Some(indices) = self.batch.indices.get(positions.clone()) else {
            status.bad_bags = status.bad_bags.wrapping_add(1);
            status.first_bag = status.first_bag.min(bag as u32);
            return None;
        };
        let rows = self.rows.count;
        let mut bad = 0;
        for &index in indices {
            bad += u32::from(index >= rows);
        }
        if bad > 0 {
            let first = indices.iter().take_while(|index| **index < rows).count();
            status.bad_indices = status.bad_indices.wrapping_add(bad);
            status.first_position = status.first_position.min((positions.start + first) as u32);
        }
        (bad as usize != indices.len()).then_some(positions)
    }
}

/// One bag, to one row of the output.
struct Bag<'t, 'a, D, F> {
    pool: &'t mut Pool<'a, D, F>,
    row: usize,
    positions: Range<usize>,
    copied: &'t mut Copied,
}

impl<D: Decode, F: Fold> Blocks for Bag<'_, '_, D, F> {
    #[inline(always)]
    fn block<I: Isa, const N: usize>(&mut self, isa: I, group: usize) {
        let part = self.pool.rows.part::<N>(group);
        let mut folded = [Lanes::splat(F::EMPTY); N];
        for begin in self.positions.clone().step_by(CHUNK) {
            let end = self.positions.end.min(begin + CHUNK);
            let chunk = self.chunk(isa, part, begin..end);
            each_group::<N>(
                #[inline(always)]
                |at| folded[at] = F::join(folded[at], chunk[at]),
            );
        }
        // From here on they lie in memory: where the compiler sees what becomes of the lanes it takes the sums
        // apart in the loops already.
        let mut folded = std::hint::black_box(folded);
        each_group::<N>(
            #[inline(always)]
            |at| folded[at] = D::in_order(folded[at]),
        );
        if self.pool.batch.pooling == Pooling::Mean {
            let divisor = self.positions.len() as f32;
            each_group::<N>(
                #[inline(always)]
                |at| {
                    folded[at] = folded[at].map(
                        #[inline(always)]
                        |x| x / divisor,
                    );
                },
            );
        }
        let shape = self.pool.shape;
        self.pool.output.store((self.row, group), shape, &folded);
    }
}

impl<D: Decode, F: Fold> Bag<'_, '_, D, F> {
    /// Folds `N` groups of the columns of consecutive positions.
    #[inline(always)]
    fn chunk<I: Isa, const N: usize>(
        &mut self,
        isa: I,
        part: RowsPart<'_, D, N>,
        positions: Range<usize>,
    ) -> [Lanes; N] {
        let batch = self.pool.batch;
        let mut folded = [Lanes::splat(F::EMPTY); N];
        let mut at = positions.start;
        let mut is_copied = false;
        // One turn, but for what the loop within leaves to this: what calls a function there would keep the sums
        // out of registers.
        while at < positions.end {
            let (source, end) = match is_copied {
                true => (part.of_copied(self.copied), at + 1),
                false => (part, positions.end),
            };
            // A loop of its own for no weights, which takes time to compile, where it is much faster: where codes are
            // computed with whatever the instruction set, and on the widest.
            let has_own = D::GROUP_BYTES >= LANES || I::GROUPS == GROUPS_MAX;
            at += if F::IS_WEIGHTED && has_own && batch.weights.is_none() {
                fold::<I, D, F, N, false>(isa, source, batch, at..end, &mut folded)
            } else {
                fold::<I, D, F, N, true>(isa, source, batch, at..end, &mut folded)
            };
            is_copied = at < end && part.copy(batch.indices[at], self.copied);
            if at < end && !is_copied {
                at += 1;
            }
        }
        folded
    }
}

/// Folds rows to the first that a part does not give; the number of positions. There are no weights but where
/// `WEIGHTED`.
#[inline(always)]
fn fold<I: Isa, D: Decode, F: Fold, const N: usize, const WEIGHTED: bool>(
    isa: I,
    part: RowsPart<'_, D, N>,
    batch: Batch<'_>,
    positions: Range<usize>,
    folded: &mut [Lanes; N],
) -> usize {
    let ahead = batch.indices.get(positions.start + ROWS_AHEAD..);
    let ahead = ahead.unwrap_or(&[]);
    let weights = batch.weights.map(
        #[inline(always)]
        |weights| &weights[positions.clone()],
    );
    let indices = &batch.indices[positions];
    let mut sums = *folded;
    let mut done = indices.len();
    for (position, &index) in indices.iter().enumerate() {
        if let Some(&ahead) = ahead.get(position) {
            part.prefetch(ahead);
        }
        let Some((mut levels, codes)) = part.read(isa, index) else {
            done = position;
            break;
        };
        let mut weight = None;
        if WEIGHTED {
            let row = weights.map_or(
                1.0,
                #[inline(always)]
                |weights| weights[position],
            );
            F::weigh::<I, D>(&mut levels, row);
            weight = Some(row);
        }
        each_group::<N>(
            #[inline(always)]
            |at| {
                let codes = &codes[at * D::GROUP_BYTES..][..D::GROUP_BYTES];
                let values = D::values(isa, &levels, codes);
                sums[at] = F::take::<I, D>(sums[at], values, weight);
            },
        );
    }
    *folded = sums;
    done
}
