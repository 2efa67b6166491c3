//! Pixels of three bytes taken apart into planes of intensities.
//!
//! Compilers take every third byte out by itself. Byte permutations take 16 pixels apart at once,
//! several times as fast; what is made of each byte is what the plain code makes of it.

use super::simd::{Level, Set};

/// Writes `unit(x scale + bias)` of every byte of `pixels`, three a pixel, to the three planes
/// `out`, for as many whole groups of 16 pixels as there are; the number of pixels done, which is
/// zero where this level has no byte permutations.
///
/// # Panics
/// If `out` has not a place for every byte.
#[allow(unused_variables, reason = "not every architecture has permutations")]
pub(super) fn three(level: Level, pixels: &[u8], range: (f32, f32), out: &mut [f32]) -> usize {
    match level.set() {
        Set::Baseline => 0,
        // SAFETY: a `Level` is only made where the machine has its instructions.
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => unsafe { x86::three8(pixels, range, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => unsafe { x86::three16(pixels, range, out) },
    }
}

/// Writes the bytes of `pixels`, three a pixel, to the three planes `out`, as above.
///
/// # Panics
/// If `out` has not a place for every byte.
#[allow(unused_variables, reason = "not every architecture has permutations")]
pub(crate) fn three_bytes(level: Level, pixels: &[u8], out: &mut [u8]) -> usize {
    match level.set() {
        Set::Baseline => 0,
        // SAFETY: a `Level` is only made where the machine has its instructions; AVX-512 comes with
        // AVX2.
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 | Set::Avx512 => unsafe { x86::bytes(pixels, out) },
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Pixels of a group.
    const GROUP: usize = 16;

    /// Bytes from a group to what is fetched into the nearest cache meanwhile. Left to itself the
    /// machine stops fetching ahead at the end of a page, and a small image has but a few; beyond its
    /// end lies, as a rule, the next one.
    const AHEAD: usize = 2048;

    /// Where each third of a group has the bytes of each channel, negative where it has them not.
    const PLACES: [[[i8; GROUP]; 3]; 3] = {
        let mut places = [[[-1; GROUP]; 3]; 3];
        let mut byte = 0;
        while byte < 3 * GROUP {
            places[byte % 3][byte / GROUP][byte / 3] = (byte % GROUP) as i8;
            byte += 1;
        }
        places
    };

    /// The bytes of each channel of a group.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn apart(pixels: &[u8; 3 * GROUP]) -> [__m128i; 3] {
        // SAFETY: 16 bytes are read, of a group from the start of a third of it on.
        let third = |i: usize| unsafe { _mm_loadu_si128(pixels.as_ptr().add(GROUP * i).cast()) };
        let thirds = [third(0), third(1), third(2)];
        PLACES.map(|places| {
            // SAFETY: 16 places are read.
            let of = |i: usize| unsafe {
                _mm_shuffle_epi8(thirds[i], _mm_loadu_si128(places[i].as_ptr().cast()))
            };
            _mm_or_si128(_mm_or_si128(of(0), of(1)), of(2))
        })
    }

    #[target_feature(enable = "avx2")]
    pub fn bytes(pixels: &[u8], out: &mut [u8]) -> usize {
        assert_eq!(pixels.len(), out.len(), "a place for every byte");
        let plane = pixels.len() / 3;
        let (red, rest) = out.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        let groups = pixels.as_chunks::<{ 3 * GROUP }>().0;
        let places = red.as_chunks_mut::<GROUP>().0.iter_mut();
        let places = places.zip(green.as_chunks_mut::<GROUP>().0);
        let places = places.zip(blue.as_chunks_mut::<GROUP>().0);
        for (group, ((red, green), blue)) in groups.iter().zip(places) {
            for (bytes, place) in apart(group).into_iter().zip([red, green, blue]) {
                // SAFETY: there are so many places.
                unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), bytes) };
            }
        }
        groups.len() * GROUP
    }

    macro_rules! three {
        (
            $name:ident, $features:literal, $parts:literal, $part:expr, $widen:ident, $float:ident,
            $all:ident, $mul:ident, $add:ident, $max:ident, $min:ident, $store:ident
        ) => {
            #[target_feature(enable = $features)]
            pub fn $name(pixels: &[u8], range: (f32, f32), out: &mut [f32]) -> usize {
                const LANES: usize = GROUP / $parts;
                assert_eq!(pixels.len(), out.len(), "a place for every byte");
                let plane = pixels.len() / 3;
                let (scale, bias) = ($all(range.0), $all(range.1));
                let (groups, _) = pixels.as_chunks::<{ 3 * GROUP }>();
                for (number, group) in groups.iter().enumerate() {
                    _mm_prefetch::<_MM_HINT_T0>(group.as_ptr().wrapping_add(AHEAD).cast());
                    for (channel, bytes) in apart(group).into_iter().enumerate() {
                        for part in 0..$parts {
                            let x = $float($widen($part(bytes, part)));
                            let x = $add($mul(x, scale), bias);
                            let x = $min($max(x, $all(0.0)), $all(1.0));
                            let to = channel * plane + number * GROUP + part * LANES;
                            let to: &mut [f32] = &mut out[to..to + LANES];
                            // SAFETY: there are so many places.
                            unsafe { $store(to.as_mut_ptr(), x) };
                        }
                    }
                }
                groups.len() * GROUP
            }
        };
    }

    three!(
        three8,
        "avx2",
        2,
        |bytes, part| if part == 0 { bytes } else { _mm_unpackhi_epi64(bytes, bytes) },
        _mm256_cvtepu8_epi32,
        _mm256_cvtepi32_ps,
        _mm256_set1_ps,
        _mm256_mul_ps,
        _mm256_add_ps,
        _mm256_max_ps,
        _mm256_min_ps,
        _mm256_storeu_ps
    );
    three!(
        three16,
        "avx2,avx512f,avx512bw,avx512dq,avx512vl",
        1,
        |bytes, _| bytes,
        _mm512_cvtepu8_epi32,
        _mm512_cvtepi32_ps,
        _mm512_set1_ps,
        _mm512_mul_ps,
        _mm512_add_ps,
        _mm512_max_ps,
        _mm512_min_ps,
        _mm512_storeu_ps
    );
}
