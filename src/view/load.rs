//! A generator's image to planes of intensities.

use half::slice::HalfFloatSliceExt;

use super::simd::{Level, kernel};
use super::{BadValue, Lines, unit, unpack};
use crate::generate::ImageFormat;
use crate::runtime::TensorView;

/// Reads one image in `format` to `[C, H, W]` intensities.
///
/// The intensity of `x` is `x scale + bias`, clamped, as in [`super::Delivery`].
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(super) fn load(
    level: Level,
    format: &ImageFormat,
    row: TensorView<'_>,
    scratch: &mut Lines,
    out: &mut [f32],
) -> Result<(), BadValue> {
    let [black, white] = format.range;
    let scale = 1.0 / (white - black);
    let range = (scale as f32, (-black * scale) as f32);
    let channels = if format.interleaved { format.channels } else { 1 };
    let floats = match row {
        TensorView::F32(values) => values,
        // Bytes are finite and the usual element type of data on disk.
        TensorView::U8(values) => {
            let done = if channels == 3 { unpack::three(level, values, range, out) } else { 0 };
            bytes(level, values, channels, done, range, out);
            return Ok(());
        }
        other => {
            let scratch = scratch.room(out.len());
            match other {
                TensorView::F16(values) => values.convert_to_f32_slice(scratch),
                TensorView::Bf16(values) => values.convert_to_f32_slice(scratch),
                TensorView::F64(values) => convert(values, scratch, |x| x as f32),
                TensorView::I32(values) => convert(values, scratch, |x| x as f32),
                TensorView::I64(values) => convert(values, scratch, |x| x as f32),
                TensorView::F32(_) | TensorView::U8(_) => unreachable!("handled above"),
            }
            scratch
        }
    };
    if let Some(element) = super::deliver::first_bad(level, floats) {
        return Err(BadValue { row: 0, element, value: floats[element] });
    }
    planes(level, floats, channels, range, out);
    Ok(())
}

fn convert<T: Copy>(values: &[T], out: &mut [f32], convert: impl Fn(T) -> f32) {
    for (out, x) in out.iter_mut().zip(values) {
        *out = convert(*x);
    }
}

/// Maps all pixels but the first `done`.
#[inline(always)]
fn split<T: Copy>(
    values: &[T],
    channels: usize,
    done: usize,
    out: &mut [f32],
    map: impl Fn(T) -> f32,
) {
    let pixels = values.len() / channels;
    let values = &values[done * channels..];
    match channels {
        1 => {
            for (out, x) in out[done..].iter_mut().zip(values) {
                *out = map(*x);
            }
        }
        3 => {
            let (r, rest) = out.split_at_mut(pixels);
            let (g, b) = rest.split_at_mut(pixels);
            let pixels = values.chunks_exact(3);
            let (r, g, b) = (&mut r[done..], &mut g[done..], &mut b[done..]);
            for (((r, g), b), pixel) in r.iter_mut().zip(g).zip(b).zip(pixels) {
                (*r, *g, *b) = (map(pixel[0]), map(pixel[1]), map(pixel[2]));
            }
        }
        _ => {
            for (channel, out) in out.chunks_exact_mut(pixels).enumerate() {
                for (out, pixel) in out[done..].iter_mut().zip(values.chunks_exact(channels)) {
                    *out = map(pixel[channel]);
                }
            }
        }
    }
}

kernel! {
    fn bytes(values: &[u8], channels: usize, done: usize, range: (f32, f32), out: &mut [f32]) {
        split(values, channels, done, out, |x| unit(f32::from(x) * range.0 + range.1));
    }
}

kernel! {
    fn planes(values: &[f32], channels: usize, range: (f32, f32), out: &mut [f32]) {
        split(values, channels, 0, out, |x| unit(x * range.0 + range.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaved_bytes_are_the_same_bits_on_every_instruction_set() {
        for width in [1, 15, 16, 17, 100] {
            for (channels, range) in [(1, [0.0, 255.0]), (3, [0.0, 255.0]), (3, [200.0, 7.0])] {
                let format = ImageFormat { channels, height: 3, width, interleaved: true, range };
                let values: Vec<u8> = (0..format.len()).map(|i| (i * 37 % 256) as u8).collect();
                let pixels = 3 * width;
                let scale = 1.0 / (range[1] - range[0]);
                let (scale, bias) = (scale as f32, (-range[0] * scale) as f32);
                for level in Level::available() {
                    let mut out = vec![9.0; format.len()];
                    let row = TensorView::U8(&values);
                    load(level, &format, row, &mut Lines::default(), &mut out).unwrap();
                    for (i, x) in values.iter().enumerate() {
                        let expected = unit(f32::from(*x) * scale + bias);
                        let found = out[i % channels * pixels + i / channels];
                        assert_eq!(found.to_bits(), expected.to_bits(), "{level:?}: {i}");
                    }
                }
            }
        }
    }
}
