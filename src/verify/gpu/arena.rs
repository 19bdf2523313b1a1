//! Ranges in the middle of a larger buffer, with sentinels on both sides.

use std::ops::Range;

use crate::verify::compare::{Fill, Outcome, guards};

/// Words of sentinel on both sides of a written range; with the alignment of any device.
const GUARD_WORDS: usize = 64;

/// A buffer of several ranges, each aligned and with guards on both sides.
#[derive(Default)]
pub(super) struct Arena {
    words: Vec<u32>,
}

/// Where a range lies in its arena.
#[derive(Clone)]
pub(super) struct Place(Range<usize>);

impl Arena {
    /// The contents.
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }

    /// Adds a range, and says where it lies.
    pub(super) fn push(&mut self, contents: &[u32]) -> Place {
        self.words.extend([Fill::Sentinel.word(); GUARD_WORDS]);
        let start = self.words.len();
        self.words.extend(contents);
        let end = self.words.len();
        let padded = end.next_multiple_of(GUARD_WORDS) + GUARD_WORDS;
        self.words.resize(padded, Fill::Sentinel.word());
        Place(start..end)
    }
}

impl Place {
    /// Where a binding lies in its buffer, which is an arena.
    pub(super) fn of_binding(binding: &wgpu::BufferBinding<'_>) -> Self {
        let start = (binding.offset / 4) as usize;
        let bytes = binding.size.map_or(0, std::num::NonZeroU64::get);
        Self(start..start + (bytes / 4) as usize)
    }

    /// The words of the arena.
    pub(super) fn words(&self) -> Range<usize> {
        self.0.clone()
    }

    /// The range in a buffer; `None` where it is empty.
    pub(super) fn of<'a>(&self, buffer: &'a wgpu::Buffer) -> Option<wgpu::BufferBinding<'a>> {
        Some(wgpu::BufferBinding {
            buffer,
            offset: 4 * self.0.start as u64,
            size: Some(std::num::NonZeroU64::new(4 * self.0.len() as u64)?),
        })
    }

    /// What the range holds and what its guards found.
    pub(super) fn check<'a>(&self, memory: &'a [u32]) -> (&'a [u32], Outcome) {
        let around = self.0.start - GUARD_WORDS..self.0.end + GUARD_WORDS;
        let inner = GUARD_WORDS..GUARD_WORDS + self.0.len();
        (&memory[self.0.clone()], guards(&memory[around], inner))
    }
}
