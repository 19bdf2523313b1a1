//! Update: new values to codes, in place.

use pulp::NullaryFnOnce;

use super::super::lanes::{LANES, Lanes};
use super::block::{Block, Step, rows_per_block};
use super::encode::{Nearest, Ruler, Stochastic, encode};
use super::header::{Headers, NewHeader};
use super::occurrences::{Segment, last_row};
use super::task::{BadRows, Keeping, Rows, run, segments_per_task};
use crate::Format;
use crate::philox::RandomKey;
use crate::training::Rounding;

/// How new values become rows.
pub(super) struct Writer<'a> {
    pub(super) headers: Headers<'a>,
    pub(super) rounding: Rounding,
    pub(super) key: RandomKey,
}

/// Some rows of a batch, and the parts of the table that hold them.
struct Task<'a> {
    step: &'a Step<'a>,
    writer: &'a Writer<'a>,
    segments: &'a [Segment],
    words: Rows<'a, u32>,
    state: Rows<'a, f32>,
    kept: Option<(Keeping<'a, u32>, Keeping<'a, f32>)>,
}

/// Updates the rows of a batch in place, in parallel; bad rows are left alone and counted. What is overwritten
/// is kept before.
pub(super) fn update_rows(
    step: &Step<'_>,
    writer: &Writer<'_>,
    segments: &[Segment],
    (mut words, mut state): (Rows<'_, u32>, Rows<'_, f32>),
    mut kept: Option<(Keeping<'_, u32>, Keeping<'_, f32>)>,
) -> BadRows {
    let per_task = segments_per_task(segments.len(), step.dim);
    let tasks = segments
        .chunks(per_task)
        .map(|segments| Task {
            step,
            writer,
            segments,
            words: words.split_off(last_row(segments)),
            state: state.split_off(last_row(segments)),
            kept: kept
                .as_mut()
                .map(|(words, state)| (words.split_off(segments), state.split_off(segments))),
        })
        .collect();
    BadRows::sum(run(tasks))
}

impl NullaryFnOnce for Task<'_> {
    type Output = BadRows;

    #[inline(always)]
    fn call(mut self) -> BadRows {
        let step = self.step;
        let mut bad = BadRows::NONE;
        let mut block = Block::new(step.dim);
        let rows = rows_per_block(step.dim);
        for (at, segments) in self.segments.chunks(rows).enumerate() {
            if let Some((words, state)) = &mut self.kept {
                words.keep(at * rows, segments, &self.words);
                state.keep(at * rows, segments, &self.state);
            }
            block.sum(&step.sums, segments);
            for (row, segment) in segments.iter().enumerate() {
                let words = self.words.get(segment.row);
                block.load(row, words, self.state.get(segment.row), step);
            }
            block.advance(segments.len(), step);
            self.store(&mut block, segments, &mut bad);
        }
        bad
    }
}

impl Task<'_> {
    #[inline(always)]
    fn store(&mut self, block: &mut Block, segments: &[Segment], bad: &mut BadRows) {
        let (step, writer) = (self.step, self.writer);
        let old = segments
            .iter()
            .map(|segment| (segment.row, self.words.get(segment.row)));
        let values = &block.values[..segments.len() * block.width];
        let headers = writer.headers.of(values, step.dim, old);
        if writer.rounding == Rounding::Stochastic {
            let rows = segments.iter().map(|segment| segment.row);
            block.draws.fill(writer.key, rows);
        }
        for (row, segment) in segments.iter().enumerate() {
            let (Some(header), true) = (headers[row], block.is_sound(row)) else {
                bad.add(segment.row);
                continue;
            };
            let draws = |group: usize| block.draws.group(row, group);
            let values = (block.values(row), step.dim);
            let words = self.words.get_mut(segment.row);
            write(values, step.format, header, (writer.rounding, draws), words);
            let state = self.state.get_mut(segment.row);
            block.store_state(row, step.state_shape(), state);
        }
    }
}

/// Writes a row: header and codes; `draws` gives the random bits of a group of columns.
#[inline(always)]
pub(super) fn write<'d>(
    (values, dim): (&[Lanes], usize),
    format: Format,
    (header, ruler): (NewHeader, Ruler),
    (rounding, draws): (Rounding, impl Fn(usize) -> &'d [u32; LANES]),
    words: &mut [u32],
) {
    let (head, codes) = words.split_at_mut(format.header_words() as usize);
    header.write(head);
    let how = (format.width_bits(), &ruler);
    match rounding {
        Rounding::Nearest => encode(values, dim, how, &Nearest, codes),
        Rounding::Stochastic => encode(values, dim, how, &Stochastic(draws), codes),
    }
}
