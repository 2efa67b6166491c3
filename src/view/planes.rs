//! Weighted sums of rows: what resizing and blurring are made of.

use super::unit;
use super::vector::Vector;

/// Output `x` as a function of `x`, some of them at a time.
///
/// A trait with methods and not closures: those cannot be told to be inlined, and what is not
/// inlined into a kernel is not compiled for its instruction set.
trait Columns {
    /// Outputs from `x` on.
    ///
    /// # Safety
    /// The caller is compiled for the instructions of `V`, and there are so many outputs.
    unsafe fn sums<V: Vector, const N: usize>(&self, x: usize) -> [V; N];

    /// Output `x`.
    fn sum(&self, x: usize) -> f32;
}

/// Vectors of sums that stay in registers.
const WIDE: usize = 4;

/// Computes a row, cut to `[0, 1]`. The last block overlaps the one before, which gives the same
/// values again.
///
/// # Safety
/// The caller is compiled for the instructions of `V`, and there is an output for every place.
#[inline(always)]
unsafe fn fill<V: Vector>(columns: &impl Columns, out: &mut [f32]) {
    let n = out.len();
    let mut x = 0;
    // SAFETY: instructions and outputs are there, says the caller, and blocks end within `n`.
    unsafe {
        while x + WIDE * V::LANES <= n {
            put::<V, WIDE>(columns, x, out);
            x += WIDE * V::LANES;
        }
        while x + V::LANES <= n {
            put::<V, 1>(columns, x, out);
            x += V::LANES;
        }
        if x < n && n >= V::LANES {
            return put::<V, 1>(columns, n - V::LANES, out);
        }
    }
    for (x, out) in out.iter_mut().enumerate().skip(x) {
        *out = unit(columns.sum(x));
    }
}

/// # Safety
/// As [`fill`]; `N` vectors from `x` on lie in `out`.
#[inline(always)]
unsafe fn put<V: Vector, const N: usize>(columns: &impl Columns, x: usize, out: &mut [f32]) {
    // SAFETY: as said above.
    unsafe {
        let to = out.as_mut_ptr().add(x);
        for (i, sum) in columns.sums::<V, N>(x).iter().enumerate() {
            sum.unit().store(to.add(i * V::LANES));
        }
    }
}

/// Rows and their weights, the same on both sides of the middle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symmetric<'a> {
    pub source: &'a [f32],
    /// Where the rows start that are weighed, an odd number of them.
    pub starts: &'a [usize],
    /// Of the middle row, of those beside it, and so on.
    pub weights: &'a [f32],
}

impl Symmetric<'_> {
    /// Whether all rows have `columns` values in the source, and each its weight. Looked at once
    /// for a plane, as it would take a good part of the time of a short row.
    pub fn is_sound(&self, columns: usize) -> bool {
        let inside = |start: &usize| *start <= self.source.len().saturating_sub(columns);
        columns <= self.source.len()
            && self.starts.len() == 2 * self.weights.len() - 1
            && self.starts.iter().all(inside)
    }

    /// The weighted sum, cut to `[0, 1]`.
    ///
    /// # Safety
    /// The caller is compiled for the instructions of `V`, and the rows are
    /// [sound](Self::is_sound) for as many columns as `out` has.
    #[inline(always)]
    pub unsafe fn write<V: Vector>(&self, out: &mut [f32]) {
        // SAFETY: as said above.
        unsafe { fill::<V>(self, out) }
    }
}

