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

/// Carries out pixelwise steps on an image of `channels` planes, or on the one plane there is of an
/// image whose three are `equal`, and shows `done` runs of the result as they are finished, with
/// the number of their first pixel. Whether the planes are equal now: then the first alone is
/// written.
///
/// The steps go over the image together, a run of pixels at a time that stays in the nearest
/// cache. Only a contrast has to wait for the mean of what the steps before it made.
pub(super) fn run(
    level: Level,
    image: &mut [f32],
    channels: usize,
    equal: bool,
    steps: &[Step],
    mut done: impl FnMut(usize, &Planes<'_>),
) -> bool {
    let pixels = if equal { image.len() } else { image.len() / channels };
    let mut planes = image.chunks_exact_mut(pixels);
    let mut next = || planes.next().unwrap_or_default();
    let mut all = match channels {
        _ if equal => Planes::Equal(next()),
        1 | 2 => Planes::Gray(next()),
        _ => Planes::Rgb([next(), next(), next()]),
    };
    let alone = channels == 3;
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
        for (number, mut run) in all.runs().enumerate() {
            for step in stretch {
                run.apply(level, step, mean as f32, alone);
            }
            if after.is_empty() {
                done(number * RUN, &run);
            } else {
                total += run.sum(level);
            }
        }
        if alone && stretch.contains(&Step::Grayscale) {
            all.level();
        }
        mean = total / pixels as f64;
        rest = after;
    }
    matches!(all, Planes::Equal(_))
}

/// The planes of an image, or of a run of its pixels, that are colour or gray, not alpha.
pub(super) enum Planes<'a> {
    Gray(&'a mut [f32]),
    Rgb([&'a mut [f32]; 3]),
    /// Of three planes that are the same, the first.
    Equal(&'a mut [f32]),
}

impl Planes<'_> {
    /// The values of a channel.
    pub fn channel(&self, channel: usize) -> &[f32] {
        match self {
            Self::Gray(plane) | Self::Equal(plane) => plane,
            Self::Rgb(planes) => planes[channel],
        }
    }

    /// Runs of at most [`RUN`] pixels.
    fn runs(&mut self) -> impl Iterator<Item = Planes<'_>> {
        let equal = matches!(self, Self::Equal(_));
        let [first, second, third]: [&mut [f32]; 3] = match self {
            Self::Gray(plane) | Self::Equal(plane) => [plane, &mut [], &mut []],
            Self::Rgb([r, g, b]) => [r, g, b],
        };
        let (mut g, mut b) = (second.chunks_mut(RUN), third.chunks_mut(RUN));
        first.chunks_mut(RUN).map(move |first| match (g.next(), b.next()) {
            (Some(g), Some(b)) => Planes::Rgb([first, g, b]),
            _ if equal => Planes::Equal(first),
            _ => Planes::Gray(first),
        })
    }

    /// Takes the first plane for all three.
    fn level(&mut self) {
        *self = match std::mem::replace(self, Self::Gray(&mut [])) {
            Self::Rgb([first, ..]) => Self::Equal(first),
            other => other,
        };
    }

    /// The sum of the luma of all pixels.
    fn sum(&self, level: Level) -> f64 {
        match self {
            Self::Gray(gray) => sum(level, gray),
            Self::Rgb([r, g, b]) => sum_luma(level, r, g, b),
            Self::Equal(x) => sum_luma(level, x, x, x),
        }
    }

    /// Carries out a step, given the mean of all luma. Where there are no planes but these, gray is
    /// left in the first `alone`.
    fn apply(&mut self, level: Level, step: &Step, mean: f32, alone: bool) {
        match (step, &mut *self) {
            (Step::Saturation { factor }, Self::Rgb([r, g, b])) => {
                blend_luma(level, r, g, b, *factor);
            }
            // The luma's weights do not sum to one, so gray becomes another gray.
            (Step::Saturation { factor }, Self::Equal(x)) => blend_own_luma(level, x, *factor),
            (Step::Hue { shift }, Self::Rgb([r, g, b])) => turn(level, r, g, b, shift * 6.0),
            (Step::Grayscale, Self::Rgb([r, g, b])) => {
                to_luma(level, r, g, b);
                if alone {
                    self.level();
                } else {
                    g.copy_from_slice(r);
                    b.copy_from_slice(r);
                }
            }
            (Step::Grayscale, Self::Equal(x)) => to_own_luma(level, x),
            // Gray has no colour to change.
            (Step::Saturation { .. } | Step::Grayscale, Self::Gray(_))
            | (Step::Hue { .. }, Self::Gray(_) | Self::Equal(_)) => {}
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
            Self::Gray(plane) | Self::Equal(plane) => change(plane),
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
    /// What `blend_luma` does to a pixel of three equal values.
    fn blend_own_luma(image: &mut [f32], factor: f32) {
        let rest = 1.0 - factor;
        for x in image {
            *x = unit(*x * factor + rest * luma(*x, *x, *x));
        }
    }
}

kernel! {
    /// Luma in place of the first channel.
    fn to_luma(r: &mut [f32], g: &[f32], b: &[f32]) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            // 0.2989 + 0.587 + 0.114 is below one, rounding errors included.
            *r = luma(*r, *g, *b);
        }
    }
}

kernel! {
    fn to_own_luma(image: &mut [f32]) {
        for x in image {
            *x = luma(*x, *x, *x);
        }
    }
}

kernel! {
    /// Moves hues by `sixths` of the circle, within ±3.
    ///
    /// The sector of torchvision's HSV that a hue falls into is not looked up: over the circle each
    /// channel is a trapezium between the greatest value of the pixel and the least. Hues are in
    /// units of a sixth times the range between the two, so nothing is divided by it; a gray pixel
    /// has no range and stays. They are counted from cyan, where red is least, so that green is
    /// greatest around -1, blue around 1, and a hue is brought back by one turn one way at most.
    fn turn(r: &mut [f32], g: &mut [f32], b: &mut [f32], sixths: f32) {
        // Where hues lie around that of a channel: in [-2, 4], so within ±1 of it in [-3, 5].
        let around = |channel: f32| (channel + sixths - 1.0).rem_euclid(6.0) - 2.0;
        let [at_red, at_green, at_blue] = [0.0, 2.0, 4.0].map(around);
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let top = greater(greater(*r, *g), *b);
            let low = lesser(lesser(*r, *g), *b);
            let range = top - low;
            let (difference, base) = if top == *r {
                (*g - *b, at_red)
            } else if top == *g {
                (*b - *r, at_green)
            } else {
                (*r - *g, at_blue)
            };
            let hue = difference + base * range;
            let hue = if hue >= 3.0 * range { hue - 6.0 * range } else { hue };
            let (below, above) = (low - range, top + range);
            let [red, green, blue] =
                [below + hue.abs(), above - (hue + range).abs(), above - (hue - range).abs()]
                    .map(|x| lesser(greater(x, low), top));
            (*r, *g, *b) = (red, green, blue);
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
