//! The least that memory takes for a lookup.

#![allow(
    unsafe_code,
    reason = "a prefetch takes a pointer; the pointers here are those of borrowed words"
)]

use qembed::PackedTable;

const LINE_WORDS: usize = 16;

/// Rows that are asked for ahead. No distance and no other hint is faster where the figures in `docs/tuning.md` are
/// from.
const AHEAD: usize = 64;

/// Rows that are worth a task.
const PART: usize = 1 << 12;

/// Reads a word of every cache line that the rows lie in, having asked for it, on all of rayon's threads.
pub fn touch(table: &PackedTable, indices: &[u32]) -> u32 {
    let row_words = table.format().row_words(table.dim()) as usize;
    match rayon::current_num_threads() {
        1 => part(table.words(), row_words, indices, indices.len()),
        _ => halves(table.words(), row_words, indices, indices.len()),
    }
}

/// Reads the first `len` rows; those behind them are only asked for.
fn halves(words: &[u32], row_words: usize, indices: &[u32], len: usize) -> u32 {
    if len <= PART {
        return part(words, row_words, indices, len);
    }
    let half = len / 2;
    let (first, second) = rayon::join(
        || halves(words, row_words, indices, half),
        || halves(words, row_words, &indices[half..], len - half),
    );
    first ^ second
}

fn part(words: &[u32], row_words: usize, indices: &[u32], len: usize) -> u32 {
    // Where rows lie at multiples of two words, the end of one that exceeds a line by two lies in the next line.
    let unit = 1 << row_words.trailing_zeros().min(1);
    match row_words.saturating_sub(unit).div_ceil(LINE_WORDS) {
        0 | 1 => rows(words, row_words, indices, len, 1),
        2 => rows(words, row_words, indices, len, 2),
        lines => rows(words, row_words, indices, len, lines),
    }
}

/// Reads the first word of a row, those at distances of a line from it, and the last.
#[inline(always)]
fn rows(words: &[u32], row_words: usize, indices: &[u32], len: usize, lines: usize) -> u32 {
    let last = row_words - 1;
    let mut all = 0;
    for (at, &index) in indices[..len].iter().enumerate() {
        if let Some(&ahead) = indices.get(at + AHEAD) {
            let row = &words[ahead as usize * row_words..][..row_words];
            (0..lines).for_each(|line| prefetch(&row[line * LINE_WORDS]));
            prefetch(&row[last]);
        }
        let row = &words[index as usize * row_words..][..row_words];
        (0..lines).for_each(|line| all ^= row[line * LINE_WORDS]);
        all ^= row[last];
    }
    all
}

fn prefetch(word: &u32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: x86-64 has SSE; a prefetch reads nothing that a program could see, and the address is that of a
    // borrowed word.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(word).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}
