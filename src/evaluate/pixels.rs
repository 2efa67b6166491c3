//! Delivered images as the floats that an encoder takes: the one place that knows layouts and types.

use half::f16;

use crate::load::Images;
use crate::recipe::{Dtype, Layout};

/// Values of one image, channel by channel: `factor · intensity + summand`, where there is a pair for
/// each channel. One stored channel serves for all. Intensities are in `[0, 1]`, as bytes are by 255
/// and floats as they are.
pub(super) struct Pixels {
    coefficients: Vec<[f64; 2]>,
    /// What each byte becomes, for each channel.
    tables: Vec<[f32; 256]>,
}

#[allow(clippy::cast_possible_truncation)]
impl Pixels {
    pub fn new(coefficients: Vec<[f64; 2]>) -> Self {
        let table = |[factor, summand]: &[f64; 2]| {
            std::array::from_fn(|byte| (factor * (byte as f64 / 255.0) + summand) as f32)
        };
        Self { tables: coefficients.iter().map(table).collect(), coefficients }
    }

    /// Adds an image of `stored` channels of intensities to `out`, `[C, H, W]`.
    pub fn push_intensities(&self, image: &[f32], stored: usize, out: &mut Vec<f32>) {
        let pixels = image.len() / stored.max(1);
        for (channel, [factor, summand]) in self.coefficients.iter().enumerate() {
            let from = if stored == 1 { 0 } else { channel };
            let plane = image[from * pixels..][..pixels].iter();
            out.extend(plane.map(|x| (factor * f64::from(*x) + summand) as f32));
        }
    }

    /// Adds the first view of the `i`-th image to `out`, `[C, H, W]`.
    pub fn push(&self, images: &Images, i: usize, out: &mut Vec<f32>) {
        let [_, _, stored, h, w] = images.shape_nchw();
        let bytes = images.view_bytes(i, 0);
        let pixels = h * w;
        for channel in 0..self.coefficients.len() {
            let from = if stored == 1 { 0 } else { channel };
            let (start, step) = match images.layout() {
                Layout::Nchw => (from * pixels, 1),
                Layout::Nhwc => (from, stored),
            };
            let [factor, summand] = self.coefficients[channel];
            let float = |x: f64| (factor * x + summand) as f32;
            match images.dtype() {
                Dtype::U8 => {
                    let table = &self.tables[channel];
                    let bytes = bytes[start..].iter().step_by(step).take(pixels);
                    out.extend(bytes.map(|byte| table[usize::from(*byte)]));
                }
                Dtype::F32 => {
                    let values = bytes[start * 4..].chunks_exact(4).step_by(step).take(pixels);
                    out.extend(
                        values.map(|b| float(f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into())),
                    );
                }
                Dtype::F16 => {
                    let values = bytes[start * 2..].chunks_exact(2).step_by(step).take(pixels);
                    out.extend(values.map(|b| float(f16::from_le_bytes([b[0], b[1]]).into())));
                }
            }
        }
    }
}
