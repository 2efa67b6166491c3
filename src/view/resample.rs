//! A box of the image at another size, antialiased: `Step::ResizedCrop`.
//!
//! Two passes, along rows and then along columns, each a weighted sum of neighbours. The weights
//! are those of torchvision with `antialias=True`, which are Pillow's: a filter around the place
//! of the output pixel, widened by the scale where the image shrinks, and made to sum to one.

use super::planes::weighted_sum;
use super::simd::{Level, kernel};
use super::unit;
use crate::recipe::Filter;

/// The inputs of every output along one axis, and their weights.
#[derive(Debug, Default)]
pub(super) struct Taps {
    /// The first input of each output.
    first: Vec<usize>,
    /// `width` weights for each output.
    weights: Vec<f32>,
    width: usize,
    exact: Vec<f64>,
}

impl Taps {
    /// For `outputs` places along a box of `inputs`, in mirrored order if `mirrored`.
    fn fill(&mut self, inputs: usize, outputs: usize, filter: Filter, mirrored: bool) {
        self.first.clear();
        self.weights.clear();
        self.width = 1;
        let place = |output: usize| if mirrored { outputs - 1 - output } else { output };
        if filter == Filter::Nearest {
            for output in 0..outputs {
                self.first.push(nearest(inputs, outputs, place(output)));
                self.weights.push(1.0);
            }
            return;
        }
        let scale = inputs as f64 / outputs as f64;
        let stretch = scale.max(1.0);
        let (radius, weigh): (f64, fn(f64) -> f64) = match filter {
            Filter::Bicubic => (2.0, cubic),
            _ => (1.0, triangle),
        };
        let support = radius * stretch;
        // Twice over the outputs: the widest row of weights decides the width of the table.
        for output in 0..outputs {
            let (_, range) = self.weigh(place(output), inputs, scale, stretch, support, weigh);
            self.width = self.width.max(range.len());
        }
        for output in 0..outputs {
            let (low, range) = self.weigh(place(output), inputs, scale, stretch, support, weigh);
            let first = (low + range.start).min(inputs - self.width);
            self.first.push(first);
            let total: f64 = self.exact.iter().sum();
            let before = low + range.start - first;
            let weights = self.exact[range].iter().map(|weight| (weight / total) as f32);
            let start = self.weights.len();
            self.weights.extend(std::iter::repeat_n(0.0, before).chain(weights));
            self.weights.resize(start + self.width, 0.0);
        }
    }

    /// Fills `exact` with the weights from input `low` on; the range of those that are not zero.
    fn weigh(
        &mut self,
        output: usize,
        inputs: usize,
        scale: f64,
        stretch: f64,
        support: f64,
        weigh: fn(f64) -> f64,
    ) -> (usize, std::ops::Range<usize>) {
        let centre = (output as f64 + 0.5) * scale;
        let low = (centre - support + 0.5).max(0.0) as usize;
        let high = ((centre + support + 0.5) as usize).min(inputs);
        let (low, high) = (low.min(inputs - 1), high.max(low + 1).min(inputs));
        self.exact.clear();
        let weights = (low..high).map(|input| weigh((input as f64 + 0.5 - centre) / stretch));
        self.exact.extend(weights);
        let counts = |weight: &f64| weight.abs() > 1e-9;
        let start = self.exact.iter().position(counts).unwrap_or(0);
        let end = self.exact.iter().rposition(counts).map_or(start + 1, |last| last + 1);
        (low, start..end)
    }

    fn len(&self) -> usize {
        self.first.len()
    }

    fn of(&self, output: usize) -> (usize, &[f32]) {
        (self.first[output], &self.weights[output * self.width..][..self.width])
    }

    /// Whether every output is its own input.
    fn is_identity(&self, inputs: usize) -> bool {
        self.width == 1
            && self.len() == inputs
            && self.first.iter().enumerate().all(|(output, &first)| first == output)
    }
}

