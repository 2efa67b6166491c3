//! Neighbours along a row, picked out of vectors by permutation.
//!
//! Compilers turn `source[index[x]]` into one load a value. Where a line grows or shrinks little,
//! the inputs of a vector of outputs lie within two vectors, and one permutation finds all of
//! them, several times as fast. The sums are those of the plain code, term by term.

use super::simd::{Level, Set};
use super::taps::Taps;

/// Rows that are done for one vector of outputs before the next, so that what they are read from
/// stays in the nearest cache.
#[cfg(target_arch = "x86_64")]
const ROWS: usize = 16;

/// Resamples rows of `width` values, `stride` apart, to rows of `out`. Does nothing and returns
/// false where inputs lie too far apart, or this level has no permutations.
#[allow(unused_variables, reason = "not every architecture has permutations")]
pub(super) fn along_rows(
    level: Level,
    source: &[f32],
    stride: usize,
    width: usize,
    taps: &Taps,
    out: &mut [f32],
) -> bool {
    match level.set() {
        Set::Baseline => false,
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 if fits::<8>(taps) => {
            // SAFETY: a `Level` is only made where the machine has its instructions.
            unsafe { x86::rows8(source, stride, width, taps, out) };
            true
        }
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 if fits::<16>(taps) => {
            // SAFETY: as above.
            unsafe { x86::rows16(source, stride, width, taps, out) };
            true
        }
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 | Set::Avx512 => false,
    }
}

/// The first outputs of vectors of `N` that cover `columns`; the last overlaps the one before.
#[cfg(target_arch = "x86_64")]
fn blocks<const N: usize>(columns: usize) -> impl Iterator<Item = usize> {
    (0..columns).step_by(N).map(move |column| column.min(columns - N))
}

/// The first input that any of `N` outputs reads. They rise or fall along a line, but not strictly:
/// an output may have fewer inputs than its neighbours.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn base<const N: usize>(first: &[i32; N]) -> i32 {
    first.iter().fold(i32::MAX, |least, first| least.min(*first))
}

/// Whether the inputs of any `N` neighbouring outputs lie within `2 N` places.
#[cfg(target_arch = "x86_64")]
fn fits<const N: usize>(taps: &Taps) -> bool {
    let columns = taps.len();
    columns >= N
        && blocks::<N>(columns).all(|output| {
            let first: &[i32; N] = taps.first()[output..][..N].try_into().expect("N");
            let last = first.iter().fold(0, |most, first| most.max(*first));
            (last - base(first)) as usize + taps.terms() <= 2 * N
        })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{ROWS, Taps, base, blocks};

    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn rows16(source: &[f32], stride: usize, width: usize, taps: &Taps, out: &mut [f32]) {
        // SAFETY: 16 values are read.
        let load = |values: &[f32; 16]| unsafe { _mm512_loadu_ps(values.as_ptr()) };
        for (group, out) in out.chunks_mut(ROWS * taps.len()).enumerate() {
            let source = &source[group * ROWS * stride..];
            for output in blocks::<16>(taps.len()) {
                let first: &[i32; 16] = taps.first()[output..][..16].try_into().expect("16");
                let base = base(first);
                // SAFETY: 16 values are read.
                let first = unsafe { _mm512_loadu_si512(first.as_ptr().cast()) };
                let first = _mm512_sub_epi32(first, _mm512_set1_epi32(base));
                let base = base as usize;
                let near = (width - base).min(32);
                let mask: u32 = if near == 32 { !0 } else { (1 << near) - 1 };
                let weights =
                    |term: usize| load(taps.weights(term)[output..][..16].try_into().expect("16"));
                let index = |term: usize| _mm512_add_epi32(first, _mm512_set1_epi32(term as i32));
                let row = |y: usize| {
                    let near = &source[y * stride + base..][..near];
                    // SAFETY: masked lanes are not read, and the others are inside of `near`.
                    unsafe {
                        let a = _mm512_maskz_loadu_ps(mask as u16, near.as_ptr());
                        let beyond = near.as_ptr().wrapping_add(16);
                        (a, _mm512_maskz_loadu_ps((mask >> 16) as u16, beyond))
                    }
                };
                let rows = out.chunks_exact_mut(taps.len()).enumerate();
                if taps.terms() == 2 {
                    let (weights, indices) = ([weights(0), weights(1)], [index(0), index(1)]);
                    for (y, out) in rows {
                        let (a, b) = row(y);
                        let one = _mm512_permutex2var_ps(a, indices[0], b);
                        let two = _mm512_permutex2var_ps(a, indices[1], b);
                        let one = _mm512_mul_ps(weights[0], one);
                        let sum = _mm512_add_ps(one, _mm512_mul_ps(weights[1], two));
                        let out: &mut [f32] = &mut out[output..output + 16];
                        // SAFETY: there are 16 places.
                        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
                    }
                } else {
                    for (y, out) in rows {
                        let (a, b) = row(y);
                        let mut sum = _mm512_setzero_ps();
                        for term in 0..taps.terms() {
                            let value = _mm512_permutex2var_ps(a, index(term), b);
                            sum = _mm512_add_ps(sum, _mm512_mul_ps(weights(term), value));
                        }
                        let out: &mut [f32] = &mut out[output..output + 16];
                        // SAFETY: there are 16 places.
                        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn rows8(source: &[f32], stride: usize, width: usize, taps: &Taps, out: &mut [f32]) {
        let places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let mask = |near: usize| _mm256_cmpgt_epi32(_mm256_set1_epi32(near as i32), places);
        for (group, out) in out.chunks_mut(ROWS * taps.len()).enumerate() {
            let source = &source[group * ROWS * stride..];
            for output in blocks::<8>(taps.len()) {
                let first: &[i32; 8] = taps.first()[output..][..8].try_into().expect("8");
                let base = base(first);
                // SAFETY: 8 values are read.
                let first = unsafe { _mm256_loadu_si256(first.as_ptr().cast()) };
                let first = _mm256_sub_epi32(first, _mm256_set1_epi32(base));
                let base = base as usize;
                let near = (width - base).min(16);
                let masks = (mask(near), mask(near.saturating_sub(8)));
                for (y, out) in out.chunks_exact_mut(taps.len()).enumerate() {
                    let near = &source[y * stride + base..][..near];
                    // SAFETY: masked lanes are not read, and the others are inside of `near`.
                    let (a, b) = unsafe {
                        let a = _mm256_maskload_ps(near.as_ptr(), masks.0);
                        (a, _mm256_maskload_ps(near.as_ptr().wrapping_add(8), masks.1))
                    };
                    let mut sum = _mm256_setzero_ps();
                    for term in 0..taps.terms() {
                        let index = _mm256_add_epi32(first, _mm256_set1_epi32(term as i32));
                        let weights: &[f32] = &taps.weights(term)[output..output + 8];
                        // SAFETY: 8 values are read.
                        let weights = unsafe { _mm256_loadu_ps(weights.as_ptr()) };
                        // The permutations look at three bits of the index, the choice between
                        // their results at the fourth.
                        let in_a = _mm256_permutevar8x32_ps(a, index);
                        let in_b = _mm256_permutevar8x32_ps(b, index);
                        let choice = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index));
                        let values = _mm256_blendv_ps(in_a, in_b, choice);
                        sum = _mm256_add_ps(sum, _mm256_mul_ps(weights, values));
                    }
                    let out: &mut [f32] = &mut out[output..output + 8];
                    // SAFETY: there are 8 places.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
                }
            }
        }
    }
}
