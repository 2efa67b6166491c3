//! Gaussian blur: `Step::Blur`.
//!
//! The kernel is torchvision's: a normal density at whole distances, made to sum to one over the
//! kernel's width. It is separable and symmetric, so each pass is a sum over pairs of rows, or of
//! shifted copies of a row. Edges are reflected without repeating the outermost pixel, as often as
//! a kernel wider than the image needs.

use super::planes::{Pair, symmetric_sum};
use super::simd::Level;

/// Weights below this part of the middle one are left out; all together they move no value by more
/// than 1e-6, a two-hundred-and-fiftieth of the rounding of a byte.
const NEGLIGIBLE: f64 = 1e-7;

/// Weights and rows that are kept from image to image.
#[derive(Debug, Default)]
pub(super) struct Blur {
    weights: Vec<f32>,
    pairs: Vec<Pair>,
    row: Vec<f32>,
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
        super::grow(&mut self.plane, height * width);
        for (source, out) in
            source.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width))
        {
            self.weigh(kernel[1], sigma);
            self.along_rows(level, source, width);
            self.weigh(kernel[0], sigma);
            self.along_columns(level, size, out);
        }
    }

    /// The weights of the middle and of each distance from it.
    fn weigh(&mut self, kernel: u32, sigma: f32) {
        self.weights.clear();
        let radius = kernel / 2;
        let density = |distance: u32| {
            let z = f64::from(distance) / f64::from(sigma);
            if distance == 0 { 1.0 } else { libm::exp(-0.5 * z * z) }
        };
        let counts = |distance: &u32| density(*distance) > NEGLIGIBLE;
        let total: f64 = 1.0 + 2.0 * (1..=radius).take_while(counts).map(density).sum::<f64>();
        let weights =
            (0..=radius).take_while(counts).map(|distance| (density(distance) / total) as f32);
        self.weights.extend(weights);
    }

    /// `source` to `self.plane`.
    fn along_rows(&mut self, level: Level, source: &[f32], width: usize) {
        let radius = self.weights.len() - 1;
        super::grow(&mut self.row, width + 2 * radius);
        self.pairs.clear();
        let pair = |distance| Pair {
            weight: self.weights[distance],
            a: radius - distance,
            b: radius + distance,
        };
        self.pairs.extend((1..=radius).map(pair));
        let row = &mut self.row[..width + 2 * radius];
        for (source, out) in source.chunks_exact(width).zip(self.plane.chunks_exact_mut(width)) {
            row[radius..][..width].copy_from_slice(source);
            for i in 0..radius {
                let before = i as isize - radius as isize;
                row[i] = source[reflect(before, width)];
                row[radius + width + i] = source[reflect((width + i) as isize, width)];
            }
            symmetric_sum(level, row, (self.weights[0], radius), &self.pairs, out);
        }
    }

    /// `self.plane` to `out`.
    fn along_columns(&mut self, level: Level, [height, width]: [usize; 2], out: &mut [f32]) {
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            self.pairs.clear();
            let pair = |(distance, &weight): (usize, &f32)| Pair {
                weight,
                a: reflect(y as isize - distance as isize, height) * width,
                b: reflect((y + distance) as isize, height) * width,
            };
            self.pairs.extend(self.weights.iter().enumerate().skip(1).map(pair));
            symmetric_sum(level, &self.plane, (self.weights[0], y * width), &self.pairs, out);
        }
    }
}

/// The place in `0..n` that a place outside mirrors, the outermost ones not repeated.
pub(super) fn reflect(place: isize, n: usize) -> usize {
    let last = n as isize - 1;
    if last == 0 {
        return 0;
    }
    let place = place.rem_euclid(2 * last);
    (if place > last { 2 * last - place } else { place }) as usize
}
