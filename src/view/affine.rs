//! Rotation, shift, scale and shear: `Step::Affine`.
//!
//! Every output pixel reads the image at a place given by a matrix, in torchvision's convention
//! (`affine` and `rotate` with `fill` given): what lies outside counts as zero, a mask of ones is
//! read alike, and the fill comes in as `mask (read - fill) + fill`, or wherever the mask is below
//! one half if the nearest pixel is read.

use super::simd::kernel;
use super::unit;
use crate::recipe::Sampling;

/// A reading of one image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    pub matrix: [f32; 6],
    pub filter: Sampling,
    pub fill: f32,
}

/// Where the pixels of a row read: four places and their weights.
#[derive(Debug, Default)]
pub(super) struct Reads {
    places: [Vec<u32>; 4],
    weights: [Vec<f32>; 4],
}

impl Reads {
    pub fn resize(&mut self, width: usize) {
        for places in &mut self.places {
            places.resize(width, 0);
        }
        for weights in &mut self.weights {
            weights.resize(width, 0.0);
        }
    }
}

kernel! {
    /// Maps every plane of `source` into `out`, both `size = [height, width]`.
    pub(super) fn affine(source: &[f32], size: [usize; 2], map: Map, reads: &mut Reads, out: &mut [f32]) {
        let [height, width] = size;
        for y in 0..height {
            let ys = y as f32 - (height as f32 - 1.0) * 0.5;
            match map.filter {
                Sampling::Nearest => nearest(size, map.matrix, ys, reads),
                Sampling::Bilinear => bilinear(size, map.matrix, ys, reads),
            }
            let planes = source.chunks_exact(height * width);
            for (source, out) in planes.zip(out.chunks_exact_mut(height * width)) {
                let out = &mut out[y * width..][..width];
                match map.filter {
                    Sampling::Nearest => read_one(source, reads, map.fill, out),
                    Sampling::Bilinear => read_four(source, reads, map.fill, out),
                }
            }
        }
    }
}

/// Places in pixels, before rounding.
#[inline(always)]
fn place([height, width]: [usize; 2], m: [f32; 6], x: usize, ys: f32) -> (f32, f32) {
    let (across, down) = ((width as f32 - 1.0) * 0.5, (height as f32 - 1.0) * 0.5);
    let xs = x as f32 - across;
    (m[0] * xs + m[1] * ys + m[2] + across, m[3] * xs + m[4] * ys + m[5] + down)
}

/// The index of pixel `(x, y)` and one, or zero and zero outside of the image.
#[inline(always)]
fn inside([height, width]: [usize; 2], x: f32, y: f32) -> (u32, f32) {
    let inside = x >= 0.0 && x < width as f32 && y >= 0.0 && y < height as f32;
    let (x, y) = if inside { (x, y) } else { (0.0, 0.0) };
    (y as u32 * width as u32 + x as u32, if inside { 1.0 } else { 0.0 })
}

#[inline(always)]
fn nearest(size: [usize; 2], m: [f32; 6], ys: f32, reads: &mut Reads) {
    let [places, ..] = &mut reads.places;
    let [weights, ..] = &mut reads.weights;
    for (x, (to, weight)) in places.iter_mut().zip(weights).enumerate() {
        let (x, y) = place(size, m, x, ys);
        (*to, *weight) = inside(size, x.round_ties_even(), y.round_ties_even());
    }
}

#[inline(always)]
fn bilinear(size: [usize; 2], m: [f32; 6], ys: f32, reads: &mut Reads) {
    for x in 0..size[1] {
        let (px, py) = place(size, m, x, ys);
        let (left, top) = (px.floor(), py.floor());
        let (right, down) = (px - left, py - top);
        let corners = [
            (left, top, (1.0 - right) * (1.0 - down)),
            (left + 1.0, top, right * (1.0 - down)),
            (left, top + 1.0, (1.0 - right) * down),
            (left + 1.0, top + 1.0, right * down),
        ];
        for (corner, (cx, cy, weight)) in corners.into_iter().enumerate() {
            let (to, there) = inside(size, cx, cy);
            reads.places[corner][x] = to;
            reads.weights[corner][x] = if there > 0.0 { weight } else { 0.0 };
        }
    }
}

#[inline(always)]
fn read_one(source: &[f32], reads: &Reads, fill: f32, out: &mut [f32]) {
    for ((out, at), weight) in out.iter_mut().zip(&reads.places[0]).zip(&reads.weights[0]) {
        *out = if *weight < 0.5 { fill } else { value(source, *at) };
    }
}

#[inline(always)]
fn read_four(source: &[f32], reads: &Reads, fill: f32, out: &mut [f32]) {
    let [p, q, r, s] = reads.places.each_ref().map(|places| &places[..out.len()]);
    let [a, b, c, d] = reads.weights.each_ref().map(|weights| &weights[..out.len()]);
    for (x, out) in out.iter_mut().enumerate() {
        let read = value(source, p[x]) * a[x]
            + value(source, q[x]) * b[x]
            + value(source, r[x]) * c[x]
            + value(source, s[x]) * d[x];
        let mask = a[x] + b[x] + c[x] + d[x];
        *out = unit((read - fill) * mask + fill);
    }
}

/// One of `Reads::places`, unchecked, as a check of each keeps them from being gathered.
#[inline(always)]
fn value(source: &[f32], place: u32) -> f32 {
    debug_assert!((place as usize) < source.len());
    // SAFETY: `inside` makes all places, and only such as lie in a plane of the image's size.
    unsafe { *source.get_unchecked(place as usize) }
}