impl Columns for Symmetric<'_> {
    #[inline(always)]
    unsafe fn sums<V: Vector, const N: usize>(&self, x: usize) -> [V; N] {
        let Self { source, starts, weights } = *self;
        let (before, after) = starts.split_at(weights.len() - 1);
        // SAFETY: instructions and values are there, says the caller.
        unsafe {
            let from = source.as_ptr().add(x);
            let middle = from.add(after[0]);
            let weight = V::all(weights[0]);
            let mut sums = [weight; N];
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = weight.mul(V::load(middle.add(i * V::LANES)));
            }
            let rows = before.iter().rev().zip(&after[1..]);
            for ((a, b), weight) in rows.zip(&weights[1..]) {
                let (a, b, weight) = (from.add(*a), from.add(*b), V::all(*weight));
                for (i, sum) in sums.iter_mut().enumerate() {
                    let pair = V::load(a.add(i * V::LANES)).add(V::load(b.add(i * V::LANES)));
                    *sum = sum.add(weight.mul(pair));
                }
            }
            sums
        }
    }

    #[inline(always)]
    fn sum(&self, x: usize) -> f32 {
        let radius = self.weights.len() - 1;
        let at = |place: usize| self.source[self.starts[place] + x];
        let mut sum = self.weights[0] * at(radius);
        for distance in 1..=radius {
            sum += self.weights[distance] * (at(radius - distance) + at(radius + distance));
        }
        sum
    }
}

/// Any kernel over rows that follow one another.
struct Plain<'a, W> {
    source: &'a [f32],
    stride: usize,
    weights: W,
}

impl<W: Iterator<Item = f32> + Clone> Columns for Plain<'_, W> {
    #[inline(always)]
    unsafe fn sums<V: Vector, const N: usize>(&self, x: usize) -> [V; N] {
        // SAFETY: instructions and values are there, says the caller.
        unsafe {
            let mut row = self.source.as_ptr().wrapping_add(x);
            let mut sums = [V::all(0.0); N];
            for weight in self.weights.clone() {
                let weight = V::all(weight);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(weight.mul(V::load(row.wrapping_add(i * V::LANES))));
                }
                row = row.wrapping_add(self.stride);
            }
            sums
        }
    }

    #[inline(always)]
    fn sum(&self, x: usize) -> f32 {
        let rows = self.source[x..].iter().step_by(self.stride);
        self.weights.clone().zip(rows).fold(0.0, |sum, (weight, value)| sum + weight * value)
    }
}

/// Two rows, each with as many values as there are outputs.
struct Two<'a> {
    rows: [&'a [f32]; 2],
    weights: [f32; 2],
}

impl Columns for Two<'_> {
    #[inline(always)]
    unsafe fn sums<V: Vector, const N: usize>(&self, x: usize) -> [V; N] {
        let ([a, b], [first, second]) = (self.rows, self.weights);
        // SAFETY: instructions and values are there, says the caller.
        unsafe {
            let (a, b) = (a.as_ptr().add(x), b.as_ptr().add(x));
            let (first, second) = (V::all(first), V::all(second));
            let mut sums = [first; N];
            for (i, sum) in sums.iter_mut().enumerate() {
                let (a, b) = (V::load(a.add(i * V::LANES)), V::load(b.add(i * V::LANES)));
                *sum = first.mul(a).add(second.mul(b));
            }
            sums
        }
    }

    #[inline(always)]
    fn sum(&self, x: usize) -> f32 {
        self.weights[0] * self.rows[0][x] + self.weights[1] * self.rows[1][x]
    }
}

/// `out[x] = Σ weights[k] source[k stride + x]`, cut to `[0, 1]`.
///
/// # Safety
/// The caller is compiled for the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn weighted_sum<V: Vector>(
    source: &[f32],
    stride: usize,
    weights: impl Iterator<Item = f32> + Clone,
    out: &mut [f32],
) {
    let mut terms = weights.clone();
    if let (Some(first), Some(second), None) = (terms.next(), terms.next(), terms.next()) {
        // As it is where an image grows.
        let n = out.len();
        let (rows, weights) = ([&source[..n], &source[stride..][..n]], [first, second]);
        // SAFETY: instructions are there, says the caller, and values: each row has `n`.
        return unsafe { fill::<V>(&Two { rows, weights }, out) };
    }
    let rows = weights.clone().count();
    let end = rows.saturating_sub(1) * stride + out.len();
    assert!(end <= source.len(), "every row lies in the source");
    // SAFETY: instructions are there, says the caller, and values, as was just looked at.
    unsafe { fill::<V>(&Plain { source, stride, weights }, out) }
}
