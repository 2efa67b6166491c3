//! Copying what nobody looks at soon.

use super::prefetch::LINE;

/// Bytes from what is copied to what is fetched meanwhile.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 1024;

/// Copies `from` to `to` past the caches, where the machine can: so the lines of `to` need not be
/// fetched before they are written over, and nothing is driven out of the caches for them. That takes
/// a third less time where `to` has left the caches before it is read, and more where it has not.
///
/// # Panics
/// If they are not of one length.
pub(crate) fn copy_past_caches(from: &[u8], to: &mut [u8]) {
    assert_eq!(from.len(), to.len(), "a place for every byte");
    // Lines that are not written whole would be fetched all the same.
    let head = to.as_ptr().align_offset(LINE).min(to.len());
    let (first, from) = from.split_at(head);
    let (start, to) = to.split_at_mut(head);
    start.copy_from_slice(first);
    let (lines, rest) = from.as_chunks::<LINE>();
    let (places, end) = to.as_chunks_mut::<LINE>();
    #[cfg(target_arch = "x86_64")]
    copy_lines(lines, places);
    #[cfg(not(target_arch = "x86_64"))]
    places.copy_from_slice(lines);
    end.copy_from_slice(rest);
}

#[cfg(target_arch = "x86_64")]
fn copy_lines(lines: &[[u8; LINE]], places: &mut [[u8; LINE]]) {
    use std::arch::x86_64::*;

    for (line, place) in lines.iter().zip(places) {
        let (from, to) = (line.as_ptr().cast::<__m128i>(), place.as_mut_ptr().cast::<__m128i>());
        assert!(to.is_aligned());
        // SAFETY: every x86-64 processor has these instructions (SSE2). A prefetch reads nothing and
        // cannot fault, wherever it leads. Four times 16 bytes are a line; those that are written are
        // aligned, as was just asked.
        unsafe {
            _mm_prefetch::<_MM_HINT_NTA>(line.as_ptr().wrapping_add(AHEAD).cast());
            let all: [__m128i; 4] = std::array::from_fn(|i| _mm_loadu_si128(from.add(i)));
            for (i, part) in all.into_iter().enumerate() {
                _mm_stream_si128(to.add(i), part);
            }
        }
    }
    // SAFETY: as above. What was written so is not in order with other writes before this, and the
    // next one may hand the bytes to another thread.
    unsafe { _mm_sfence() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_copied_to_its_place_and_no_other() {
        let from: Vec<u8> = (0..1000).map(|i| (i % 251) as u8).collect();
        for (begin, len) in [(0, 0), (1, 1), (0, 64), (5, 63), (17, 700), (63, 129), (64, 936)] {
            for skew in [0, 1, 31, 64] {
                let mut to = vec![0xee; 1100];
                copy_past_caches(&from[begin..begin + len], &mut to[skew..skew + len]);
                assert_eq!(to[skew..skew + len], from[begin..begin + len]);
                assert!(to[..skew].iter().chain(&to[skew + len..]).all(|byte| *byte == 0xee));
            }
        }
    }
}
