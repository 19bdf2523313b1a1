//! Rows rounded with new steps.

use pulp::NullaryFnOnce;

use super::super::lanes::{LANES, Lanes};
use super::block::rows_per_block;
use super::decode::decode;
use super::draws::Draws;
use super::header::symmetric;
use super::optimizer::load;
use super::store::write;
use super::task::{Rows, run, segments_per_task};
use crate::Format;
use crate::philox::RandomKey;
use crate::reference::Staged;
use crate::training::Rounding;

/// A row that is to be rounded with a new step.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewRow {
    pub(super) row: u32,
    pub(super) step: f32,
    /// The segment that has its values; `None` where they are those of the table.
    pub(super) staged: Option<usize>,
}

/// How rows are rounded.
pub(super) struct Rewriter<'a> {
    pub(super) format: Format,
    pub(super) dim: usize,
    pub(super) staged: &'a Staged,
    pub(super) rounding: Rounding,
    pub(super) key: RandomKey,
}

impl Rewriter<'_> {
    /// Writes rows, which are in order, in parallel.
    pub(super) fn rewrite<'a>(&'a self, rows: &'a [NewRow], mut words: Rows<'a, u32>) {
        let per_task = segments_per_task(rows.len(), self.dim);
        let task = |rows: &'a [NewRow]| Task {
            rewriter: self,
            rows,
            words: words.split_off(rows[rows.len() - 1].row),
        };
        run(rows.chunks(per_task).map(task).collect());
    }
}

/// Some of the rows, and the part of the table that holds them.
struct Task<'a> {
    rewriter: &'a Rewriter<'a>,
    rows: &'a [NewRow],
    words: Rows<'a, u32>,
}

impl NullaryFnOnce for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let how = self.rewriter;
        let mut values = vec![Lanes::splat(0.0); how.dim.div_ceil(LANES)];
        let together = rows_per_block(how.dim);
        let mut draws = Draws::new(together, values.len());
        for rows in self.rows.chunks(together) {
            if how.rounding == Rounding::Stochastic {
                draws.fill(how.key, rows.iter().map(|row| row.row));
            }
            for (at, row) in rows.iter().enumerate() {
                let words = self.words.get_mut(row.row);
                match row.staged {
                    None => decode(words, how.format, how.dim, &mut values),
                    Some(segment) => {
                        let from = &how.staged.values[segment * how.dim..][..how.dim];
                        load(from, &mut values);
                    }
                }
                let header = symmetric(row.step, how.format).expect("learned steps are sound");
                let draws = |group: usize| draws.group(at, group);
                let values = (&values[..], how.dim);
                write(values, how.format, header, (how.rounding, draws), words);
            }
        }
    }
}
