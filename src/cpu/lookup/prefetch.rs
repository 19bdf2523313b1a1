//! Bytes that will be read soon.

#![allow(unsafe_code, reason = "a prefetch takes a pointer, and may take any")]

/// How many rows ahead the memory is asked for one.
///
/// x86-64 is asked to bring lines to the second cache and not to the first, which lets more of them be on their
/// way at once: on Zen 4 more than twice as many rows a second (`docs/tuning.md`). They are to stay there until
/// they are read, and the first cache could not hold so many.
pub(super) const ROWS_AHEAD: usize = if cfg!(target_arch = "x86_64") { 64 } else { 16 };

/// Bytes of a cache line; where lines are longer, some are asked for twice.
const LINE_BYTES: usize = 64;

/// Bytes of every row that are wanted, from the row's or a later one on: which of them to ask for, so that every
/// cache line that they lie in is asked for, and few of them twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Of the first byte of the first row from the first byte of all.
    start: usize,
    /// Bytes at distances of a line from the first.
    strides: usize,
    /// The last byte.
    last: usize,
}

impl Span {
    /// Of `len` bytes from `start` on in rows of so many bytes; `all` begin with the first row.
    #[inline(always)]
    pub(super) fn new(all: &[u8], row_bytes: usize, start: usize, len: usize) -> Self {
        // No span begins but at multiples of this.
        let places = all.as_ptr().addr() | row_bytes | start;
        let unit = (1 << places.trailing_zeros().min(6)).min(LINE_BYTES);
        Self {
            start,
            // What exceeds a line by no more than the unit ends in the next line, wherever it begins.
            strides: len.saturating_sub(unit).div_ceil(LINE_BYTES),
            last: len.saturating_sub(1),
        }
    }

    /// Asks for those of the row that begins at a byte of all, which need not be there; `most` is no less than
    /// the length, and known when this is compiled.
    #[inline(always)]
    pub(super) fn prefetch(self, all: &[u8], row: usize, most: usize) {
        let first = all.as_ptr().wrapping_add(row.wrapping_add(self.start));
        prefetch_line(first);
        for stride in 1..most.div_ceil(LINE_BYTES) {
            if stride < self.strides {
                prefetch_line(first.wrapping_add(stride * LINE_BYTES));
            }
        }
        prefetch_line(first.wrapping_add(self.last));
    }
}

#[inline(always)]
fn prefetch_line(byte: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: x86-64 has SSE; a prefetch of any address reads nothing that a program could see, and faults
    // nowhere.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(byte.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction changes neither memory, flags nor stack.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{byte}]",
            byte = in(reg) byte,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = byte;
}
