//! Gray, colour and alpha: one turned into another, as Pillow's `convert` does.
//!
//! Images are interleaved bytes of 1 to 4 channels: gray, gray with alpha, RGB, RGB with alpha.
//! Alpha that is not wanted is dropped, not laid over a background; alpha that is wanted and
//! missing is opaque. Of colour, the luma of ITU-R BT.601 is its gray.

use bytemuck::Pod;

use crate::view::simd::Level;
use crate::view::unpack::three_bytes;

/// Luma of a pixel: the weights of BT.601 in units of 2^-16, rounded, as Pillow has them.
fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    ((sum + (1 << 15)) >> 16) as u8
}

/// The channels to work with on the way from `from` channels to `to`: as few as keep what is wanted.
pub(super) fn between(from: usize, to: usize) -> usize {
    match (from, to) {
        (1, _) | (_, 1) | (3, 2) | (2, 3) => 1,
        (_, 2) | (2, _) => 2,
        (3, _) | (_, 3) => 3,
        _ => 4,
    }
}

/// Drops in place what is not wanted: `from` channels become [`between`]`(from, to)`, which it
/// says.
pub(super) fn narrow(pixels: &mut Vec<u8>, from: usize, to: usize) -> usize {
    let keep = between(from, to);
    let count = pixels.len() / from;
    if keep == from {
        return keep;
    }
    for i in 0..count {
        let (read, write) = (i * from, i * keep);
        match (from, keep) {
            (2, 1) => pixels[write] = pixels[read],
            (4, 3) => pixels.copy_within(read..read + 3, write),
            _ => {
                let gray = luma(pixels[read], pixels[read + 1], pixels[read + 2]);
                let alpha = pixels[read + from - 1];
                pixels[write] = gray;
                if keep == 2 {
                    pixels[write + 1] = alpha;
                }
            }
        }
    }
    pixels.truncate(count * keep);
    keep
}

/// Writes pixels of three channels as three planes.
///
/// # Panics
/// If `out` has not a place for each.
pub(super) fn part(pixels: &[u8], out: &mut [u8]) {
    assert_eq!(out.len(), pixels.len(), "as many places as values");
    let count = pixels.len() / 3;
    let done = three_bytes(Level::best(), pixels, out);
    let (red, rest) = out.split_at_mut(count);
    let (green, blue) = rest.split_at_mut(count);
    for (i, pixel) in pixels.as_chunks::<3>().0.iter().enumerate().skip(done) {
        [red[i], green[i], blue[i]] = *pixel;
    }
}

/// What one pixel becomes: for each wanted channel, the one it is taken from, or none where it is
/// opaque.
fn sources(from: usize, to: usize) -> [Option<usize>; 4] {
    match (from, to) {
        (1, 1 | 3) => [Some(0); 4],
        (1, 2) => [Some(0), None, None, None],
        (1, _) => [Some(0), Some(0), Some(0), None],
        (2, 4) => [Some(0), Some(0), Some(0), Some(1)],
        (3, 4) => [Some(0), Some(1), Some(2), None],
        _ => [Some(0), Some(1), Some(2), Some(3)],
    }
}

/// Writes interleaved pixels of `from` channels as `to`, plane by plane or pixel by pixel, each
/// byte through `element`.
///
/// # Panics
/// If `out` has not a place for each.
pub(super) fn deliver<T: Pod>(
    pixels: &[u8],
    from: usize,
    to: usize,
    planar: bool,
    out: &mut [u8],
    element: impl Fn(u8) -> T,
) {
    let count = pixels.len() / from;
    let size = size_of::<T>();
    assert_eq!(out.len(), count * to * size, "as many places as values");
    let opaque = element(u8::MAX);
    let put = |out: &mut [u8], value: T| out.copy_from_slice(bytemuck::bytes_of(&value));
    let sources = &sources(from, to)[..to];
    if planar {
        for (plane, source) in out.chunks_exact_mut(count * size).zip(sources) {
            let places = plane.chunks_exact_mut(size);
            match *source {
                Some(channel) => {
                    let values = pixels[channel..].iter().step_by(from);
                    places.zip(values).for_each(|(place, x)| put(place, element(*x)));
                }
                None => places.for_each(|place| put(place, opaque)),
            }
        }
    } else {
        for (place, pixel) in out.chunks_exact_mut(to * size).zip(pixels.chunks_exact(from)) {
            for (place, source) in place.chunks_exact_mut(size).zip(sources) {
                put(place, source.map_or(opaque, |channel| element(pixel[channel])));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(pixel: &[u8], to: usize) -> Vec<u8> {
        let mut pixels = pixel.repeat(3);
        narrow(&mut pixels, pixel.len(), to);
        let mut out = vec![0; 3 * to];
        deliver(&pixels, between(pixel.len(), to), to, false, &mut out, |x| x);
        assert_eq!(out[..to], out[to..2 * to]);
        let mut planes = vec![0; 3 * to];
        deliver(&pixels, between(pixel.len(), to), to, true, &mut planes, |x| x);
        assert_eq!(planes.chunks(3).map(|plane| plane[2]).collect::<Vec<_>>(), out[..to]);
        out.truncate(to);
        out
    }

    #[test]
    fn every_number_of_channels_becomes_every_other() {
        // Pillow: Image.new(mode, (1, 1), pixel).convert(other).getpixel((0, 0)).
        let table: [(&[u8], [&[u8]; 4]); 4] = [
            (&[9], [&[9], &[9, 255], &[9, 9, 9], &[9, 9, 9, 255]]),
            (&[9, 7], [&[9], &[9, 7], &[9, 9, 9], &[9, 9, 9, 7]]),
            (&[200, 30, 90], [&[88], &[88, 255], &[200, 30, 90], &[200, 30, 90, 255]]),
            (&[200, 30, 90, 7], [&[88], &[88, 7], &[200, 30, 90], &[200, 30, 90, 7]]),
        ];
        for (pixel, expected) in table {
            for (to, expected) in (1..).zip(expected) {
                assert_eq!(converted(pixel, to), expected, "{pixel:?} to {to}");
            }
        }
    }

    #[test]
    fn every_byte_of_a_pixel_comes_to_its_plane() {
        for count in [1, 15, 16, 17, 31, 32, 1000] {
            let pixels: Vec<u8> = (0..3 * count).map(|i| (i * 7 % 251) as u8).collect();
            let (mut parts, mut planes) = (vec![0; 3 * count], vec![0; 3 * count]);
            part(&pixels, &mut parts);
            deliver(&pixels, 3, 3, true, &mut planes, |x| x);
            assert_eq!(parts, planes, "{count} pixels");
        }
    }

    #[test]
    fn gray_of_gray_colours_is_that_gray() {
        for level in 0..=255 {
            assert_eq!(converted(&[level; 3], 1), [level]);
        }
    }
}
