//! A box of the image at another size, antialiased: `Step::ResizedCrop`.
//!
//! Two passes, along rows and then along columns, each a weighted sum of neighbours ([`Taps`]).
//! Along columns whole rows are summed. Along rows the neighbours of 16 outputs lie within a few
//! vectors unless the image shrinks a lot, and are picked out of those by permutation; else 16
//! rows are transposed and summed as columns are. A cubic overshoots: as in torchvision for bytes
//! (and in Pillow), both passes cut what they make to the range of an image.

use super::planes::weighted_sum;
use super::simd::{Level, kernel, vector_kernel};
use super::taps::Taps;
use super::vector::Vector;
use super::{Lines, permute, unit};
use crate::recipe::Filter;

/// A box of an image and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
    /// `[height, width]`.
    pub out: [usize; 2],
    pub filter: Filter,
    /// Whether rows, then columns, are mirrored afterwards.
    pub mirrored: [bool; 2],
}

/// Tables and the image between the two passes.
#[derive(Debug, Default)]
pub(super) struct Resampler {
    down: Taps,
    along: Taps,
    plane: Lines,
    tile: Lines,
}

impl Resampler {
    /// Resizes every plane of `source`, which are `size = [height, width]`, into `out`.
    pub fn run(
        &mut self,
        level: Level,
        source: &[f32],
        size: [usize; 2],
        request: Request,
        out: &mut [f32],
    ) {
        let Request { top, left, height, width, out: [rows, columns], filter, mirrored } = request;
        self.down.fill(level, height, rows, filter, mirrored[0]);
        self.along.fill(level, width, columns, filter, mirrored[1]);
        let direct = self.along.is_identity();
        let planes = source.chunks_exact(size[0] * size[1]);
        for (plane, out) in planes.zip(out.chunks_exact_mut(rows * columns)) {
            let source = &plane[top * size[1] + left..];
            if direct {
                along_columns(level, source, size[1], &self.down, columns, out);
                continue;
            }
            let between = self.plane.room(height * columns);
            if !permute::along_rows(level, source, size[1], width, &self.along, between) {
                let tile = self.tile.room((width + columns) * LANES);
                along_rows(level, source, size[1], width, &self.along, tile, between);
            }
            along_columns(level, between, columns, &self.down, columns, out);
        }
    }
}

vector_kernel! {
    /// Resamples columns: rows of `source`, `stride` apart, to rows of `columns` values, cut to
    /// `[0, 1]`, which a cubic may leave.
    fn along_columns(
        source: &[f32],
        stride: usize,
        taps: &Taps,
        columns: usize,
        out: &mut [f32],
    ) = rows_summed
}

/// # Safety
/// The caller is compiled for the instructions of `V`.
#[inline(always)]
unsafe fn rows_summed<V: Vector>(
    source: &[f32],
    stride: usize,
    taps: &Taps,
    columns: usize,
    out: &mut [f32],
) {
    for (y, out) in out.chunks_exact_mut(columns).enumerate() {
        let (first, weights) = taps.of(y);
        // SAFETY: instructions are the caller's.
        unsafe { weighted_sum::<V>(&source[first * stride..], stride, weights, out) };
    }
}

/// Rows that are resampled at a time, one a lane.
const LANES: usize = 16;

kernel! {
    /// Resamples rows of `width` values, `stride` apart, to rows of `out`.
    fn along_rows(
        source: &[f32],
        stride: usize,
        width: usize,
        taps: &Taps,
        tile: &mut [f32],
        out: &mut [f32],
    ) {
        let columns = taps.len();
        let (inputs, outputs) = tile.split_at_mut(width * LANES);
        for (group, out) in out.chunks_mut(LANES * columns).enumerate() {
            for row in 0..out.len() / columns {
                let source = &source[(group * LANES + row) * stride..][..width];
                for (lanes, x) in inputs.chunks_exact_mut(LANES).zip(source) {
                    lanes[row] = *x;
                }
            }
            for (output, lanes) in outputs.chunks_exact_mut(LANES).take(columns).enumerate() {
                let (first, weights) = taps.of(output);
                let mut sum = [0.0; LANES];
                let inputs = inputs[first * LANES..].chunks_exact(LANES);
                for (weight, values) in weights.zip(inputs) {
                    for i in 0..LANES {
                        sum[i] += weight * values[i];
                    }
                }
                for i in 0..LANES {
                    lanes[i] = unit(sum[i]);
                }
            }
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                for (out, lanes) in out.iter_mut().zip(outputs.chunks_exact(LANES)) {
                    *out = lanes[row];
                }
            }
        }
    }
}
