//! How the rows of a batch are shared out.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::block::rows_per_block;
use super::occurrences::Segment;
use crate::training::UpdateStatus;

/// Columns that are worth a task of their own.
const SMALLEST: usize = 1 << 14;

/// How many segments make a task: enough to be worth it, few enough to keep all cores busy to the end.
pub(super) fn segments_per_task(segments: usize, dim: usize) -> usize {
    let share = segments.div_ceil(8 * rayon::current_num_threads());
    let rows = rows_per_block(dim);
    share.max(SMALLEST.div_ceil(dim)).next_multiple_of(rows)
}

/// Runs every task under the best instruction set that the machine has, in parallel; here where there is one
/// task or one thread, because waking another costs as much as a small batch.
///
/// A task is a type and no closure: what a closure borrows mutably is called through a function of its own,
/// which is compiled for the baseline where it is not inlined.
pub(super) fn run<T>(tasks: Vec<T>) -> Vec<T::Output>
where
    T: NullaryFnOnce + Send,
    T::Output: Send,
{
    let arch = Arch::new();
    if tasks.len() <= 1 || rayon::current_num_threads() == 1 {
        return tasks.into_iter().map(|task| arch.dispatch(task)).collect();
    }
    tasks
        .into_par_iter()
        .map(|task| arch.dispatch(task))
        .collect()
}

/// Rows that could not be updated.
#[derive(Clone, Copy, Debug)]
pub(super) struct BadRows {
    count: u32,
    first: u32,
}

impl BadRows {
    pub(super) const NONE: Self = Self {
        count: 0,
        first: u32::MAX,
    };

    pub(super) fn add(&mut self, row: u32) {
        *self = self.and(Self {
            count: 1,
            first: row,
        });
    }

    pub(super) fn sum(all: Vec<Self>) -> Self {
        all.into_iter().fold(Self::NONE, Self::and)
    }

    fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            first: self.first.min(other.first),
        }
    }

    pub(super) fn report(self, status: &mut UpdateStatus) {
        status.bad_rows += self.count;
        status.first_row = status.first_row.min(self.first);
    }
}

/// The part of an array of rows that a task owns: from a row on.
pub(super) struct Rows<'a, T> {
    base: u32,
    len: usize,
    items: &'a mut [T],
}

impl<'a, T> Rows<'a, T> {
    /// All rows, `len` items each.
    pub(super) fn all(items: &'a mut [T], len: usize) -> Self {
        Self {
            base: 0,
            len,
            items,
        }
    }

    /// Takes off the front what lies up to a row, which is among it.
    pub(super) fn split_off(&mut self, last: u32) -> Self {
        let end = last + 1;
        let items = (end - self.base) as usize * self.len;
        let (front, back) = std::mem::take(&mut self.items).split_at_mut(items);
        self.items = back;
        let base = std::mem::replace(&mut self.base, end);
        Self {
            base,
            len: self.len,
            items: front,
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, row: u32) -> &[T] {
        &self.items[(row - self.base) as usize * self.len..][..self.len]
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, row: u32) -> &mut [T] {
        &mut self.items[(row - self.base) as usize * self.len..][..self.len]
    }
}

/// What stood in the rows of a batch before, row after row.
pub(super) struct Kept<T> {
    len: usize,
    items: Vec<T>,
}

/// A task's part of it, from its first segment on.
pub(super) struct Keeping<'a, T> {
    len: usize,
    items: &'a mut [T],
}

impl<T: Copy + Default> Kept<T> {
    /// Room for these rows, `len` items each.
    pub(super) fn new(segments: &[Segment], len: usize) -> Self {
        Self {
            len,
            items: vec![T::default(); segments.len() * len],
        }
    }

    pub(super) fn all(&mut self) -> Keeping<'_, T> {
        Keeping {
            len: self.len,
            items: &mut self.items,
        }
    }

    /// Puts everything back.
    pub(super) fn restore(&self, segments: &[Segment], mut rows: Rows<'_, T>) {
        for (at, segment) in segments.iter().enumerate() {
            let before = &self.items[at * self.len..][..self.len];
            rows.get_mut(segment.row).copy_from_slice(before);
        }
    }
}

impl<T: Copy> Keeping<'_, T> {
    /// Takes the part of these segments off the front.
    pub(super) fn split_off(&mut self, segments: &[Segment]) -> Self {
        Self {
            len: self.len,
            items: split_front(&mut self.items, segments.len() * self.len),
        }
    }

    /// Keeps the rows of the segments from number `at` of the task on.
    #[inline(always)]
    pub(super) fn keep(&mut self, at: usize, segments: &[Segment], rows: &Rows<'_, T>) {
        for (at, segment) in (at..).zip(segments) {
            self.items[at * self.len..][..self.len].copy_from_slice(rows.get(segment.row));
        }
    }
}

/// Takes the next `len` items off the front.
pub(super) fn split_front<'a, T>(items: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (front, back) = std::mem::take(items).split_at_mut(len);
    *items = back;
    front
}
