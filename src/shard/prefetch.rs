//! Fetching memory before it is read.

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;
/// Lines that are fetched; after these the processor sees by itself that they are read in order,
/// as far as a page goes.
const LINES: usize = 4;
/// Bytes of a page of memory.
const PAGE: usize = 4096;

/// Asks for the beginning of `bytes`, without waiting for it. Changes nothing but time.
pub(crate) fn prefetch(bytes: &[u8]) {
    let next_page = PAGE - bytes.as_ptr().addr() % PAGE;
    begin(bytes);
    begin(bytes.get(next_page..).unwrap_or_default());
}

fn begin(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE).take(LINES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that reads nothing and cannot fault, and every x86-64
        // processor has it; the pointer is that of a slice all the same.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, LINE, LINES);
}
