//! Bytes that will be read soon.

#![allow(
    unsafe_code,
    reason = "a prefetch takes a pointer; the pointers here are those of borrowed bytes"
)]

/// Bytes of a cache line; where lines are longer, some are asked for twice.
const LINE_BYTES: usize = 64;

/// Asks for every cache line that these bytes lie in; `most` is known when this is compiled.
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8], most: usize) {
    for line in 0..most.div_ceil(LINE_BYTES) {
        if let Some(byte) = bytes.get(line * LINE_BYTES) {
            prefetch_line(byte);
        }
    }
    // Bytes that do not begin with a line end in one more.
    if let Some(last) = bytes.last() {
        prefetch_line(last);
    }
}

#[inline(always)]
fn prefetch_line(byte: &u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: x86-64 has SSE; a prefetch of any address reads nothing that a program could see, and this one
    // is that of a borrowed byte.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction changes neither memory, flags nor stack.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{byte}]",
            byte = in(reg) std::ptr::from_ref(byte),
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = byte;
}
