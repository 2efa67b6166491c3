//! Gaussian blur: `Step::Blur`.
//!
//! The kernel is torchvision's: a normal density at whole distances, made to sum to one over the
//! kernel's width. It is separable and symmetric, so each pass is a sum over pairs of rows, or of
//! shifted copies of a row. Edges are reflected without repeating the outermost pixel, as often as
//! a kernel wider than the image needs.

use super::Lines;
use super::planes::Symmetric;
use super::simd::{Level, vector_kernel};
use super::slide::{self, Pass};
use super::vector::Vector;

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
    /// Where a row is in that.
    margin: usize,
    /// Where the rows begin that are weighed: a row moved by one place after the other.
    shifts: Vec<usize>,
}

/// Whether a blur leaves every value as it is: no neighbour weighs enough to be counted.
pub(super) fn is_identity(kernel: [u32; 2], sigma: f32) -> bool {
    kernel.iter().all(|side| side / 2 == 0) || density(1, sigma) <= NEGLIGIBLE
}

impl Blur {
    /// Gets ready for planes of `size = [height, width]`.
    pub fn prepare(&mut self, size: [usize; 2], kernel: [u32; 2], sigma: f32) {
        let [height, width] = size;
        weigh(kernel[1], sigma, &mut self.along);
        weigh(kernel[0], sigma, &mut self.down);
        let radius = self.along.len() - 1;
        place(width, radius, 1, &mut self.columns);
        place(height, self.down.len() - 1, width, &mut self.rows);
        // The row itself begins at a cache line, its left edge before that.
        self.margin = radius.next_multiple_of(Lines::LINE).max(Lines::LINE);
        self.shifts.clear();
        self.shifts.extend(self.margin - radius..=self.margin + radius);
    }

    /// Blurs one plane, as [prepared](Self::prepare) for.
    pub fn plane(&mut self, level: Level, source: &[f32], out: &mut [f32]) {
        let (margin, radius) = (self.margin, self.along.len() - 1);
        let width = self.columns.len() - 2 * radius;
        // There is at least one line before the row and one after it, for a pass that reads whole
        // ones.
        let length = margin + (width + radius).next_multiple_of(Lines::LINE) + Lines::LINE;
        let slide = slide::pass(level, radius);
        let (one, two) = self.padded.room(2 * length).split_at_mut(length);
        let down = (&self.rows[..], &self.down[..]);
        let along = (&self.shifts[..], &self.along[..], slide);
        let edges = (&self.columns[..], margin);
        blur(level, source, down, along, edges, [one, two], out);
    }
}

/// What a pixel weighs at a distance from the middle, which weighs one.
fn density(distance: u32, sigma: f32) -> f64 {
    let z = f64::from(distance) / f64::from(sigma);
    if distance == 0 { 1.0 } else { libm::exp(-0.5 * z * z) }
}

/// The weights of the middle and of each distance from it.
fn weigh(kernel: u32, sigma: f32, weights: &mut Vec<f32>) {
    weights.clear();
    let densities = (0..=kernel / 2).map(|distance| density(distance, sigma));
    let counting = || densities.clone().take_while(|weight| *weight > NEGLIGIBLE);
    let total = 2.0 * counting().sum::<f64>() - 1.0;
    weights.extend(counting().map(|weight| (weight / total) as f32));
}

/// Fills `places` with what stands at `-radius..n + radius` of a line of `n`, times `step`.
fn place(n: usize, radius: usize, step: usize, places: &mut Vec<usize>) {
    places.clear();
    let (n_, radius) = (n as isize, radius as isize);
    places.extend((-radius..n_ + radius).map(|place| reflect(place, n) * step));
}

vector_kernel! {
    /// Blurs one plane with kernels of `(starts, weights)` for columns and for rows, for these with
    /// the pass that is quicker than to read each start, if there is one. `edges` are what is read
    /// at each place of a row with its edges, and where the row itself begins.
    fn blur(
        source: &[f32],
        down: (&[usize], &[f32]),
        along: (&[usize], &[f32], Option<Pass>),
        edges: (&[usize], usize),
        rows: [&mut [f32]; 2],
        out: &mut [f32],
    ) = plane
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
    down: (&[usize], &[f32]),
    along: (&[usize], &[f32], Option<Pass>),
    (columns, margin): (&[usize], usize),
    [mut row, mut next]: [&mut [f32]; 2],
    out: &mut [f32],
) {
    let radius = along.1.len() - 1;
    let width = columns.len() - 2 * radius;
    let mut windows = down.0.windows(2 * down.1.len() - 1);
    // Every window has a start for each weight, and both ends of it.
    let inside = down.0.iter().all(|start| start + width <= source.len());
    assert!(inside, "every row lies in the source");
    for row in [&*row, &*next] {
        let moved = Symmetric { source: row, starts: along.0, weights: along.1 };
        assert!(moved.is_sound(width), "moved rows lie in the row");
    }
    // Once before the first row, then along with every row but the last.
    for y in 0..=out.len() / width {
        if let Some(starts) = windows.next() {
            let weighed = Symmetric { source, starts, weights: down.1 };
            // SAFETY: instructions are the caller's, and all rows were looked at above.
            unsafe { weighed.write::<V>(&mut next[margin..margin + width]) };
            with_edges(next, margin, width, columns, radius);
        }
        if y > 0 {
            let moved = Symmetric { source: row, starts: along.0, weights: along.1 };
            let out = &mut out[(y - 1) * width..][..width];
            // SAFETY: as above.
            unsafe {
                match along.2 {
                    Some(pass) => pass(row, margin, along.1, out),
                    None => moved.write::<V>(out),
                }
            }
        }
        (row, next) = (next, row);
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
