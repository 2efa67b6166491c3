//! Pixels moved as they are: `Step::Crop` and `Step::Flip`.

use super::blur::reflect;
use crate::recipe::{Axis, Padding};

/// Where a box lies: its first row and column, and `[height, width]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub top: isize,
    pub left: isize,
    pub out: [usize; 2],
}

/// The place in `0..n` that is shown at `place`, if any is.
fn shown(place: isize, n: usize, padding: Padding) -> Option<usize> {
    match padding {
        Padding::Reflect => Some(reflect(place, n)),
        Padding::Edge => Some(place.clamp(0, n as isize - 1) as usize),
        Padding::Constant(_) => (0..n as isize).contains(&place).then_some(place as usize),
    }
}

/// Copies the box out of every plane of `source`, which are `size = [height, width]`.
pub(super) fn crop(
    source: &[f32],
    size: [usize; 2],
    area: Window,
    padding: Padding,
    out: &mut [f32],
) {
    let [height, width] = size;
    let [rows, columns] = area.out;
    let fill = match padding {
        Padding::Constant(fill) => fill.clamp(0.0, 1.0),
        _ => 0.0,
    };
    // Columns that are copied as a run: those that show `0..width`.
    let start = (-area.left).clamp(0, columns as isize) as usize;
    let end = (width as isize - area.left).clamp(start as isize, columns as isize) as usize;
    let planes = source.chunks_exact(height * width);
    for (source, out) in planes.zip(out.chunks_exact_mut(rows * columns)) {
        for (y, out) in out.chunks_exact_mut(columns).enumerate() {
            let Some(row) = shown(area.top + y as isize, height, padding) else {
                out.fill(fill);
                continue;
            };
            let source = &source[row * width..][..width];
            if start < end {
                let from = (start as isize + area.left) as usize;
                out[start..end].copy_from_slice(&source[from..][..end - start]);
            }
            for x in (0..start).chain(end..columns) {
                let column = shown(area.left + x as isize, width, padding);
                out[x] = column.map_or(fill, |column| source[column]);
            }
        }
    }
}

/// Mirrors every plane of `image`, which are `size = [height, width]`, in place.
pub(super) fn flip(image: &mut [f32], [height, width]: [usize; 2], axis: Axis) {
    match axis {
        Axis::Horizontal => image.chunks_exact_mut(width).for_each(<[f32]>::reverse),
        Axis::Vertical => {
            for plane in image.chunks_exact_mut(height * width) {
                let (above, below) = plane.split_at_mut(height / 2 * width);
                let mirrored = below.chunks_exact_mut(width).rev();
                for (a, b) in above.chunks_exact_mut(width).zip(mirrored) {
                    a.swap_with_slice(b);
                }
            }
        }
    }
}
