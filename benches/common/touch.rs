//! The least that memory takes for a lookup.

#![allow(
    unsafe_code,
    reason = "a prefetch takes a pointer; the pointers here are those of borrowed words"
)]

use qembed::PackedTable;
use rayon::prelude::*;

const LINE_WORDS: usize = 16;

/// Rows that are asked for ahead: as many as a lookup asks for.
const AHEAD: usize = 16;

/// Reads a word of every cache line that the rows lie in, having asked for it, on all of rayon's threads.
pub fn touch(table: &PackedTable, indices: &[u32]) -> u32 {
    const PART: usize = 1 << 11;
    match rayon::current_num_threads() {
        1 => part(table, indices),
        _ => {
            let parts = indices.par_chunks(PART);
            let parts = parts.map(|indices| part(table, indices));
            parts.reduce(|| 0, |a, b| a ^ b)
        }
    }
}

fn part(table: &PackedTable, indices: &[u32]) -> u32 {
    let row_words = table.format().row_words(table.dim()) as usize;
    let row = |index: u32| &table.words()[index as usize * row_words..][..row_words];
    let mut all = 0;
    for (at, &index) in indices.iter().enumerate() {
        if let Some(&ahead) = indices.get(at + AHEAD) {
            let row = row(ahead);
            row.iter().step_by(LINE_WORDS).for_each(prefetch);
            row.last().into_iter().for_each(prefetch);
        }
        let row = row(index);
        row.iter().step_by(LINE_WORDS).for_each(|word| all ^= word);
        row.last().into_iter().for_each(|word| all ^= word);
    }
    all
}

fn prefetch(word: &u32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: x86-64 has SSE; a prefetch reads nothing that a program could see, and the address is that of a
    // borrowed word.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}
