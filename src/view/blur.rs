//! Gaussian blur: `Step::Blur`.
//!
//! The kernel is torchvision's: a normal density at whole distances, made to sum to one over the
//! kernel's width. It is separable and symmetric, so each pass is a sum over pairs of rows, or of
//! shifted copies of a row. Edges are reflected without repeating the outermost pixel, as often as
//! a kernel wider than the image needs.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

use super::simd::{Level, Set};
use super::vector::{Plain, Vector};
use super::{Lines, unit};

/// Weights below this part of the middle one, those beyond four standard deviations, are left out:
/// 6e-5 of all weight, which moves no value by a fiftieth of a byte's step.
const NEGLIGIBLE: f64 = 3.35e-4;

/// Tables, and the rows between the two passes.
#[derive(Debug, Default)]
pub(super) struct Blur {
    /// Weights along a row and along a column.
    along: Vec<f32>,
    down: Vec<f32>,
    /// What is read at each place of a line with its edges: columns, and starts of rows.
    columns: Vec<usize>,
    rows: Vec<usize>,
    /// Two rows with their edges.
    padded: Lines,
    /// Where the rows begin that are weighed: a row moved by one place after the other.
    shifts: Vec<usize>,
}

impl Blur {
    /// Blurs every plane of `source`, which are `size = [height, width]`, into `out`.
    pub fn run(
        &mut self,
        level: Level,
        source: &[f32],
        size: [usize; 2],
        kernel: [u32; 2],
        sigma: f32,
        out: &mut [f32],
    ) {
        let [height, width] = size;
        weigh(kernel[1], sigma, &mut self.along);
        weigh(kernel[0], sigma, &mut self.down);
        let radius = self.along.len() - 1;
        place(width, radius, 1, &mut self.columns);
        place(height, self.down.len() - 1, width, &mut self.rows);
        // The row itself begins at a cache line, its left edge before that.
        let margin = radius.next_multiple_of(Lines::LINE);
        self.shifts.clear();
        self.shifts.extend(margin - radius..=margin + radius);
        let length = (margin + width + radius).next_multiple_of(Lines::LINE);
        let (one, two) = self.padded.room(2 * length).split_at_mut(length);
        let pixels = height * width;
        for (source, out) in source.chunks_exact(pixels).zip(out.chunks_exact_mut(pixels)) {
            let down = Pass { starts: &self.rows, weights: &self.down };
            let along = Pass { starts: &self.shifts, weights: &self.along };
            blur(level, source, [down, along], &self.columns, margin, [one, two], out);
        }
    }
}

/// What is weighed in one of the two passes.
#[derive(Clone, Copy)]
struct Pass<'a> {
    starts: &'a [usize],
    weights: &'a [f32],
}

/// The weights of the middle and of each distance from it.
fn weigh(kernel: u32, sigma: f32, weights: &mut Vec<f32>) {
    weights.clear();
    let density = |distance: u32| {
        let z = f64::from(distance) / f64::from(sigma);
        if distance == 0 { 1.0 } else { libm::exp(-0.5 * z * z) }
    };
    let counting = || (0..=kernel / 2).map(density).take_while(|weight| *weight > NEGLIGIBLE);
    let total = 2.0 * counting().sum::<f64>() - 1.0;
    weights.extend(counting().map(|weight| (weight / total) as f32));
}

/// Fills `places` with what stands at `-radius..n + radius` of a line of `n`, times `step`.
fn place(n: usize, radius: usize, step: usize, places: &mut Vec<usize>) {
    places.clear();
    let (n_, radius) = (n as isize, radius as isize);
    places.extend((-radius..n_ + radius).map(|place| reflect(place, n) * step));
}