/// Torch's arithmetic, in which `floor(i scale)` may fall just under a whole number.
fn nearest(inputs: usize, outputs: usize, output: usize) -> usize {
    if inputs == outputs {
        return output;
    }
    let scale = inputs as f32 / outputs as f32;
    ((output as f32 * scale) as usize).min(inputs - 1)
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys (1981) with a = -0.5, as Pillow has it.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A box of an image and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
    /// `[height, width]`.
    pub out: [usize; 2],
    pub filter: Filter,
    /// Whether rows, then columns, are mirrored afterwards.
    pub mirrored: [bool; 2],
}

/// Tables and the image between the two passes.
#[derive(Debug, Default)]
pub(super) struct Resampler {
    down: Taps,
    along: Taps,
    plane: Vec<f32>,
    tile: Vec<f32>,
}

impl Resampler {
    /// Resizes every plane of `source`, which are `size = [height, width]`, into `out`.
    pub fn run(
        &mut self,
        level: Level,
        source: &[f32],
        size: [usize; 2],
        request: Request,
        out: &mut [f32],
    ) {
        let Request { top, left, height, width, out: [rows, columns], filter, mirrored } = request;
        self.down.fill(height, rows, filter, mirrored[0]);
        self.along.fill(width, columns, filter, mirrored[1]);
        let direct = self.along.is_identity(width);
        if !direct {
            super::grow(&mut self.plane, height * columns);
        }
        let planes = source.chunks_exact(size[0] * size[1]);
        for (plane, out) in planes.zip(out.chunks_exact_mut(rows * columns)) {
            let boxed = &plane[top * size[1] + left..];
            let (between, stride) = if direct {
                (boxed, size[1])
            } else {
                let between = &mut self.plane[..height * columns];
                along_rows(level, boxed, size[1], width, &self.along, &mut self.tile, between);
                (&*between, columns)
            };
            for (y, out) in out.chunks_exact_mut(columns).enumerate() {
                let (first, weights) = self.down.of(y);
                let rows = &between[first * stride..];
                if let [1.0] = weights {
                    out.copy_from_slice(&rows[..columns]);
                } else {
                    weighted_sum(level, rows, stride, weights, out);
                }
            }
        }
    }
}

/// Rows that are summed at a time, one a lane.
const LANES: usize = 16;

/// Resamples every row of `source`, rows `stride` apart, into a row of `out`.
fn along_rows(
    level: Level,
    source: &[f32],
    stride: usize,
    width: usize,
    taps: &Taps,
    tile: &mut Vec<f32>,
    out: &mut [f32],
) {
    super::grow(tile, (width + taps.len()) * LANES);
    rows_as_lanes(level, source, stride, width, taps, tile, out);
}

kernel! {
    fn rows_as_lanes(source: &[f32], stride: usize, width: usize, taps: &Taps, tile: &mut [f32], out: &mut [f32]) {
        let (inputs, outputs) = tile.split_at_mut(width * LANES);
        for (group, out) in out.chunks_mut(LANES * taps.len()).enumerate() {
            let rows = out.len() / taps.len();
            for row in 0..rows {
                let source = &source[(group * LANES + row) * stride..][..width];
                for (lanes, x) in inputs.chunks_exact_mut(LANES).zip(source) {
                    lanes[row] = *x;
                }
            }
            for (output, lanes) in outputs.chunks_exact_mut(LANES).take(taps.len()).enumerate() {
                let (first, weights) = taps.of(output);
                let mut sum = [0.0; LANES];
                for (weight, values) in weights.iter().zip(inputs[first * LANES..].chunks_exact(LANES)) {
                    for i in 0..LANES {
                        sum[i] += weight * values[i];
                    }
                }
                lanes.copy_from_slice(&sum);
            }
            for (row, out) in out.chunks_exact_mut(taps.len()).enumerate() {
                for (out, lanes) in out.iter_mut().zip(outputs.chunks_exact(LANES)) {
                    *out = unit(lanes[row]);
                }
            }
        }
    }
}
