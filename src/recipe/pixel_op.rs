//! Operations on the image, in torchvision's meaning of their names: `views.pixel`.

mod read;
mod write;

use super::Normalise;

/// Pixels that a side of a view may have at most.
pub const MAX_SIDE: u32 = 16_384;
/// Ops that a list of pixel ops may have at most.
pub const MAX_PIXEL_OPS: usize = 64;

/// A change of the image, drawn anew for each view.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelOp {
    /// How often it is done at all, 0 to 1.
    pub p: f64,
    /// What it does.
    pub kind: PixelKind,
}

/// What a pixel op does. Values are intensities in `[0, 1]`, sizes `[height, width]` in pixels.
#[derive(Debug, Clone, PartialEq)]
pub enum PixelKind {
    /// A crop of random area and aspect, resized (Szegedy et al., 2015).
    RandomResizedCrop {
        /// Of the result.
        size: [u32; 2],
        /// Share of the image's area, least and most; default 0.08 to 1.
        scale: [f64; 2],
        /// Width over height, least and most; default 3/4 to 4/3.
        ratio: [f64; 2],
        /// Default bilinear, antialiased.
        filter: Filter,
    },
    /// The whole image at another size.
    Resize {
        /// Of the result.
        size: Size,
        /// Default bilinear, antialiased.
        filter: Filter,
    },
    /// The middle of the image.
    CenterCrop {
        /// Of the result.
        size: [u32; 2],
    },
    /// A crop at a random place.
    RandomCrop {
        /// Of the result.
        size: [u32; 2],
        /// Pixels put around the image first; default 0.
        padding: u32,
        /// What they are; default black.
        mode: Padding,
    },
    /// Mirrored.
    Flip {
        /// Left to right, or top to bottom.
        axis: Axis,
    },
    /// Turned about the middle.
    Rotate {
        /// Counter-clockwise, least and most.
        degrees: [f64; 2],
        /// Default nearest, as in torchvision.
        filter: Sampling,
        /// Intensity of what comes in from outside; default 0.
        fill: f64,
    },
    /// Rotated, shifted, scaled and sheared about the middle.
    Affine {
        /// Clockwise, least and most.
        degrees: [f64; 2],
        /// Greatest shift as a share of `[width, height]`; default none.
        translate: [f64; 2],
        /// Scale, least and most; default 1.
        scale: [f64; 2],
        /// Shear in degrees along x, then along y: least and most; default none.
        shear: [[f64; 2]; 2],
        /// Default nearest, as in torchvision.
        filter: Sampling,
        /// Intensity of what comes in from outside; default 0.
        fill: f64,
    },
    /// Brightness, contrast, saturation and hue in random order; each where given.
    ColourJitter {
        /// Factor, least and most.
        brightness: Option<[f64; 2]>,
        /// Factor, least and most.
        contrast: Option<[f64; 2]>,
        /// Factor, least and most.
        saturation: Option<[f64; 2]>,
        /// Shift as a share of the colour circle, within ±0.5.
        hue: Option<[f64; 2]>,
    },
    /// Rec. 601 luma in all three channels.
    Grayscale,
    /// Convolution with a normal density.
    GaussianBlur {
        /// `[height, width]` of the kernel, odd.
        kernel: [u32; 2],
        /// Standard deviation in pixels, least and most; default 0.1 to 2.
        sigma: [f64; 2],
    },
    /// Values from the threshold on are inverted.
    Solarize {
        /// Default 0.5.
        threshold: f64,
    },
    /// The upper bits of 8-bit values are kept.
    Posterize {
        /// 1 to 8.
        bits: u32,
    },
    /// A random rectangle is overwritten (Zhong et al., 2020).
    Erase {
        /// Share of the image's area, least and most; default 0.02 to 0.33.
        scale: [f64; 2],
        /// Height over width, least and most; default 0.3 to 3.3.
        ratio: [f64; 2],
        /// Default 0.
        value: EraseValue,
    },
    /// `(x - mean) / std` at the last write; the last op of a list.
    Normalise(Normalise),
}

/// The size that a resize asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Of the shorter side; the aspect is kept.
    Shorter(u32),
    /// `[height, width]`.
    Exact([u32; 2]),
}

/// How pixels are weighed when an image changes its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Triangle, widened where the image shrinks.
    Bilinear,
    /// Cubic with a = -0.5, widened where the image shrinks.
    Bicubic,
    /// The nearest pixel.
    Nearest,
}

/// How an affine map reads between pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// The nearest pixel.
    Nearest,
    /// The four around.
    Bilinear,
}

/// What lies around an image.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// This intensity.
    Constant(f32),
    /// The image mirrored at its outermost pixels, which are not repeated.
    Reflect,
    /// The outermost pixels repeated.
    Edge,
}

/// The axis of a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Left becomes right.
    Horizontal,
    /// Top becomes bottom.
    Vertical,
}

/// What an erased rectangle holds.
#[derive(Debug, Clone, PartialEq)]
pub enum EraseValue {
    /// One intensity, or one for each channel.
    Constant(Vec<f64>),
    /// Independent standard normal values (torchvision's `"random"`), clamped to `[0, 1]`, where
    /// the values of an image lie.
    Noise,
}

impl Filter {
    /// Every filter with its name in a recipe.
    pub const ALL: [(&'static str, Self); 3] =
        [("bilinear", Self::Bilinear), ("bicubic", Self::Bicubic), ("nearest", Self::Nearest)];
}

impl Sampling {
    /// Every way with its name in a recipe.
    pub const ALL: [(&'static str, Self); 2] =
        [("nearest", Self::Nearest), ("bilinear", Self::Bilinear)];
}

impl Padding {
    /// Every padding with its name in a recipe; the constant is black.
    pub const ALL: [(&'static str, Self); 3] =
        [("constant", Self::Constant(0.0)), ("reflect", Self::Reflect), ("edge", Self::Edge)];
}

impl Axis {
    /// Both axes with their names in a recipe.
    pub const ALL: [(&'static str, Self); 2] =
        [("horizontal", Self::Horizontal), ("vertical", Self::Vertical)];
}
