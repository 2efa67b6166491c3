//! Value range, element type and layout of delivered images, in one pass.
//!
//! A generator's value `x` stands for the intensity `u = (x - black) / (white - black)`, clamped
//! to [0, 1]. Delivered as `u8` it is `floor(255 u + 0.5)`, as a float it is `u`, or
//! `(u - mean) / std` where the recipe normalises. Arithmetic is in `f32` with one rounding an
//! operation, so the bytes are the same on every machine.

use bytemuck::Pod;
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::simd::{Level, kernel};
use super::store::{self, byte, intensity};
use super::writing::Writing;
use crate::error::{Error, Kind, Result};
use crate::generate::ImageFormat;
use crate::recipe::{Dtype, Layout, Normalise, Output};
use crate::runtime::TensorView;

/// A value that no image may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadValue {
    /// The row of the tensor, counted from the first row given.
    pub row: usize,
    /// Where in the row.
    pub element: usize,
    /// NaN or an infinity.
    pub value: f32,
}

/// Turns rows of a generator's output into delivered bytes.
#[derive(Debug, Clone)]
pub struct Delivery {
    format: ImageFormat,
    dtype: Dtype,
    interleave: bool,
    /// `u = x * scale + bias`, before rounding for `u8` (then in units of 1/255).
    scale: f32,
    bias: f32,
    /// `u * scale + bias` after clamping, one for each channel; empty if nothing is normalised.
    normalise: Vec<(f32, f32)>,
}

impl Delivery {
    /// From what a generator makes to what a recipe delivers.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if the normalisation has another number of channels.
    pub fn new(format: ImageFormat, output: &Output) -> Result<Self> {
        let (scale, bias) = match output.dtype {
            Dtype::U8 => format.byte_coefficients(),
            Dtype::F16 | Dtype::F32 => format.coefficients(1.0, 0.0),
        };
        Ok(Self {
            format,
            dtype: output.dtype,
            interleave: output.layout == Layout::Nhwc,
            scale,
            bias,
            normalise: match &output.normalise {
                Some(normalise) => coefficients(normalise, format.channels)?,
                None => Vec::new(),
            },
        })
    }

    /// From the planes of intensities `[C, H, W]` that a [`Canvas`](super::Canvas) makes to what a
    /// recipe delivers.
    ///
    /// # Errors
    /// As [`Delivery::new`].
    pub fn of_canvas([channels, height, width]: [usize; 3], output: &Output) -> Result<Self> {
        let format = ImageFormat { channels, height, width, interleaved: false, range: [0.0, 1.0] };
        Self::new(format, output)
    }

    /// Of delivered values.
    pub(super) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// What the generator makes.
    #[must_use]
    pub fn format(&self) -> &ImageFormat {
        &self.format
    }

