//! Weighted sums of rows: what resizing is made of.

use super::unit;

/// Columns that are summed at once; their sums stay in registers.
const WIDE: usize = 64;

/// Columns of the narrower blocks that do the rest of a row.
const HALF: usize = 32;
const NARROW: usize = 16;

/// Output `x` as a function of `x`, `N` of them at a time.
///
/// A trait with methods and not closures: those cannot be told to be inlined, and what is not
/// inlined into a kernel is not compiled for its instruction set.
trait Columns {
    fn sums<const N: usize>(&self, x: usize) -> [f32; N];
}

/// Computes a row, cut to `[0, 1]`. The last block overlaps the one before, which gives the same
/// values again.
#[inline(always)]
fn fill(columns: &impl Columns, out: &mut [f32]) {
    let n = out.len();
    let mut x = 0;
    while x + WIDE <= n {
        put::<WIDE>(columns, x, out);
        x += WIDE;
    }
    if x + HALF <= n {
        put::<HALF>(columns, x, out);
        x += HALF;
    }
    if x + NARROW <= n {
        put::<NARROW>(columns, x, out);
        x += NARROW;
    }
    if x < n && n >= NARROW {
        put::<NARROW>(columns, n - NARROW, out);
    } else {
        for x in x..n {
            put::<1>(columns, x, out);
        }
    }
}

#[inline(always)]
fn put<const N: usize>(columns: &impl Columns, x: usize, out: &mut [f32]) {
    let sums = columns.sums::<N>(x);
    let out = lanes_mut::<N>(out, x);
    for i in 0..N {
        out[i] = unit(sums[i]);
    }
}

#[inline(always)]
fn lanes<const N: usize>(values: &[f32], at: usize) -> &[f32; N] {
    values[at..at + N].try_into().expect("N values")
}

#[inline(always)]
fn lanes_mut<const N: usize>(values: &mut [f32], at: usize) -> &mut [f32; N] {
    (&mut values[at..at + N]).try_into().expect("N values")
}

/// Any kernel over rows that follow one another.
struct Plain<'a, W> {
    source: &'a [f32],
    stride: usize,
    weights: W,
}

impl<W: Iterator<Item = f32> + Clone> Columns for Plain<'_, W> {
    #[inline(always)]
    fn sums<const N: usize>(&self, x: usize) -> [f32; N] {
        let mut sums = [0.0; N];
        let mut start = x;
        for weight in self.weights.clone() {
            let row = lanes::<N>(self.source, start);
            for i in 0..N {
                sums[i] += weight * row[i];
            }
            start += self.stride;
        }
        sums
    }
}

/// `out[x] = Σ weights[k] source[k stride + x]`, cut to `[0, 1]`.
#[inline(always)]
pub(super) fn weighted_sum(
    source: &[f32],
    stride: usize,
    weights: impl Iterator<Item = f32> + Clone,
    out: &mut [f32],
) {
    fill(&Plain { source, stride, weights }, out);
}
