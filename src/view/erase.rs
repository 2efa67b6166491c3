//! A box overwritten: `Step::Erase`.

use crate::sample::{self, Fill};

/// Rows and columns of an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

/// Overwrites `area` of every plane of `image`, which are `size = [height, width]`.
///
/// Noise is drawn channel by channel and row by row and cut to `[0, 1]`, where an image's values
/// lie.
pub(super) fn erase(image: &mut [f32], size: [usize; 2], area: Area, fill: Fill) {
    let [height, width] = size;
    let mut noise = match fill {
        Fill::Noise(key) => Some(sample::Noise::new(key)),
        Fill::Constant(_) => None,
    };
    for (channel, plane) in image.chunks_exact_mut(height * width).enumerate() {
        for y in area.top..area.top + area.height {
            let row = &mut plane[y * width + area.left..][..area.width];
            match (&mut noise, fill) {
                (Some(noise), _) => {
                    noise.fill(row);
                    for x in row {
                        *x = x.clamp(0.0, 1.0);
                    }
                }
                (None, Fill::Constant(values)) => row.fill(values[channel].clamp(0.0, 1.0)),
                (None, Fill::Noise(_)) => unreachable!("a key makes noise"),
            }
        }
    }
}
