//! Neighbours along a row, picked out of vectors by permutation.
//!
//! Compilers turn `source[index[x]]` into one load a value. Where a line grows or shrinks little,
//! the inputs of a vector of outputs lie within two vectors, and one permutation finds all of
//! them: five times as fast. The sums are those of the plain code, term by term.

use super::simd::{Level, Set};
use super::taps::Taps;

/// Which of two neighbouring vectors' values make a vector of outputs, and their weights.
#[derive(Debug, Default)]
pub(super) struct Picks {
    columns: usize,
    /// Values in a row of the source that may be read.
    width: usize,
    blocks: Vec<Block>,
    /// Terms of every output.
    terms: usize,
    /// `terms` times `lanes` for each block.
    indices: Vec<i32>,
    weights: Vec<f32>,
}

/// Neighbouring outputs.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The first of them.
    output: usize,
    /// The first input that any of them reads.
    input: usize,
}

/// Values in a vector, if there is an implementation for the level.
fn lanes(level: Level) -> Option<usize> {
    match level.set() {
        Set::Baseline => None,
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => Some(8),
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => Some(16),
    }
}

impl Picks {
    /// Takes over `taps` for rows of `width` values; false if they reach too far.
    pub fn fill(&mut self, level: Level, taps: &Taps, width: usize) -> bool {
        let Some(lanes) = lanes(level) else { return false };
        self.columns = taps.len();
        self.width = width;
        self.blocks.clear();
        self.indices.clear();
        self.weights.clear();
        if self.columns < lanes {
            return false;
        }
        self.terms = (0..self.columns).map(|output| taps.of(output).1.len()).max().unwrap_or(0);
        let mut next = 0;
        while next < self.columns {
            // The last block overlaps the one before.
            let output = next.min(self.columns - lanes);
            let outputs = || (output..output + lanes).map(|output| taps.of(output));
            let input = outputs().map(|(first, _)| first).min().unwrap_or(0);
            let end = outputs().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
            if end - input > 2 * lanes {
                return false;
            }
            self.blocks.push(Block { output, input });
            for term in 0..self.terms {
                for (first, weights) in outputs() {
                    let weight = weights.get(term);
                    self.indices.push(weight.map_or(0, |_| (first + term - input) as i32));
                    self.weights.push(weight.copied().unwrap_or(0.0));
                }
            }
            next += lanes;
        }
        true
    }

    /// Resamples rows of `source`, `stride` apart, to rows of `out`. `level` is that of `fill`.
    pub fn run(&self, level: Level, source: &[f32], stride: usize, out: &mut [f32]) {
        for (y, out) in out.chunks_exact_mut(self.columns).enumerate() {
            let row = &source[y * stride..][..self.width];
            match level.set() {
                Set::Baseline => unreachable!("`fill` has said no"),
                // SAFETY: a `Level` is only made where the machine has its instructions.
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => unsafe { x86::row8(self, row, out) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => unsafe { x86::row16(self, row, out) },
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Picks;

    /// The first `n` lanes of a mask.
    fn first(n: usize) -> u16 {
        if n >= 16 { !0 } else { (1 << n) - 1 }
    }

    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn row16(picks: &Picks, row: &[f32], out: &mut [f32]) {
        let tables = picks.terms * 16;
        let tables = picks.indices.chunks_exact(tables).zip(picks.weights.chunks_exact(tables));
        let (zero, one) = (_mm512_setzero_ps(), _mm512_set1_ps(1.0));
        for (block, (indices, weights)) in picks.blocks.iter().zip(tables) {
            let near = &row[block.input..];
            // SAFETY: masked lanes are not read, and the others are inside of `near`.
            let (a, b) = unsafe {
                let a = _mm512_maskz_loadu_ps(first(near.len()), near.as_ptr());
                let beyond = near.get(16..).unwrap_or_default();
                (a, _mm512_maskz_loadu_ps(first(beyond.len()), beyond.as_ptr()))
            };
            let mut sum = zero;
            for (index, weight) in indices.chunks_exact(16).zip(weights.chunks_exact(16)) {
                // SAFETY: both have 16 values.
                let (index, weight) = unsafe {
                    (_mm512_loadu_si512(index.as_ptr().cast()), _mm512_loadu_ps(weight.as_ptr()))
                };
                let values = _mm512_permutex2var_ps(a, index, b);
                sum = _mm512_add_ps(sum, _mm512_mul_ps(weight, values));
            }
            let sum = _mm512_min_ps(_mm512_max_ps(sum, zero), one);
            let out = &mut out[block.output..][..16];
            // SAFETY: there are 16 places.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn row8(picks: &Picks, row: &[f32], out: &mut [f32]) {
        let tables = picks.terms * 8;
        let tables = picks.indices.chunks_exact(tables).zip(picks.weights.chunks_exact(tables));
        let (zero, one) = (_mm256_setzero_ps(), _mm256_set1_ps(1.0));
        let places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        // SAFETY: masked lanes are not read, and the others are inside of the slice.
        let load = |values: &[f32]| unsafe {
            let count = _mm256_set1_epi32(values.len().min(8) as i32);
            _mm256_maskload_ps(values.as_ptr(), _mm256_cmpgt_epi32(count, places))
        };
        for (block, (indices, weights)) in picks.blocks.iter().zip(tables) {
            let near = &row[block.input..];
            let (a, b) = (load(near), load(near.get(8..).unwrap_or_default()));
            let mut sum = zero;
            for (index, weight) in indices.chunks_exact(8).zip(weights.chunks_exact(8)) {
                // SAFETY: both have 8 values.
                let (index, weight) = unsafe {
                    (_mm256_loadu_si256(index.as_ptr().cast()), _mm256_loadu_ps(weight.as_ptr()))
                };
                // The permutations look at three bits, the choice between them at the fourth.
                let (a, b) =
                    (_mm256_permutevar8x32_ps(a, index), _mm256_permutevar8x32_ps(b, index));
                let in_b = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index));
                let values = _mm256_blendv_ps(a, b, in_b);
                sum = _mm256_add_ps(sum, _mm256_mul_ps(weight, values));
            }
            let sum = _mm256_min_ps(_mm256_max_ps(sum, zero), one);
            let out = &mut out[block.output..][..8];
            // SAFETY: there are 8 places.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
        }
    }
}
