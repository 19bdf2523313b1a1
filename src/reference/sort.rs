//! Order the positions of a batch by row.

use crate::training::{CHUNK, NO_SEGMENT};

/// A batch in order of its rows; what the `sort` kernels write.
///
/// A *slot* is an index into `positions`, a *segment* the slots of one row, a *chunk* at most [`CHUNK`]
/// slots of one segment, counted from its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sorted {
    /// `[keys]`: positions ordered by row, then by position; the dropped last, in order.
    pub positions: Vec<u32>,
    /// `[segments + 1]`: row and first chunk; the last holds `u32::MAX` and the number of chunks.
    pub segments: Vec<[u32; 2]>,
    /// `[chunks + 1]`: the first slot of every chunk; the last holds the number of kept slots.
    pub chunks: Vec<u32>,
    /// `[keys]`: the segment of every position, [`NO_SEGMENT`] where it is dropped.
    pub ranks: Vec<u32>,
    /// Segments, chunks, kept slots, 0.
    pub totals: [u32; 4],
}

/// Orders positions by the row that each names; keys that are no row, `>= rows`, are dropped.
///
/// # Panics
/// Where there are more than `u32::MAX` keys.
pub fn sort(keys: &[u32], rows: u32) -> Sorted {
    let count = u32::try_from(keys.len()).expect("positions are u32");
    let (mut kept, dropped): (Vec<u32>, Vec<u32>) =
        (0..count).partition(|&position| keys[position as usize] < rows);
    kept.sort_by_key(|&position| (keys[position as usize], position));

    let mut segments = vec![];
    let mut chunks = vec![];
    let mut ranks = vec![NO_SEGMENT; keys.len()];
    let mut slot = 0;
    for segment in kept.chunk_by(|&a, &b| keys[a as usize] == keys[b as usize]) {
        for &position in segment {
            ranks[position as usize] = segments.len() as u32;
        }
        segments.push([keys[segment[0] as usize], chunks.len() as u32]);
        for chunk in segment.chunks(CHUNK as usize) {
            chunks.push(slot);
            slot += chunk.len() as u32;
        }
    }
    let totals = [segments.len() as u32, chunks.len() as u32, slot, 0];
    segments.push([u32::MAX, totals[1]]);
    chunks.push(slot);
    Sorted {
        positions: [kept, dropped].concat(),
        segments,
        chunks,
        ranks,
        totals,
    }
}
