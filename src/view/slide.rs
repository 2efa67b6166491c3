//! Symmetric sums along a row, its neighbours moved out of vectors that are read once.
//!
//! A vector of 16 values that does not begin at a cache line lies across two of them and takes
//! twice the time to read. Values next to those of an aligned vector are in the aligned ones before
//! and after it, and one instruction on registers moves them into place. The sums are those of
//! [`Symmetric`](super::planes::Symmetric), term by term.

use super::simd::{Level, Set};

/// Writes the sums of a row that is at `margin` of its line, cut to `[0, 1]`, to `out`.
///
/// Arguments are the line, `margin`, the weights of the middle and of each distance, and `out`.
///
/// # Safety
/// This machine has the level's instructions, there are as many weights as the pass is for, and at
/// `margin` and after the row the line has a vector more each.
pub(super) type Pass = unsafe fn(&[f32], usize, &[f32], &mut [f32]);

/// The pass for rows that are weighed as far as `radius`; none where plain loads are as quick or
/// the radius is so large that they had better be.
#[allow(unused_variables, reason = "not every architecture has such vectors")]
pub(super) fn pass(level: Level, radius: usize) -> Option<Pass> {
    match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => Some(match radius {
            1 => x86::sums::<1>,
            2 => x86::sums::<2>,
            3 => x86::sums::<3>,
            4 => x86::sums::<4>,
            5 => x86::sums::<5>,
            6 => x86::sums::<6>,
            7 => x86::sums::<7>,
            8 => x86::sums::<8>,
            _ => return None,
        }),
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Vectors of sums that are made together.
    const WIDE: usize = 4;
    const LANES: usize = 16;

    /// # Safety
    /// As [`super::Pass`].
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    pub unsafe fn sums<const R: usize>(
        line: &[f32],
        margin: usize,
        weights: &[f32],
        out: &mut [f32],
    ) {
        let width = out.len();
        let weights: &[f32] = &weights[..R + 1];
        assert!(margin >= LANES && line.len() >= margin + width.next_multiple_of(LANES) + LANES);
        // SAFETY: vectors before `margin` and after the last of the row are in the line, as was
        // just looked at; what is stored ends within `out`.
        unsafe {
            let from = line.as_ptr().add(margin);
            let to = out.as_mut_ptr();
            let mut x = 0;
            while x + WIDE * LANES <= width {
                for (i, sum) in block::<R, WIDE>(from.add(x), weights).into_iter().enumerate() {
                    _mm512_storeu_ps(to.add(x + i * LANES), sum);
                }
                x += WIDE * LANES;
            }
            while x < width {
                let [sum] = block::<R, 1>(from.add(x), weights);
                let mask = if width - x < LANES { (1 << (width - x)) - 1 } else { !0 };
                _mm512_mask_storeu_ps(to.add(x), mask, sum);
                x += LANES;
            }
        }
    }

    /// # Safety
    /// There are `N` vectors at `from`, one before and one after them.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn block<const R: usize, const N: usize>(
        from: *const f32,
        weights: &[f32],
    ) -> [__m512; N] {
        let places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let weight = _mm512_set1_ps(weights[0]);
        // SAFETY: they are there, says the caller.
        let load =
            |i: usize| unsafe { _mm512_loadu_ps(from.wrapping_add(i * LANES).wrapping_sub(LANES)) };
        let mut sums = [weight; N];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_mul_ps(weight, load(i + 1));
        }
        #[allow(clippy::needless_range_loop, reason = "so many turns that all are written out")]
        for distance in 1..=R {
            let weight = _mm512_set1_ps(weights[distance]);
            let left = _mm512_add_epi32(places, _mm512_set1_epi32((LANES - distance) as i32));
            let right = _mm512_add_epi32(places, _mm512_set1_epi32(distance as i32));
            for (i, sum) in sums.iter_mut().enumerate() {
                let before = _mm512_permutex2var_ps(load(i), left, load(i + 1));
                let after = _mm512_permutex2var_ps(load(i + 1), right, load(i + 2));
                let pair = _mm512_add_ps(before, after);
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(weight, pair));
            }
        }
        sums.map(|sum| _mm512_min_ps(_mm512_max_ps(sum, _mm512_setzero_ps()), _mm512_set1_ps(1.0)))
    }
}