    /// Bytes of one delivered image.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.format.len() * self.dtype.size()
    }

    /// Writes all images of `rows` to `out`, one after the other.
    ///
    /// # Errors
    /// The first value that is not finite. `out` is then partly written.
    ///
    /// # Panics
    /// If `out` is not as long as the images, or not aligned for their type.
    pub fn write(&self, rows: TensorView<'_>, out: &mut [u8]) -> Result<(), BadValue> {
        let (len, bytes) = (self.format.len(), self.image_bytes());
        assert_eq!(rows.len() / len * bytes, out.len(), "as many bytes as images");
        if let TensorView::U8(rows) = rows
            && self.is_copy()
        {
            out.copy_from_slice(rows);
            return Ok(());
        }
        let level = Level::best();
        let mut scratch = Vec::new();
        for (row, image) in out.chunks_exact_mut(bytes).enumerate() {
            let values = row_as_f32(rows, row * len..(row + 1) * len, &mut scratch);
            if let Some(element) = first_bad(level, values) {
                return Err(BadValue { row, element, value: values[element] });
            }
            if !self.format.interleaved || self.format.channels == 1 {
                self.write_planar(level, values, image);
                continue;
            }
            match self.dtype {
                Dtype::U8 => self.pixels(values, image, byte),
                Dtype::F32 => self.pixels(values, bytemuck::cast_slice_mut(image), intensity),
                Dtype::F16 => {
                    let mut floats = vec![0.0; len];
                    self.pixels(values, &mut floats, intensity);
                    let halves: &mut [f16] = bytemuck::cast_slice_mut(image);
                    halves.convert_from_f32_slice(&floats);
                }
            }
        }
        Ok(())
    }

    /// Takes one image of finite intensities, which are not checked again.
    ///
    /// # Panics
    /// If the delivery is not for this shape, planar and in `[0, 1]`, or as [`Delivery::write`].
    pub(super) fn begin<'a>(
        &'a self,
        level: Level,
        [channels, height, width]: [usize; 3],
        out: &'a mut [u8],
    ) -> Writing<'a> {
        let format = ImageFormat { channels, height, width, interleaved: false, range: [0.0, 1.0] };
        assert_eq!(self.format, format, "a delivery for what the canvas made");
        assert_eq!(self.image_bytes(), out.len(), "as many bytes as an image");
        Writing::new(self, level, out)
    }

    /// Whether the channels of a delivered image lie apart.
    pub(super) fn is_planar(&self) -> bool {
        !self.interleave || self.format.channels == 1
    }

    /// Writes one image of planes.
    pub(super) fn write_planar(&self, level: Level, values: &[f32], out: &mut [u8]) {
        let (channels, range) = (self.format.channels, self.range());
        if self.is_planar() {
            let pixels = values.len() / channels;
            let mut writing = Writing::new(self, level, out);
            for (channel, plane) in values.chunks_exact(pixels).enumerate() {
                writing.write(channel, 0, plane);
            }
            return writing.finish();
        }
        let units = std::array::from_fn(|channel| self.unit(channel));
        match self.dtype {
            Dtype::U8 => store::bytes_together(level, values, channels, range, out),
            Dtype::F32 => {
                let out = bytemuck::cast_slice_mut(out);
                store::floats_together(level, values, channels, range, units, out);
            }
            Dtype::F16 => {
                let out = bytemuck::cast_slice_mut(out);
                store::halves_together(level, values, channels, range, units, out);
            }
        }
    }

    /// What values are multiplied with, and what is added then, to make them intensities.
    pub(super) fn range(&self) -> (f32, f32) {
        (self.scale, self.bias)
    }

    /// What intensities of a channel are multiplied with, and what is added then.
    pub(super) fn unit(&self, channel: usize) -> (f32, f32) {
        self.normalise.get(channel).copied().unwrap_or((1.0, 0.0))
    }

    /// Whether delivered bytes are the generator's own.
    fn is_copy(&self) -> bool {
        self.dtype == Dtype::U8
            && self.format.range == [0.0, 255.0]
            && (self.interleave == self.format.interleaved || self.format.channels == 1)
    }

    /// Maps one image whose channels lie together.
    fn pixels<T: Pod>(
        &self,
        values: &[f32],
        out: &mut [T],
        map: impl Fn(f32, (f32, f32), (f32, f32)) -> T + Copy,
    ) {
        let range = self.range();
        if self.interleave && self.normalise.is_empty() {
            for (out, x) in out.iter_mut().zip(values) {
                *out = map(*x, range, (1.0, 0.0));
            }
            return;
        }
        let channels = self.format.channels;
        let pixels = self.format.height * self.format.width;
        for channel in 0..channels {
            let unit = self.unit(channel);
            let (to, stride) =
                if self.interleave { (channel, channels) } else { (channel * pixels, 1) };
            let source = values[channel..].iter().step_by(channels);
            for (out, x) in out[to..].iter_mut().step_by(stride).zip(source) {
                *out = map(*x, range, unit);
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn coefficients(normalise: &Normalise, channels: usize) -> Result<Vec<(f32, f32)>> {
    let get = |values: &[f64], key: &str, channel: usize| match values {
        [one] => Ok(*one),
        values if values.len() == channels => Ok(values[channel]),
        values => {
            let n = values.len();
            Err(Error::new(
                Kind::Recipe,
                format!("`output.normalise.{key}` has {n} numbers for {channels} channels"),
            ))
        }
    };
    let one = |channel| {
        let mean = get(&normalise.mean, "mean", channel)?;
        let std = get(&normalise.std, "std", channel)?;
        Ok(((1.0 / std) as f32, (-mean / std) as f32))
    };
    (0..channels).map(one).collect()
}

/// The elements of `range` as floats: borrowed where they are floats already.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn row_as_f32<'a>(
    rows: TensorView<'a>,
    range: std::ops::Range<usize>,
    scratch: &'a mut Vec<f32>,
) -> &'a [f32] {
    if let TensorView::F32(values) = rows {
        return &values[range];
    }
    scratch.resize(range.len(), 0.0);
    fn fill<T: Copy>(scratch: &mut [f32], values: &[T], convert: impl Fn(T) -> f32) {
        for (out, x) in scratch.iter_mut().zip(values) {
            *out = convert(*x);
        }
    }
    match rows {
        TensorView::F32(_) => unreachable!("returned above"),
        TensorView::F16(x) => x[range].convert_to_f32_slice(scratch),
        TensorView::Bf16(x) => x[range].convert_to_f32_slice(scratch),
        TensorView::F64(x) => fill(scratch, &x[range], |x| x as f32),
        TensorView::U8(x) => fill(scratch, &x[range], f32::from),
        TensorView::I32(x) => fill(scratch, &x[range], |x| x as f32),
        TensorView::I64(x) => fill(scratch, &x[range], |x| x as f32),
    }
    scratch
}

/// The first value that is NaN or infinite. The test over all of them is branch-free, as nearly
/// every image passes it.
pub(super) fn first_bad(level: Level, values: &[f32]) -> Option<usize> {
    if all_finite(level, values) { None } else { values.iter().position(|x| !x.is_finite()) }
}

kernel! {
    fn all_finite(values: &[f32]) -> bool {
        const EXPONENT: u32 = 0x7f80_0000;
        values.iter().fold(0, |bad, x| bad | u32::from(x.to_bits() & EXPONENT == EXPONENT)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(channels: usize, interleaved: bool, range: [f64; 2]) -> ImageFormat {
        ImageFormat { channels, height: 1, width: 2, interleaved, range }
    }

    fn output(dtype: Dtype, layout: Layout) -> Output {
        Output { dtype, layout, normalise: None }
    }

    fn bytes(format: ImageFormat, layout: Layout, values: &[f32]) -> Vec<u8> {
        let delivery = Delivery::new(format, &output(Dtype::U8, layout)).unwrap();
        let mut out = vec![0; values.len()];
        delivery.write(TensorView::F32(values), &mut out).unwrap();
        out
    }

    #[test]
    fn ranges_map_black_and_white_and_clamp() {
        for (range, values) in [
            ([-1.0, 1.0], [-1.0, 1.0, 0.0, -9.0]),
            ([0.0, 1.0], [0.0, 1.0, 0.5, -0.1]),
            ([0.0, 255.0], [0.0, 255.0, 127.6, -3.0]),
            ([1.0, 0.0], [1.0, 0.0, 0.5, 7.0]),
        ] {
            let format = ImageFormat { width: 4, ..format(1, false, range) };
            assert_eq!(bytes(format, Layout::Nchw, &values), [0, 255, 128, 0], "{range:?}");
        }
        let hot = ImageFormat { width: 1, ..format(1, false, [-1.0, 1.0]) };
        assert_eq!(bytes(hot, Layout::Nchw, &[1e30]), [255]);
    }

    #[test]
    fn every_byte_comes_back_from_its_own_value() {
        for range in [[-1.0f64, 1.0], [0.0, 1.0], [0.0, 255.0]] {
            let values: Vec<f32> = (0..=255u8)
                .map(|b| (range[0] + f64::from(b) / 255.0 * (range[1] - range[0])) as f32)
                .collect();
            let format = ImageFormat { width: 256, ..format(1, false, range) };
            let expected: Vec<u8> = (0..=255).collect();
            assert_eq!(bytes(format, Layout::Nchw, &values), expected);
        }
    }

    #[test]
    fn layouts_are_transposed_both_ways() {
        let planar = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let interleaved = [1.0, 3.0, 5.0, 2.0, 4.0, 6.0];
        let range = [0.0, 255.0];
        for (from, values) in [(false, planar), (true, interleaved)] {
            assert_eq!(bytes(format(3, from, range), Layout::Nchw, &values), [1, 2, 3, 4, 5, 6]);
            assert_eq!(bytes(format(3, from, range), Layout::Nhwc, &values), [1, 3, 5, 2, 4, 6]);
        }
    }

    #[test]
    fn floats_are_intensities_and_normalise_by_channel() {
        let normalise = Normalise { mean: vec![0.5, 0.0], std: vec![0.5, 2.0] };
        for dtype in [Dtype::F32, Dtype::F16] {
            let output =
                Output { normalise: Some(normalise.clone()), ..output(dtype, Layout::Nhwc) };
            let delivery = Delivery::new(format(2, false, [-1.0, 1.0]), &output).unwrap();
            let mut out = vec![0u32; dtype.size()];
            let out: &mut [u8] = bytemuck::cast_slice_mut(&mut out);
            delivery.write(TensorView::F32(&[-1.0, 1.0, 0.0, 3.0]), out).unwrap();
            let values: Vec<f32> = match dtype {
                Dtype::F32 => bytemuck::cast_slice(out).to_vec(),
                _ => bytemuck::cast_slice::<_, f16>(out).iter().map(|h| h.to_f32()).collect(),
            };
            assert_eq!(values, [-1.0, 0.25, 1.0, 0.5]);
        }
        let wrong = Output {
            normalise: Some(Normalise { mean: vec![0.5; 3], std: vec![1.0] }),
            ..output(Dtype::F32, Layout::Nchw)
        };
        let error = Delivery::new(format(1, false, [0.0, 1.0]), &wrong).unwrap_err().to_string();
        assert!(error.contains("`output.normalise.mean` has 3 numbers for 1 channels"), "{error}");
    }

    #[test]
    fn every_element_type_gives_the_same_bytes() {
        let halves = [0.0, 64.0, 128.0, 255.0].map(f16::from_f32);
        let doubles = [0.0, 64.0, 128.0, 255.0];
        let delivery = Delivery::new(
            ImageFormat { width: 4, ..format(1, false, [0.0, 255.0]) },
            &output(Dtype::U8, Layout::Nchw),
        )
        .unwrap();
        for rows in [
            TensorView::F16(&halves),
            TensorView::F64(&doubles),
            TensorView::U8(&[0, 64, 128, 255]),
            TensorView::I64(&[0, 64, 128, 255]),
        ] {
            let mut out = [0; 4];
            delivery.write(rows, &mut out).unwrap();
            assert_eq!(out, [0, 64, 128, 255], "{rows:?}");
        }
    }

    #[test]
    fn values_that_no_image_may_have_are_named() {
        let delivery =
            Delivery::new(format(1, false, [0.0, 1.0]), &output(Dtype::U8, Layout::Nchw)).unwrap();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let values = [0.0, 1.0, 0.5, bad];
            let error = delivery.write(TensorView::F32(&values), &mut [0; 4]).unwrap_err();
            assert_eq!((error.row, error.element), (1, 1));
        }
    }
}
