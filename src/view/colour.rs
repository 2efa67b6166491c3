//! Changes of single pixels: brightness, contrast, saturation, hue, grayscale, solarize, posterize.
//!
//! The arithmetic is torchvision's for floats. Images of one or two channels have gray in the
//! first, which colour cannot change; a second or a fourth channel is alpha and is left alone.

use super::simd::{Level, kernel};
use super::unit;

/// Rec. 601 as torchvision rounds it.
const LUMA: [f32; 3] = [0.2989, 0.587, 0.114];

#[inline(always)]
fn luma(r: f32, g: f32, b: f32) -> f32 {
    LUMA[0] * r + LUMA[1] * g + LUMA[2] * b
}

/// `f32::min` and `max` cost more, and leave open which zero they give.
#[inline(always)]
fn lesser(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The planes of red, green and blue, if there are any.
fn rgb(image: &mut [f32], channels: usize) -> Option<[&mut [f32]; 3]> {
    let pixels = image.len() / channels;
    if channels < 3 {
        return None;
    }
    let (r, rest) = image.split_at_mut(pixels);
    let (g, rest) = rest.split_at_mut(pixels);
    Some([r, g, &mut rest[..pixels]])
}

/// The part of the image that is colour or gray, not alpha.
fn opaque(image: &mut [f32], channels: usize) -> &mut [f32] {
    let pixels = image.len() / channels;
    &mut image[..pixels * if channels < 3 { 1 } else { 3 }]
}

pub(super) fn brightness(level: Level, image: &mut [f32], channels: usize, factor: f32) {
    scale(level, opaque(image, channels), factor, 0.0);
}

pub(super) fn contrast(level: Level, image: &mut [f32], channels: usize, factor: f32) {
    let pixels = image.len() / channels;
    let total = match rgb(image, channels) {
        Some([r, g, b]) => sum_luma(level, r, g, b),
        None => sum(level, &image[..pixels]),
    };
    let mean = (total / pixels as f64) as f32;
    scale(level, opaque(image, channels), factor, (1.0 - factor) * mean);
}

pub(super) fn saturation(level: Level, image: &mut [f32], channels: usize, factor: f32) {
    if let Some([r, g, b]) = rgb(image, channels) {
        blend_luma(level, r, g, b, factor);
    }
}

pub(super) fn hue(level: Level, image: &mut [f32], channels: usize, shift: f32) {
    if let Some([r, g, b]) = rgb(image, channels) {
        turn(level, r, g, b, shift * 6.0);
    }
}

pub(super) fn grayscale(level: Level, image: &mut [f32], channels: usize) {
    if let Some([r, g, b]) = rgb(image, channels) {
        to_luma(level, r, g, b);
    }
}

pub(super) fn solarize(level: Level, image: &mut [f32], channels: usize, threshold: f32) {
    invert_from(level, opaque(image, channels), threshold);
}

pub(super) fn posterize(level: Level, image: &mut [f32], channels: usize, bits: u32) {
    let kept = 0xff & !(0xff >> bits.min(8));
    keep_bits(level, opaque(image, channels), kept);
}

kernel! {
    fn scale(image: &mut [f32], factor: f32, bias: f32) {
        for x in image {
            *x = unit(*x * factor + bias);
        }
    }
}

/// Accumulators of a sum, whatever the vectors' width.
const SUMS: usize = 32;

/// Pixels that are summed in single precision before they are added in double precision.
const RUN: usize = 2048;

#[inline(always)]
fn total(sums: [f32; SUMS]) -> f64 {
    sums.iter().map(|x| f64::from(*x)).sum()
}

kernel! {
    fn sum(image: &[f32]) -> f64 {
        let mut all = 0.0;
        for run in image.chunks(RUN) {
            let mut sums = [0.0; SUMS];
            for values in run.chunks(SUMS) {
                for (sum, x) in sums.iter_mut().zip(values) {
                    *sum += *x;
                }
            }
            all += total(sums);
        }
        all
    }
}

kernel! {
    fn sum_luma(r: &[f32], g: &[f32], b: &[f32]) -> f64 {
        let mut all = 0.0;
        for ((r, g), b) in r.chunks(RUN).zip(g.chunks(RUN)).zip(b.chunks(RUN)) {
            let mut sums = [0.0; SUMS];
            let (rs, gs, bs) = (r.chunks_exact(SUMS), g.chunks_exact(SUMS), b.chunks_exact(SUMS));
            let rest = (rs.remainder(), gs.remainder(), bs.remainder());
            for ((r, g), b) in rs.zip(gs).zip(bs) {
                for i in 0..SUMS {
                    sums[i] += luma(r[i], g[i], b[i]);
                }
            }
            for (i, ((r, g), b)) in rest.0.iter().zip(rest.1).zip(rest.2).enumerate() {
                sums[i] += luma(*r, *g, *b);
            }
            all += total(sums);
        }
        all
    }
}

kernel! {
    fn blend_luma(r: &mut [f32], g: &mut [f32], b: &mut [f32], factor: f32) {
        let rest = 1.0 - factor;
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let gray = rest * luma(*r, *g, *b);
            *r = unit(*r * factor + gray);
            *g = unit(*g * factor + gray);
            *b = unit(*b * factor + gray);
        }
    }
}

kernel! {
    fn to_luma(r: &mut [f32], g: &mut [f32], b: &mut [f32]) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            // 0.2989 + 0.587 + 0.114 is below one, rounding errors included.
            let gray = luma(*r, *g, *b);
            (*r, *g, *b) = (gray, gray, gray);
        }
    }
}

kernel! {
    /// Moves hues by `sixths` of the circle, within ±3.
    ///
    /// The sector of torchvision's HSV that a hue falls into is not looked up: over the circle each
    /// channel is a trapezium between the greatest value of the pixel and the least, whose places
    /// are 3, 2 and 4 sixths for red, green and blue. Grays stay as they are, and one division is
    /// left.
    fn turn(r: &mut [f32], g: &mut [f32], b: &mut [f32], sixths: f32) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let top = greater(greater(*r, *g), *b);
            let range = top - lesser(lesser(*r, *g), *b);
            let (difference, base) = if top == *r {
                (*g - *b, 6.0)
            } else if top == *g {
                (*b - *r, 2.0)
            } else {
                (*r - *g, 4.0)
            };
            let divisor = if range > 0.0 { range } else { 1.0 };
            // In (-3, 10): one turn either way brings it to [0, 6).
            let hue = base + difference / divisor + sixths;
            let hue = if hue >= 6.0 { hue - 6.0 } else { hue };
            let hue = if hue < 0.0 { hue + 6.0 } else { hue };
            let red = unit(2.0 - (hue - 3.0).abs());
            let green = unit((hue - 2.0).abs() - 1.0);
            let blue = unit((hue - 4.0).abs() - 1.0);
            (*r, *g, *b) = (top - range * red, top - range * green, top - range * blue);
        }
    }
}

kernel! {
    fn invert_from(image: &mut [f32], threshold: f32) {
        for x in image {
            *x = if *x >= threshold { 1.0 - *x } else { *x };
        }
    }
}

kernel! {
    fn keep_bits(image: &mut [f32], kept: i32) {
        for x in image {
            // SAFETY: intensities are finite and in [0, 1]. A checked cast keeps the loop from being
            // vectorised.
            let level: i32 = unsafe { (*x * 255.0 + 0.5).to_int_unchecked() };
            *x = (level & kept) as f32 / 255.0;
        }
    }
}
