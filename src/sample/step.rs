//! One operation on an image with all its parameters drawn.

use serde::Serialize;

use crate::recipe::{Axis, Filter, Padding, Sampling};

/// One operation on an image, ready to be carried out. Equal steps on equal images give equal
/// bits on every machine.
///
/// Places and sizes are in pixels, rows before columns; values are intensities in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub enum Step {
    /// The box `top, left, height, width` (inside the image) at size `out`, antialiased.
    ResizedCrop {
        /// First row.
        top: u32,
        /// First column.
        left: u32,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// `[height, width]` of the result.
        out: [u32; 2],
        /// How pixels are weighed.
        filter: Filter,
    },
    /// The box of size `out` from `top, left`, which may lie outside of the image.
    Crop {
        /// First row; negative above the image.
        top: i32,
        /// First column; negative left of the image.
        left: i32,
        /// `[height, width]` of the result.
        out: [u32; 2],
        /// What is outside.
        padding: Padding,
    },
    /// Mirrored.
    Flip {
        /// Left to right, or top to bottom.
        axis: Axis,
    },
    /// Pixel `(x, y)` of the result reads the image at `(a x + b y + c, d x + e y + f)`, where
    /// coordinates are those of pixel centres counted from the image's middle.
    Affine {
        /// `[a, b, c, d, e, f]`.
        matrix: [f32; 6],
        /// How it reads between pixels.
        filter: Sampling,
        /// Intensity outside of the image.
        fill: f32,
    },
    /// `factor x`.
    Brightness {
        /// At least 0.
        factor: f32,
    },
    /// `factor x + (1 - factor) m`, m the mean luma of the image.
    Contrast {
        /// At least 0.
        factor: f32,
    },
    /// `factor x + (1 - factor) luma`.
    Saturation {
        /// At least 0.
        factor: f32,
    },
    /// The hue of every pixel moved around the colour circle.
    Hue {
        /// In turns, within ±0.5.
        shift: f32,
    },
    /// Luma in all three channels.
    Grayscale,
    /// Convolution with a normal density cut to `kernel`, edges reflected.
    Blur {
        /// `[height, width]`, odd.
        kernel: [u32; 2],
        /// Standard deviation in pixels.
        sigma: f32,
    },
    /// `1 - x` where `x >= threshold`.
    Solarize {
        /// An intensity.
        threshold: f32,
    },
    /// The upper bits of 8-bit values.
    Posterize {
        /// 1 to 8.
        bits: u32,
    },
    /// The box `top, left, height, width` overwritten.
    Erase {
        /// First row.
        top: u32,
        /// First column.
        left: u32,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// With what.
        fill: Fill,
    },
}

/// What an erased box is overwritten with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// One intensity for each channel.
    Constant([f32; 4]),
    /// Standard normal noise from this key.
    Noise(u64),
}
