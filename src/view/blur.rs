//! Gaussian blur: `Step::Blur`.
//!
//! The kernel is torchvision's: a normal density at whole distances, made to sum to one over the
//! kernel's width. It is separable and symmetric, so each pass is a sum over pairs of rows, or of
//! shifted copies of a row. Edges are reflected without repeating the outermost pixel, as often as
//! a kernel wider than the image needs.

use super::grow;
use super::planes::symmetric_sum;
use super::simd::{Level, kernel};

/// Weights below this part of the middle one are left out; all together they move no value by more
/// than 1e-6, a two-hundred-and-fiftieth of the rounding of a byte.
const NEGLIGIBLE: f64 = 1e-7;

/// Tables and the image between the two passes.
#[derive(Debug, Default)]
pub(super) struct Blur {
    weights: Vec<f32>,
    /// What is read at each place of a line with its edges: columns, or starts of rows.
    places: Vec<usize>,
    /// A row with its edges.
    row: Vec<f32>,
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
        grow(&mut self.plane, source.len());
        let between = &mut self.plane[..source.len()];

        weigh(kernel[1], sigma, &mut self.weights);
        let radius = self.weights.len() - 1;
        place(width, radius, 1, &mut self.places);
        grow(&mut self.row, width + 2 * radius);
        self.shifts.clear();
        self.shifts.extend(0..=2 * radius);
        let row = &mut self.row[..width + 2 * radius];
        along_rows(level, source, &self.places, &self.shifts, &self.weights, row, between);

        if kernel[0] != kernel[1] {
            weigh(kernel[0], sigma, &mut self.weights);
        }
        place(height, self.weights.len() - 1, width, &mut self.places);
        along_columns(level, between, size, &self.places, &self.weights, out);
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
    fn along_rows(
        source: &[f32],
        places: &[usize],
        shifts: &[usize],
        weights: &[f32],
        row: &mut [f32],
        out: &mut [f32],
    ) {
        let radius = weights.len() - 1;
        let width = row.len() - 2 * radius;
        for (source, out) in source.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            row[radius..radius + width].copy_from_slice(source);
            for i in 0..radius {
                row[i] = source[places[i]];
                row[radius + width + i] = source[places[radius + width + i]];
            }
            symmetric_sum(row, shifts, weights, out);
        }
    }
}

kernel! {
    fn along_columns(
        source: &[f32],
        size: [usize; 2],
        places: &[usize],
        weights: &[f32],
        out: &mut [f32],
    ) {
        let [height, width] = size;
        let planes = source.chunks_exact(height * width);
        for (source, out) in planes.zip(out.chunks_exact_mut(height * width)) {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                let starts = &places[y..][..2 * weights.len() - 1];
                symmetric_sum(source, starts, weights, out);
            }
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
