//! The first half of learning steps: new values beside the table.

use pulp::NullaryFnOnce;

use super::block::{Block, Step, rows_per_block, store};
use super::header::Headers;
use super::occurrences::{Occurrences, Segment, last_row};
use super::sort;
use super::store::write;
use super::task::{BadRows, Keeping, Rows, run, segments_per_task, split_front};
use crate::PackedTable;
use crate::training::Rounding;

/// Some rows of a batch, their state in the table's, and where their new values and rows go.
struct Task<'a> {
    step: &'a Step<'a>,
    headers: &'a Headers<'a>,
    table: &'a PackedTable,
    segments: &'a [Segment],
    state: Rows<'a, f32>,
    kept: Option<Keeping<'a, f32>>,
    values: &'a mut [f32],
    words: &'a mut [u32],
}

/// Moves the rows of a batch: their new values, and the same rounded to nearest with the old steps. Bad rows are
/// NaN there, and as they were here.
pub(super) fn stage_rows(
    step: &Step<'_>,
    headers: &Headers<'_>,
    segments: &[Segment],
    table: &PackedTable,
    (mut state, mut kept): (Rows<'_, f32>, Option<Keeping<'_, f32>>),
) -> (Vec<f32>, Vec<u32>, BadRows) {
    let row_words = step.format.row_words(step.dim as u32) as usize;
    let mut values = vec![0.0; segments.len() * step.dim];
    let mut words = vec![0; segments.len() * row_words];
    let (mut values_left, mut words_left) = (&mut values[..], &mut words[..]);
    let per_task = segments_per_task(segments.len(), step.dim);
    let tasks = segments
        .chunks(per_task)
        .map(|segments| Task {
            step,
            headers,
            table,
            segments,
            state: state.split_off(last_row(segments)),
            kept: kept.as_mut().map(|kept| kept.split_off(segments)),
            values: split_front(&mut values_left, segments.len() * step.dim),
            words: split_front(&mut words_left, segments.len() * row_words),
        })
        .collect();
    let bad = BadRows::sum(run(tasks));
    (values, words, bad)
}

impl NullaryFnOnce for Task<'_> {
    type Output = BadRows;

    #[inline(always)]
    fn call(mut self) -> BadRows {
        let (step, table) = (self.step, self.table);
        let mut bad = BadRows::NONE;
        let mut block = Block::new(step.dim);
        let rows = rows_per_block(step.dim);
        for (at, segments) in self.segments.chunks(rows).enumerate() {
            if let Some(kept) = &mut self.kept {
                kept.keep(at * rows, segments, &self.state);
            }
            block.sum(&step.sums, segments);
            for (row, segment) in segments.iter().enumerate() {
                let words = table.row_words(segment.row as usize);
                block.load(row, words, self.state.get(segment.row), step);
            }
            block.advance(segments.len(), step);
            self.store(at * rows, segments, &block, &mut bad);
        }
        bad
    }
}

impl Task<'_> {
    #[inline(always)]
    fn store(&mut self, at: usize, segments: &[Segment], block: &Block, bad: &mut BadRows) {
        let (step, headers, table) = (self.step, self.headers, self.table);
        let old = segments
            .iter()
            .map(|segment| (segment.row, table.row_words(segment.row as usize)));
        let all = &block.values[..segments.len() * block.width];
        let headers = headers.of(all, step.dim, old);
        let values = self.values.chunks_exact_mut(step.dim).skip(at);
        let row_words = self.words.len() / self.segments.len();
        let words = self.words.chunks_exact_mut(row_words).skip(at);
        let out = values.zip(words);
        for (row, (segment, (values, words))) in segments.iter().zip(out).enumerate() {
            let (Some(header), true) = (headers[row], block.is_sound(row)) else {
                bad.add(segment.row);
                values.fill(f32::NAN);
                words.copy_from_slice(table.row_words(segment.row as usize));
                continue;
            };
            store(block.values(row), values);
            let draws = |group: usize| block.draws.group(row, group);
            let nearest = (Rounding::Nearest, draws);
            write(
                (block.values(row), step.dim),
                step.format,
                header,
                nearest,
                words,
            );
            block.store_state(row, step.state_shape(), self.state.get_mut(segment.row));
        }
    }
}

/// The segment of every position, `u32::MAX` where it has none.
pub(super) fn ranks(occurrences: &Occurrences, positions: usize) -> Vec<u32> {
    let mut ranks = vec![u32::MAX; positions];
    for (segment, number) in occurrences.segments.iter().zip(0..) {
        for &key in &occurrences.keys[segment.slots()] {
            ranks[sort::position(key) as usize] = number;
        }
    }
    ranks
}