/// Blurs one plane, compiled for the machine that it runs on.
fn blur(
    level: Level,
    source: &[f32],
    passes: [Pass<'_>; 2],
    columns: &[usize],
    margin: usize,
    rows: [&mut [f32]; 2],
    out: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2(
        source: &[f32],
        passes: [Pass<'_>; 2],
        columns: &[usize],
        margin: usize,
        rows: [&mut [f32]; 2],
        out: &mut [f32],
    ) {
        // SAFETY: this function is compiled for the vectors' instructions.
        unsafe { plane::<__m256>(source, passes, columns, margin, rows, out) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512(
        source: &[f32],
        passes: [Pass<'_>; 2],
        columns: &[usize],
        margin: usize,
        rows: [&mut [f32]; 2],
        out: &mut [f32],
    ) {
        // SAFETY: as above.
        unsafe { plane::<__m512>(source, passes, columns, margin, rows, out) }
    }

    match level.set() {
        // SAFETY: plain vectors need nothing.
        Set::Baseline => unsafe { plane::<Plain>(source, passes, columns, margin, rows, out) },
        // SAFETY: a `Level` is only made where the machine has its instructions.
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => unsafe { avx2(source, passes, columns, margin, rows, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => unsafe { avx512(source, passes, columns, margin, rows, out) },
    }
}

/// Every row is summed from those above and below it, put down with its edges, and summed along.
/// The next one is put down in between: what has just been written cannot be read at another
/// alignment without waiting.
///
/// # Safety
/// The caller is compiled for the instructions of `V`.
#[inline(always)]
unsafe fn plane<V: Vector>(
    source: &[f32],
    [down, along]: [Pass<'_>; 2],
    columns: &[usize],
    margin: usize,
    [mut row, mut next]: [&mut [f32]; 2],
    out: &mut [f32],
) {
    let radius = along.weights.len() - 1;
    let width = columns.len() - 2 * radius;
    let mut windows = down.starts.windows(2 * down.weights.len() - 1);
    let inside = |starts: &[usize], len: usize| starts.iter().all(|start| start + width <= len);
    assert!(inside(down.starts, source.len()), "every row lies in the source");
    assert!(inside(along.starts, row.len().min(next.len())), "moved rows lie in the row");
    assert_eq!(along.starts.len(), 2 * along.weights.len() - 1, "a weight for each distance");
    // Once before the first row, then along with every row but the last.
    for y in 0..=out.len() / width {
        if let Some(starts) = windows.next() {
            let down = Pass { starts, ..down };
            // SAFETY: instructions are the caller's, and all starts were looked at above.
            unsafe { sum::<V>(source, down, &mut next[margin..margin + width]) };
            with_edges(next, margin, width, columns, radius);
        }
        if y > 0 {
            // SAFETY: as above.
            unsafe { sum::<V>(row, along, &mut out[(y - 1) * width..][..width]) };
        }
        (row, next) = (next, row);
    }
}

/// The rows of `source` that begin at `pass.starts`, weighed and cut to `[0, 1]`.
///
/// # Safety
/// The caller is compiled for the instructions of `V`; from every start on there are as many
/// values as `out` has, and there are twice as many starts as weights, less one.
#[inline(always)]
unsafe fn sum<V: Vector>(source: &[f32], pass: Pass<'_>, out: &mut [f32]) {
    let n = out.len();
    let mut x = 0;
    // SAFETY: instructions are the caller's; rows have `n` values, and blocks end within them.
    unsafe {
        while x + 4 * V::LANES <= n {
            block::<V, 4>(source, pass, x, out);
            x += 4 * V::LANES;
        }
        while x + V::LANES <= n {
            block::<V, 1>(source, pass, x, out);
            x += V::LANES;
        }
        if x < n && n >= V::LANES {
            // The last block overlaps the one before, which gives the same values again.
            block::<V, 1>(source, pass, n - V::LANES, out);
            x = n;
        }
    }
    for x in x..n {
        let radius = pass.weights.len() - 1;
        let at = |place: usize| source[pass.starts[place] + x];
        let mut sum = pass.weights[0] * at(radius);
        for distance in 1..=radius {
            sum += pass.weights[distance] * (at(radius - distance) + at(radius + distance));
        }
        out[x] = unit(sum);
    }
}

/// `B` vectors of outputs from `x` on.
///
/// # Safety
/// The caller is compiled for the instructions of `V`; so many values from `x` on lie in `out` and,
/// counted from every start, in `source`.
#[inline(always)]
unsafe fn block<V: Vector, const B: usize>(
    source: &[f32],
    Pass { starts, weights }: Pass<'_>,
    x: usize,
    out: &mut [f32],
) {
    let radius = weights.len() - 1;
    let (before, after) = starts.split_at(radius);
    // SAFETY: as said above.
    unsafe {
        let from = source.as_ptr().add(x);
        let middle = from.add(after[0]);
        let weight = V::all(weights[0]);
        // No closures: what is not sure to be inlined is compiled for any machine.
        let mut sums = [weight; B];
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
        let to = out.as_mut_ptr().add(x);
        for (i, sum) in sums.iter().enumerate() {
            sum.unit().store(to.add(i * V::LANES));
        }
    }
}

/// Puts down what is beyond the ends of the row that is at `margin`.
#[inline(always)]
fn with_edges(row: &mut [f32], margin: usize, width: usize, columns: &[usize], radius: usize) {
    let (left, rest) = row.split_at_mut(margin);
    let (body, right) = rest.split_at_mut(width);
    if radius < width {
        for (x, inside) in left.iter_mut().rev().take(radius).zip(&body[1..]) {
            *x = *inside;
        }
        for (x, inside) in right.iter_mut().take(radius).zip(body[..width - 1].iter().rev()) {
            *x = *inside;
        }
        return;
    }
    // An image that is narrower than the kernel is reflected more than once.
    let (before, after) = (&columns[..radius], &columns[radius + width..]);
    for (x, column) in left[margin - radius..].iter_mut().zip(before) {
        *x = body[*column];
    }
    for (x, column) in right.iter_mut().zip(after) {
        *x = body[*column];
    }
}

/// The place in `0..n` that a place outside mirrors, the outermost ones not repeated.
pub(super) fn reflect(place: isize, n: usize) -> usize {
    let last = n as isize - 1;
    if (0..=last).contains(&place) {
        return place as usize;
    }
    if last == 0 {
        return 0;
    }
    let place = place.rem_euclid(2 * last);
    (if place > last { 2 * last - place } else { place }) as usize
}
