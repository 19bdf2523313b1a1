//! Gradients of rows: their occurrences in order, 256 to a chunk, sixteen columns at a time.

use pulp::NullaryFnOnce;

use super::super::lanes::{Factor, LANES, Lanes, add, flush};
use super::occurrences::{Occurrences, Segment, Slot};
use super::task::run;
use crate::training::CHUNK;

/// What the gradients of a batch's rows are summed from.
pub(super) struct Sums<'a> {
    gradient: &'a [f32],
    dim: usize,
    slots: &'a [Slot],
    /// Chunks of rows that have several, summed beforehand so that a frequent row is no work for one core
    /// alone: where each such segment's begin, and their sums.
    long: Vec<(u32, usize)>,
    chunks: Vec<Lanes>,
}

impl<'a> Sums<'a> {
    /// Sums the chunks of rows that have several, in parallel.
    pub(super) fn new(occurrences: &'a Occurrences, gradient: &'a [f32], dim: usize) -> Self {
        let mut sums = Self {
            gradient,
            dim,
            slots: &occurrences.slots,
            long: vec![],
            chunks: vec![],
        };
        let mut ranges = vec![];
        for segment in &occurrences.segments {
            if is_long(segment) {
                sums.long.push((segment.row, ranges.len()));
                let slots = &occurrences.slots[segment.slots()];
                ranges.extend(slots.chunks(CHUNK as usize));
            }
        }
        let width = dim.div_ceil(LANES);
        let mut chunks = vec![Lanes::splat(0.0); ranges.len() * width];
        let outs = chunks.chunks_mut(width).zip(ranges);
        let tasks = outs.map(|(out, slots)| Chunk {
            sums: &sums,
            slots,
            out,
        });
        run(tasks.collect());
        sums.chunks = chunks;
        sums
    }

    /// `sum of coefficient * gradient[bag]` over a row's occurrences; columns beyond the last are 0. Not
    /// finite in a column where a factor, a term or a sum is not: such a number never becomes finite again.
    #[inline(always)]
    pub(super) fn gradient(&self, segment: &Segment, out: &mut [Lanes]) {
        if !is_long(segment) {
            return self.chunk(&self.slots[segment.slots()], out);
        }
        let found = self.long.binary_search_by_key(&segment.row, |long| long.0);
        let first = self.long[found.expect("every long segment is among them")].1;
        let count = segment.slots().len().div_ceil(CHUNK as usize);
        out.fill(Lanes::splat(0.0));
        for chunk in first..first + count {
            let sums = &self.chunks[chunk * out.len()..][..out.len()];
            for (total, sum) in out.iter_mut().zip(sums) {
                *total = total.zip(*sum, add);
            }
        }
    }

    #[inline(always)]
    fn chunk(&self, slots: &[Slot], out: &mut [Lanes]) {
        let (whole, rest) = (self.dim / LANES, self.dim % LANES);
        for (group, sum) in out[..whole].iter_mut().enumerate() {
            *sum = self.group(
                slots,
                group * LANES,
                #[inline(always)]
                |from| Lanes::from_slice(&from[..LANES]),
            );
        }
        if rest > 0 {
            out[whole] = self.group(
                slots,
                whole * LANES,
                #[inline(always)]
                |from| Lanes::padded(&from[..rest]),
            );
        }
    }

    /// The columns from one on.
    #[inline(always)]
    fn group(&self, slots: &[Slot], column: usize, read: impl Fn(&[f32]) -> Lanes) -> Lanes {
        let mut sum = Lanes::splat(0.0);
        for slot in slots {
            let elements = read(&self.gradient[slot.bag as usize * self.dim + column..]).map(flush);
            // A term of 1 * x is x: the commonest coefficient costs no product.
            let terms = if slot.coefficient == 1.0 {
                elements
            } else {
                let coefficient = Factor::new(slot.coefficient);
                elements.map(|x| coefficient.times(x))
            };
            sum = sum.zip(terms, add);
        }
        sum
    }
}

/// One chunk of a row that has several.
struct Chunk<'a> {
    sums: &'a Sums<'a>,
    slots: &'a [Slot],
    out: &'a mut [Lanes],
}

impl NullaryFnOnce for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.sums.chunk(self.slots, self.out);
    }
}

fn is_long(segment: &Segment) -> bool {
    segment.slots().len() > CHUNK as usize
}
