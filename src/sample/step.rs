//! One operation on an image with all its parameters drawn.

use std::fmt;

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

/// A few words for people: `crop 21×20 at (3, 5) to 28×28`, sides and places rows first.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ResizedCrop { top, left, height, width, out: [h, w], .. } => {
                write!(f, "crop {height}×{width} at ({top}, {left}) to {h}×{w}")
            }
            Self::Crop { top, left, out: [h, w], .. } => {
                write!(f, "crop {h}×{w} at ({top}, {left})")
            }
            Self::Flip { axis: Axis::Horizontal } => f.write_str("flip horizontal"),
            Self::Flip { axis: Axis::Vertical } => f.write_str("flip vertical"),
            Self::Affine { matrix: [a, b, c, d, e, g], .. } => {
                write!(f, "affine [{a:.2} {b:.2} {c:.1}; {d:.2} {e:.2} {g:.1}]")
            }
            Self::Brightness { factor } => write!(f, "brightness ×{factor:.2}"),
            Self::Contrast { factor } => write!(f, "contrast ×{factor:.2}"),
            Self::Saturation { factor } => write!(f, "saturation ×{factor:.2}"),
            Self::Hue { shift } => write!(f, "hue {shift:+.2}"),
            Self::Grayscale => f.write_str("grayscale"),
            Self::Blur { sigma, .. } => write!(f, "blur sigma {sigma:.2}"),
            Self::Solarize { threshold } => write!(f, "solarize from {threshold:.2}"),
            Self::Posterize { bits: 1 } => f.write_str("posterize to 1 bit"),
            Self::Posterize { bits } => write!(f, "posterize to {bits} bits"),
            Self::Erase { top, left, height, width, .. } => {
                write!(f, "erase {height}×{width} at ({top}, {left})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_said_in_few_words() {
        let filter = Filter::Bilinear;
        for (step, words) in [
            (
                Step::ResizedCrop { top: 3, left: 5, height: 21, width: 20, out: [28, 28], filter },
                "crop 21×20 at (3, 5) to 28×28",
            ),
            (
                Step::Crop { top: -4, left: 2, out: [32, 30], padding: Padding::Edge },
                "crop 32×30 at (-4, 2)",
            ),
            (Step::Contrast { factor: 1.306 }, "contrast ×1.31"),
            (Step::Hue { shift: 0.05 }, "hue +0.05"),
            (Step::Flip { axis: Axis::Horizontal }, "flip horizontal"),
            (Step::Posterize { bits: 4 }, "posterize to 4 bits"),
        ] {
            assert_eq!(step.to_string(), words);
        }
    }
}
