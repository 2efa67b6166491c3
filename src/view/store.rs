//! Planes of values written as bytes, halves or floats: the loops of a [`Delivery`].
//!
//! [`Delivery`]: super::Delivery

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::simd::{Level, kernel, vector_kernel};
use super::unit;
use super::vector::Vector;

/// Bytes of an image from which on it is written past the caches. A batch of such images is several
/// times as large as those of one core, so what is written would have to leave them again before it
/// is read, and would drive out what the next image needs.
const LARGE: usize = 32 << 10;

/// Floats of a cache line.
const LINE: usize = 16;

/// What a value is multiplied with, and what is added then.
pub(super) type Pair = (f32, f32);

/// Gains and offsets of up to four channels.
pub(super) type Units = [Pair; 4];

#[allow(clippy::manual_clamp, reason = "`clamp` would keep NaN")]
#[inline(always)]
pub(super) fn byte(x: f32, (scale, bias): Pair, _: Pair) -> u8 {
    let level = (x * scale + bias).max(0.0).min(255.0);
    // SAFETY: `level` is in [0, 255]; NaN was turned into 0 by `max`. A checked cast keeps the
    // loop from being vectorised.
    let level: i32 = unsafe { level.to_int_unchecked() };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let byte = level as u8;
    byte
}

#[inline(always)]
pub(super) fn intensity(x: f32, (scale, bias): Pair, (gain, offset): Pair) -> f32 {
    unit(x * scale + bias) * gain + offset
}

kernel! {
    pub(super) fn bytes(values: &[f32], range: Pair, out: &mut [u8]) {
        for (out, x) in out.iter_mut().zip(values) {
            *out = byte(*x, range, (1.0, 0.0));
        }
    }
}

kernel! {
    pub(super) fn bytes_together(values: &[f32], channels: usize, range: Pair, out: &mut [u8]) {
        together(values, channels, out, |x, _| byte(x, range, (1.0, 0.0)));
    }
}

/// Whether images of so many bytes are written past the caches.
pub(super) fn is_large(bytes: usize) -> bool {
    bytes >= LARGE
}

vector_kernel! {
    /// Values of one channel. `past_caches` asks for writes that neither read what was there before
    /// into the caches nor leave there what is written. They are to be
    /// [settled](super::vector::settle).
    pub(super) fn floats(
        values: &[f32],
        range: Pair,
        unit: Pair,
        past_caches: bool,
        out: &mut [f32],
    ) = plane_of
}

/// # Safety
/// The caller is compiled for the instructions of `V`.
#[inline(always)]
unsafe fn plane_of<V: Vector>(
    values: &[f32],
    range: Pair,
    unit: Pair,
    past_caches: bool,
    out: &mut [f32],
) {
    assert_eq!(values.len(), out.len(), "a place for every value");
    // Past the caches go whole lines only. What is left of them at both ends is written by itself:
    // a line that is written both ways is waited for.
    let (begin, lines) = match past_caches {
        true => {
            let begin = out.as_ptr().align_offset(LINE * size_of::<f32>()).min(out.len());
            (begin, (out.len() - begin) / LINE * LINE)
        }
        false => (0, out.len() / V::LANES * V::LANES),
    };
    let end = begin + lines;
    for x in (0..begin).chain(end..out.len()) {
        out[x] = intensity(values[x], range, unit);
    }
    // SAFETY: instructions are the caller's, and every vector ends within `end`.
    unsafe {
        let (scale, bias) = (V::all(range.0), V::all(range.1));
        let (gain, offset) = (V::all(unit.0), V::all(unit.1));
        let (from, to) = (values.as_ptr(), out.as_mut_ptr());
        for x in (begin..end).step_by(V::LANES) {
            let intensities = V::load(from.add(x)).mul(scale).add(bias).unit();
            let values = intensities.mul(gain).add(offset);
            if past_caches { values.stream(to.add(x)) } else { values.store(to.add(x)) }
        }
    }
}

kernel! {
    pub(super) fn floats_together(
        values: &[f32],
        channels: usize,
        range: Pair,
        units: Units,
        out: &mut [f32],
    ) {
        together(values, channels, out, |x, channel| intensity(x, range, units[channel]));
    }
}

/// Pixels, or values of one channel, that are made into single precision at a time.
const STRETCH: usize = 256;

/// Half-precision floats of one channel by way of a stretch of single-precision ones that stays in
/// the cache.
pub(super) fn halves(level: Level, values: &[f32], range: Pair, unit: Pair, out: &mut [f16]) {
    let mut single = [0.0; STRETCH * 4];
    for (values, out) in values.chunks(single.len()).zip(out.chunks_mut(STRETCH * 4)) {
        let single = &mut single[..values.len()];
        floats(level, values, range, unit, false, single);
        out.convert_from_f32_slice(single);
    }
}

/// As [`halves`], to pixels.
pub(super) fn halves_together(
    level: Level,
    values: &[f32],
    channels: usize,
    range: Pair,
    units: Units,
    out: &mut [f16],
) {
    let pixels = values.len() / channels;
    let (mut single, mut stretch) = ([0.0; STRETCH * 4], [0.0; STRETCH * 4]);
    for (number, out) in out.chunks_mut(STRETCH * channels).enumerate() {
        let n = out.len() / channels;
        for (channel, stretch) in stretch.chunks_exact_mut(n).take(channels).enumerate() {
            stretch.copy_from_slice(&values[channel * pixels + number * STRETCH..][..n]);
        }
        let single = &mut single[..out.len()];
        floats_together(level, &stretch[..out.len()], channels, range, units, single);
        out.convert_from_f32_slice(single);
    }
}

/// Planes to pixels.
#[inline(always)]
fn together<T>(values: &[f32], channels: usize, out: &mut [T], map: impl Fn(f32, usize) -> T) {
    match channels {
        2 => interleave::<2, _>(values, out, map),
        3 => interleave::<3, _>(values, out, map),
        4 => interleave::<4, _>(values, out, map),
        _ => interleave::<1, _>(values, out, map),
    }
}

/// Planes of `C` channels to pixels of `C` values.
#[inline(always)]
fn interleave<const C: usize, T>(values: &[f32], out: &mut [T], map: impl Fn(f32, usize) -> T) {
    let pixels = values.len() / C;
    let planes: [&[f32]; C] = std::array::from_fn(|c| &values[c * pixels..][..pixels]);
    for (pixel, out) in out.chunks_exact_mut(C).enumerate() {
        for (channel, out) in out.iter_mut().enumerate() {
            *out = map(planes[channel][pixel], channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vector::settle;
    use super::*;

    #[test]
    fn floats_are_the_same_bits_on_every_instruction_set_wherever_they_are_written() {
        let (range, unit) = ((0.5, 0.1), (2.0, -1.0));
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for n in [4117, 4096, 100, 3] {
            let values: Vec<f32> = (0..n).map(|i| (i % 251) as f32 / 100.0).collect();
            let expected: Vec<f32> = values.iter().map(|x| intensity(*x, range, unit)).collect();
            for level in Level::available() {
                for (begin, past_caches) in (0..=LINE).flat_map(|n| [(n, false), (n, true)]) {
                    let mut out = vec![9.0; begin + n + 1];
                    let end = begin + n;
                    floats(level, &values, range, unit, past_caches, &mut out[begin..end]);
                    settle();
                    let place = format!("{level:?}, {n} from {begin} on, {past_caches}");
                    assert_eq!(bits(&out[begin..end]), bits(&expected), "{place}");
                    assert!(out[..begin].iter().chain(&out[end..]).all(|x| *x == 9.0));
                }
            }
        }
    }
}
