//! Convolutions by their definition, in `f64`; and runs by ONNX Runtime to hold against them.

use genset::graph::{Element, Model, Offer, Rewrite};
use genset::runtime::{ModelSource, Runtime, Session, SessionOptions, Tensor};

use crate::common;

/// `[channels, height, width]` of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub dims: [usize; 3],
    pub values: Vec<f64>,
}

impl Image {
    pub fn zeros(dims: [usize; 3]) -> Self {
        Self { dims, values: vec![0.0; dims.iter().product()] }
    }

    pub fn at(&mut self, channel: usize, row: usize, column: usize) -> &mut f64 {
        &mut self.values[(channel * self.dims[1] + row) * self.dims[2] + column]
    }

    /// Zero outside of the image.
    fn read(&self, channel: usize, row: i64, column: i64) -> f64 {
        let (row, column) = match (usize::try_from(row), usize::try_from(column)) {
            (Ok(row), Ok(column)) if row < self.dims[1] && column < self.dims[2] => (row, column),
            _ => return 0.0,
        };
        self.values[(channel * self.dims[1] + row) * self.dims[2] + column]
    }
}

/// What a layer over two axes does: pads are those before and after each axis.
#[derive(Debug, Clone)]
pub struct Layer {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub before: [usize; 2],
    pub after: [usize; 2],
    pub more: [usize; 2],
    pub group: usize,
    /// Channels in and out, of one group.
    pub channels: [usize; 2],
}

impl Layer {
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1)
    }

    /// How many pixels a transposed convolution of `n` gives.
    pub fn transposed_size(&self, axis: usize, n: usize) -> i64 {
        let whole = self.stride[axis] * (n - 1) + self.reach(axis) + 1 + self.more[axis];
        whole as i64 - (self.before[axis] + self.after[axis]) as i64
    }

    /// How many pixels a convolution of `n` gives.
    pub fn size(&self, axis: usize, n: usize) -> i64 {
        let room = (n + self.before[axis] + self.after[axis]) as i64 - self.reach(axis) as i64 - 1;
        room.div_euclid(self.stride[axis] as i64) + 1
    }

    /// `y[o] = Σ x[i] · w[t]` over `stride · i + dilation · t = o + before`, plus bias.
    /// Weights are `[in, out / group, height, width]`.
    pub fn transpose(&self, image: &Image, weights: &[f32], bias: &[f32]) -> Image {
        let [inner, outer] = self.channels;
        let size = |axis| self.transposed_size(axis, image.dims[axis + 1]) as usize;
        let mut result = Image::zeros([outer * self.group, size(0), size(1)]);
        for to in 0..result.dims[0] {
            for (row, column) in grid(result.dims[1], result.dims[2]) {
                let mut sum = bias.get(to).copied().map_or(0.0, f64::from);
                for (y, x) in grid(self.kernel[0], self.kernel[1]) {
                    let source = |axis: usize, o: usize, t: usize| {
                        let at = (o + self.before[axis]) as i64 - (self.dilation[axis] * t) as i64;
                        let stride = self.stride[axis] as i64;
                        (at.rem_euclid(stride) == 0).then(|| at.div_euclid(stride))
                    };
                    let (Some(i), Some(j)) = (source(0, row, y), source(1, column, x)) else {
                        continue;
                    };
                    for from in 0..inner {
                        let channel = to / outer * inner + from;
                        let weight = ((channel * outer + to % outer) * self.kernel[0] + y)
                            * self.kernel[1]
                            + x;
                        sum += image.read(channel, i, j) * f64::from(weights[weight]);
                    }
                }
                *result.at(to, row, column) = sum;
            }
        }
        result
    }

    /// `y[o] = Σ x[stride · o + dilation · t - before] · w[t]`, plus bias. Weights are
    /// `[out, in / group, height, width]`.
    pub fn convolve(&self, image: &Image, weights: &[f32], bias: &[f32]) -> Image {
        let [inner, outer] = self.channels;
        let size = |axis| self.size(axis, image.dims[axis + 1]) as usize;
        let mut result = Image::zeros([outer * self.group, size(0), size(1)]);
        for to in 0..result.dims[0] {
            for (row, column) in grid(result.dims[1], result.dims[2]) {
                let mut sum = bias.get(to).copied().map_or(0.0, f64::from);
                for (y, x) in grid(self.kernel[0], self.kernel[1]) {
                    let source = |axis: usize, o: usize, t: usize| {
                        (self.stride[axis] * o + self.dilation[axis] * t) as i64
                            - self.before[axis] as i64
                    };
                    for from in 0..inner {
                        let weight =
                            ((to * inner + from) * self.kernel[0] + y) * self.kernel[1] + x;
                        sum += image.read(
                            to / outer * inner + from,
                            source(0, row, y),
                            source(1, column, x),
                        ) * f64::from(weights[weight]);
                    }
                }
                *result.at(to, row, column) = sum;
            }
        }
        result
    }
}

fn grid(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |row| (0..width).map(move |column| (row, column)))
}

/// Numbers in -1 .. 1 that depend on `seed` and nothing else.
pub fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The output `name` of `model`, run by ONNX Runtime: dimensions and values.
pub fn run(
    model: &Model,
    inputs: &[(&str, &[usize], &[f32])],
    name: &str,
) -> (Vec<usize>, Vec<f32>) {
    let runtime = Runtime::open(&common::options(&[]).search).unwrap();
    let source = ModelSource::Memory(model.bytes());
    let mut session = Session::open(runtime, source, &SessionOptions::default()).unwrap();
    let tensors: Vec<(&str, Tensor)> = inputs
        .iter()
        .map(|(name, dims, values)| {
            let mut tensor = Tensor::new(Element::F32, dims).unwrap();
            tensor.write_floats(0, values).unwrap();
            (*name, tensor)
        })
        .collect();
    let fed: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let output = session.run_once(&fed, name).unwrap();
    (output.shape().to_vec(), output.view().unwrap().to_f32())
}

/// Fails unless all values are within 1e-5 of the largest.
#[track_caller]
pub fn assert_near(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-5 * scale, "{what}: differs by {worst} of {scale}");
}

/// The offers of `rewrite` for `model`.
pub fn offers(model: &Model, rewrite: Rewrite) -> Vec<Offer> {
    model.offers().into_iter().filter(|offer| offer.rewrite == rewrite).collect()
}
