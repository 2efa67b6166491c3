//! Gaussian blur: `Step::Blur`.
//!
//! The kernel is torchvision's: a normal density at whole distances, made to sum to one over the
//! kernel's width. It is separable and symmetric, so each pass is a sum over pairs of rows, or of
//! shifted copies of a row. Edges are reflected without repeating the outermost pixel, as often as
//! a kernel wider than the image needs.

use super::grow;
use super::planes::symmetric_sum;
use super::simd::{Level, kernel};

/// Weights below this part of the middle one, those beyond four standard deviations, are left out:
/// 6e-5 of all weight, which moves no value by a fiftieth of a byte's step.
const NEGLIGIBLE: f64 = 3.35e-4;

/// Tables and the image between the two passes.
#[derive(Debug, Default)]
pub(super) struct Blur {
    /// Weights along a row and along a column.
    along: Vec<f32>,
    down: Vec<f32>,
    /// What is read at each place of a line with its edges: columns, and starts of rows.
    columns: Vec<usize>,
    rows: Vec<usize>,
    /// Two rows with their edges.
    padded: Vec<f32>,
    /// `0, 1, 2, …`: the shifts of a row that are weighed.
    shifts: Vec<usize>,
    plane: Vec<f32>,
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
        self.shifts.clear();
        self.shifts.extend(0..=2 * radius);
        let rows = 2 * self.columns.len();
        grow(&mut self.padded, rows);
        let padded = &mut self.padded[..rows];
        let pixels = height * width;
        grow(&mut self.plane, pixels);
        let between = &mut self.plane[..pixels];
        for (source, out) in source.chunks_exact(pixels).zip(out.chunks_exact_mut(pixels)) {
            along_rows(level, source, &self.columns, &self.shifts, &self.along, padded, between);
            along_columns(level, between, width, &self.rows, &self.down, out);
        }
    }
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

kernel! {
    /// A row with its edges is put down while the one before is summed: what has just been written
    /// cannot be read at another alignment without waiting.
    fn along_rows(
        source: &[f32],
        columns: &[usize],
        shifts: &[usize],
        weights: &[f32],
        rows: &mut [f32],
        out: &mut [f32],
    ) {
        let radius = weights.len() - 1;
        let width = columns.len() - 2 * radius;
        let (mut row, mut next) = rows.split_at_mut(columns.len());
        with_edges(&source[..width], columns, radius, row);
        let mut rest = source[width..].chunks_exact(width);
        for out in out.chunks_exact_mut(width) {
            if let Some(source) = rest.next() {
                with_edges(source, columns, radius, next);
            }
            symmetric_sum(row, shifts, weights, out);
            (row, next) = (next, row);
        }
    }
}

#[inline(always)]
fn with_edges(source: &[f32], columns: &[usize], radius: usize, row: &mut [f32]) {
    let end = row.len() - radius;
    row[radius..end].copy_from_slice(source);
    for (x, column) in row[..radius].iter_mut().zip(columns) {
        *x = source[*column];
    }
    for (x, column) in row[end..].iter_mut().zip(&columns[end..]) {
        *x = source[*column];
    }
}

kernel! {
    fn along_columns(
        source: &[f32],
        width: usize,
        rows: &[usize],
        weights: &[f32],
        out: &mut [f32],
    ) {
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            symmetric_sum(source, &rows[y..][..2 * weights.len() - 1], weights, out);
        }
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
