//! Changes of single pixels: brightness, contrast, saturation, hue, grayscale, solarize, posterize.
//!
//! The arithmetic is torchvision's for floats. Images of one or two channels have gray in the
//! first, which colour cannot change; a second or a fourth channel is alpha and is left alone.

use super::simd::{Level, kernel};
use super::unit;
use crate::sample::Step;

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

/// Whether a step changes every pixel by itself, given at most the mean of all.
pub(super) fn is_pixelwise(step: &Step) -> bool {
    matches!(
        step,
        Step::Brightness { .. }
            | Step::Contrast { .. }
            | Step::Saturation { .. }
            | Step::Hue { .. }
            | Step::Grayscale
            | Step::Solarize { .. }
            | Step::Posterize { .. }
    )
}

/// Carries out pixelwise steps on an image of `channels` planes.
///
/// The steps go over the image together, a run of pixels at a time that stays in the nearest
/// cache. Only a contrast has to wait for the mean of what the steps before it made.
pub(super) fn run(level: Level, image: &mut [f32], channels: usize, steps: &[Step]) {
    let pixels = image.len() / channels;
    let mut planes = image.chunks_exact_mut(pixels);
    let mut next = || planes.next().unwrap_or_default();
    let mut all = match channels {
        1 | 2 => Planes::Gray(next()),
        _ => Planes::Rgb([next(), next(), next()]),
    };
    let contrast = |step: &Step| matches!(step, Step::Contrast { .. });
    let mut mean = match steps.first() {
        Some(first) if contrast(first) => all.runs().map(|run| run.sum(level)).sum(),
        _ => 0.0,
    } / pixels as f64;
    let mut rest = steps;
    while !rest.is_empty() {
        let end = rest.iter().skip(1).position(contrast).map_or(rest.len(), |at| at + 1);
        let (stretch, after) = rest.split_at(end);
        let mut total = 0.0;
        for mut run in all.runs() {
            for step in stretch {
                run.apply(level, step, mean as f32);
            }
            if !after.is_empty() {
                total += run.sum(level);
            }
        }
        mean = total / pixels as f64;
        rest = after;
    }
}

/// The planes of an image, or of a run of its pixels, that are colour or gray, not alpha.
enum Planes<'a> {
    Gray(&'a mut [f32]),
    Rgb([&'a mut [f32]; 3]),
}

impl Planes<'_> {
    /// Runs of at most [`RUN`] pixels.
    fn runs(&mut self) -> impl Iterator<Item = Planes<'_>> {
        let [first, second, third]: [&mut [f32]; 3] = match self {
            Self::Gray(gray) => [gray, &mut [], &mut []],
            Self::Rgb([r, g, b]) => [r, g, b],
        };
        let (mut g, mut b) = (second.chunks_mut(RUN), third.chunks_mut(RUN));
        first.chunks_mut(RUN).map(move |first| match (g.next(), b.next()) {
            (Some(g), Some(b)) => Planes::Rgb([first, g, b]),
            _ => Planes::Gray(first),
        })
    }

    /// The sum of the luma of all pixels.
    fn sum(&self, level: Level) -> f64 {
        match self {
            Self::Gray(gray) => sum(level, gray),
            Self::Rgb([r, g, b]) => sum_luma(level, r, g, b),
        }
    }

    fn apply(&mut self, level: Level, step: &Step, mean: f32) {
        match (step, self) {
            (Step::Saturation { factor }, Self::Rgb([r, g, b])) => {
                blend_luma(level, r, g, b, *factor);
            }
            (Step::Hue { shift }, Self::Rgb([r, g, b])) => turn(level, r, g, b, shift * 6.0),
            (Step::Grayscale, Self::Rgb([r, g, b])) => to_luma(level, r, g, b),
            // Gray has no colour to change.
            (Step::Saturation { .. } | Step::Hue { .. } | Step::Grayscale, Self::Gray(_)) => {}
            (step, planes) => planes.each(|plane| match *step {
                Step::Brightness { factor } => scale(level, plane, factor, 0.0),
                Step::Contrast { factor } => scale(level, plane, factor, (1.0 - factor) * mean),
                Step::Solarize { threshold } => invert_from(level, plane, threshold),
                Step::Posterize { bits } => keep_bits(level, plane, 0xff & !(0xff >> bits.min(8))),
                _ => unreachable!("{step:?} is not pixelwise"),
            }),
        }
    }

    fn each(&mut self, mut change: impl FnMut(&mut [f32])) {
        match self {
            Self::Gray(gray) => change(gray),
            Self::Rgb(planes) => planes.iter_mut().for_each(|plane| change(plane)),
        }
    }
}

/// Accumulators of a sum, whatever the vectors' width.
const SUMS: usize = 32;

/// Pixels that are done at a time, and summed in single precision before they are added in double
/// precision. Three planes of them fill half of a small first cache.
const RUN: usize = 1024;

#[inline(always)]
fn total(sums: [f32; SUMS]) -> f64 {
    sums.iter().map(|x| f64::from(*x)).sum()
}

kernel! {
    fn scale(image: &mut [f32], factor: f32, bias: f32) {
        for x in image {
            *x = unit(*x * factor + bias);
        }
    }
}

kernel! {
    fn sum(image: &[f32]) -> f64 {
        let mut sums = [0.0; SUMS];
        for values in image.chunks(SUMS) {
            for (sum, x) in sums.iter_mut().zip(values) {
                *sum += *x;
            }
        }
        total(sums)
    }
}

kernel! {
    fn sum_luma(r: &[f32], g: &[f32], b: &[f32]) -> f64 {
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
        total(sums)
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
    /// channel is a trapezium between the greatest value of the pixel and the least, around 0, 2 and
    /// -2 sixths for red, green and blue. Hues are in units of a sixth times the range between the
    /// two, so nothing is divided by it; a gray pixel has no range and stays.
    fn turn(r: &mut [f32], g: &mut [f32], b: &mut [f32], sixths: f32) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let top = greater(greater(*r, *g), *b);
            let range = top - lesser(lesser(*r, *g), *b);
            let (difference, base) = if top == *r {
                (*g - *b, 0.0)
            } else if top == *g {
                (*b - *r, 2.0)
            } else {
                (*r - *g, -2.0)
            };
            // Within ±6 sixths: one turn either way brings it within ±3.
            let hue = difference + (base + sixths) * range;
            let (two, half, whole) = (2.0 * range, 3.0 * range, 6.0 * range);
            let hue = if hue >= half { hue - whole } else { hue };
            let hue = if hue < -half { hue + whole } else { hue };
            // How far it is from where the channel is greatest, the shorter way around.
            let red = hue.abs();
            let green = lesser((hue - two).abs(), hue + 2.0 * two);
            let blue = lesser((hue + two).abs(), 2.0 * two - hue);
            let [red, green, blue] =
                [red, green, blue].map(|distance| lesser(greater(distance - range, 0.0), range));
            (*r, *g, *b) = (top - red, top - green, top - blue);
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
