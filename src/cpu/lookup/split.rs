//! A lookup in parts, each of them a task.

use std::marker::PhantomData;
use std::ops::Range;

use super::Batch;
use super::decode::{Decode, Visit, choose};
use super::fold::{Fold, Max, Sum};
use super::gather::{Gather, Source};
use super::level::Level;
use super::output::{LookupOutput, RowShape};
use super::pool::Pool;
use super::rows::Rows;
use crate::{LookupStatus, PackedTable, Pooling};

/// Values that a task is worth, those that are read: it takes tens of microseconds, and waking a core some.
const VALUES_PER_TASK: u64 = 1 << 17;

/// What becomes of rows of the table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work<'a> {
    /// One row of output to a bag.
    Pool(Batch<'a>, &'a [u32]),
    /// One row of output to a row of the table.
    Gather(Source<'a>),
}

/// A part of a lookup: some rows of its output.
pub(super) struct Part<'a> {
    pub(super) table: &'a PackedTable,
    pub(super) level: Level,
    pub(super) work: Work<'a>,
    /// Output rows.
    pub(super) range: Range<usize>,
    /// Their memory alone, but for what lies between rows.
    pub(super) output: LookupOutput<'a>,
    pub(super) shape: RowShape,
}

impl Part<'_> {
    /// Does it, on as many cores as it is worth; the status is in positions and bags of the whole.
    pub(super) fn run(self) -> LookupStatus {
        if self.values() <= VALUES_PER_TASK
            || self.range.len() < 2
            || rayon::current_num_threads() == 1
        {
            return choose(self.table, self);
        }
        let (first, second) = self.halves();
        let (first, second) = rayon::join(|| first.run(), || second.run());
        first.and(second)
    }

    /// Values that it reads; about, where offsets are wrong.
    fn values(&self) -> u64 {
        let positions = match self.work {
            Work::Pool(_, offsets) => {
                offsets[self.range.end].saturating_sub(offsets[self.range.start]) as u64
            }
            Work::Gather(_) => 0,
        };
        (positions + self.range.len() as u64) * u64::from(self.table.dim())
    }

    fn halves(self) -> (Self, Self) {
        let Range { start, end } = self.range;
        let middle = start + (end - start) / 2;
        let values = (middle - start) * self.shape.stride;
        let (first, second) = self.output.split_at(values);
        let half = |range, output| Self {
            table: self.table,
            level: self.level,
            work: self.work,
            range,
            output,
            shape: self.shape,
        };
        (half(start..middle, first), half(middle..end, second))
    }
}

impl Visit for Part<'_> {
    type Output = LookupStatus;

    fn visit<D: Decode>(self, decode: D) -> LookupStatus {
        let rows = Rows::new(self.table, decode);
        match self.work {
            Work::Gather(source) => self.level.run(Gather {
                rows,
                source,
                positions: self.range,
                output: self.output,
                shape: self.shape,
            }),
            Work::Pool(batch, offsets) => match batch.pooling {
                Pooling::Max => self.pool::<D, Max>(rows, batch, offsets),
                _ => self.pool::<D, Sum>(rows, batch, offsets),
            },
        }
    }
}

impl<'a> Part<'a> {
    fn pool<D: Decode, F: Fold>(
        self,
        rows: Rows<'a, D>,
        batch: Batch<'a>,
        offsets: &'a [u32],
    ) -> LookupStatus {
        self.level.run(Pool {
            rows,
            batch,
            offsets,
            bags: self.range,
            output: self.output,
            shape: self.shape,
            fold: PhantomData::<F>,
        })
    }
}
