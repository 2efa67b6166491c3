//! A generator's image to planes of intensities.

use half::slice::HalfFloatSliceExt;

use super::simd::{Level, kernel};
use super::{BadValue, Lines, unit};
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
            bytes(level, values, channels, range, out);
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

#[inline(always)]
fn split<T: Copy>(values: &[T], channels: usize, out: &mut [f32], map: impl Fn(T) -> f32) {
    let pixels = values.len() / channels;
    match channels {
        1 => {
            for (out, x) in out.iter_mut().zip(values) {
                *out = map(*x);
            }
        }
        3 => {
            let (r, rest) = out.split_at_mut(pixels);
            let (g, b) = rest.split_at_mut(pixels);
            let pixels = values.chunks_exact(3);
            for (((r, g), b), pixel) in r.iter_mut().zip(g).zip(b).zip(pixels) {
                (*r, *g, *b) = (map(pixel[0]), map(pixel[1]), map(pixel[2]));
            }
        }
        _ => {
            for (channel, out) in out.chunks_exact_mut(pixels).enumerate() {
                for (out, pixel) in out.iter_mut().zip(values.chunks_exact(channels)) {
                    *out = map(pixel[channel]);
                }
            }
        }
    }
}

kernel! {
    fn bytes(values: &[u8], channels: usize, range: (f32, f32), out: &mut [f32]) {
        split(values, channels, out, |x| unit(f32::from(x) * range.0 + range.1));
    }
}

kernel! {
    fn planes(values: &[f32], channels: usize, range: (f32, f32), out: &mut [f32]) {
        split(values, channels, out, |x| unit(x * range.0 + range.1));
    }
}
