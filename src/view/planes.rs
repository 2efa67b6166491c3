//! Weighted sums of rows: what resizing and blurring are made of.

use super::simd::kernel;
use super::unit;

/// Columns that are summed at once while the sums stay in registers.
const WIDE: usize = 64;

/// One term: `weight (source[a + x] + source[b + x])`, or `weight source[a + x]` alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub weight: f32,
    pub a: usize,
    pub b: usize,
}

/// `first + n` terms of one output, clamped to `[0, 1]`.
#[inline(always)]
fn block<const N: usize>(
    source: &[f32],
    middle: (f32, usize),
    pairs: &[Pair],
    x: usize,
) -> [f32; N] {
    let lanes =
        |at: usize| -> &[f32; N] { source[at + x..at + x + N].try_into().expect("N values") };
    let row = lanes(middle.1);
    let mut sum = [0.0; N];
    for i in 0..N {
        sum[i] = middle.0 * row[i];
    }
    for pair in pairs {
        let (a, b) = (lanes(pair.a), lanes(pair.b));
        for i in 0..N {
            sum[i] += pair.weight * (a[i] + b[i]);
        }
    }
    for x in &mut sum {
        *x = unit(*x);
    }
    sum
}

/// Runs `block` over all columns; the last block overlaps the one before, which gives the same
/// values again.
#[inline(always)]
fn columns(
    out: &mut [f32],
    wide: impl Fn(usize) -> [f32; WIDE],
    narrow: impl Fn(usize) -> [f32; 16],
    one: impl Fn(usize) -> [f32; 1],
) {
    let n = out.len();
    let mut x = 0;
    while x + WIDE <= n {
        out[x..x + WIDE].copy_from_slice(&wide(x));
        x += WIDE;
    }
    while x + 16 <= n {
        out[x..x + 16].copy_from_slice(&narrow(x));
        x += 16;
    }
    if x < n && n >= 16 {
        let x = n - 16;
        out[x..].copy_from_slice(&narrow(x));
    } else {
        for (x, out) in out.iter_mut().enumerate().skip(x) {
            [*out] = one(x);
        }
    }
}

kernel! {
    /// `out[x] = w source[m + x] + Σ weight (source[a + x] + source[b + x])`, clamped.
    pub(super) fn symmetric_sum(source: &[f32], middle: (f32, usize), pairs: &[Pair], out: &mut [f32]) {
        columns(
            out,
            |x| block(source, middle, pairs, x),
            |x| block(source, middle, pairs, x),
            |x| block(source, middle, pairs, x),
        );
    }
}

#[inline(always)]
fn plain_block<const N: usize>(
    source: &[f32],
    stride: usize,
    weights: &[f32],
    x: usize,
) -> [f32; N] {
    let mut sum = [0.0; N];
    for (k, weight) in weights.iter().enumerate() {
        let row: &[f32; N] =
            source[k * stride + x..k * stride + x + N].try_into().expect("N values");
        for i in 0..N {
            sum[i] += weight * row[i];
        }
    }
    for x in &mut sum {
        *x = unit(*x);
    }
    sum
}

kernel! {
    /// `out[x] = Σ weights[k] source[k stride + x]`, clamped.
    pub(super) fn weighted_sum(source: &[f32], stride: usize, weights: &[f32], out: &mut [f32]) {
        columns(
            out,
            |x| plain_block(source, stride, weights, x),
            |x| plain_block(source, stride, weights, x),
            |x| plain_block(source, stride, weights, x),
        );
    }
}
