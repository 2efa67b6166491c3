//! The words of a recipe as types. What exists here has been checked by `parse`.

use std::path::PathBuf;

use super::MAX_SAMPLES;

/// How many samples a dataset has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// Indices `0..n`.
    Finite(u64),
    /// Indices up to [`MAX_SAMPLES`].
    Endless,
}

impl Samples {
    /// The number of samples, or `None` where the stream has no end.
    #[must_use]
    pub fn finite(self) -> Option<u64> {
        match self {
            Self::Finite(n) => Some(n),
            Self::Endless => None,
        }
    }

    /// One past the last index.
    #[must_use]
    pub fn end(self) -> u64 {
        self.finite().unwrap_or(MAX_SAMPLES)
    }
}

/// The `[generator]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Generator {
    /// Where the ONNX file is.
    pub model: ModelRef,
    /// In what precision the model runs; part of the identity.
    pub precision: Precision,
    /// Samples that one generator call makes; part of the identity. Default 32.
    pub block: u32,
    /// The meaning of each input, by its name in the ONNX file. Inputs that are not listed take
    /// what the file's own `genset.contract` metadata says.
    pub inputs: Vec<(String, Role)>,
    /// The meaning of the output that is the image.
    pub output: GeneratorOutput,
}

/// Where a generator's ONNX file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRef {
    /// One that ships with genset, by name without the prefix.
    Builtin(String),
    /// A path relative to the recipe's folder, which it does not leave.
    File(PathBuf),
}

/// The precision that a model runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As exported: 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE 754 half precision.
    F16,
}

/// What an input of a generator means.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// A latent vector: the sample's identity, which latent ops move from view to view.
    Latent(Distribution),
    /// The class label, shared by all views of a sample.
    Class(Class),
    /// Per-sample noise (as StyleGAN's), shared by all views of a sample.
    Noise(Distribution),
    /// The truncation scalar of generators that truncate by themselves (BigGAN, StyleGAN).
    Truncation(f64),
    /// The same values for every sample: one number for all elements, or one for each.
    Constant(Vec<f64>),
}

impl Role {
    /// The name of the role in a recipe.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Latent(_) => "latent",
            Self::Class(_) => "class",
            Self::Noise(_) => "noise",
            Self::Truncation(_) => "truncation",
            Self::Constant(_) => "constant",
        }
    }
}

/// How the elements of a latent or noise input are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    /// Independent standard normal, each element within ±`truncation` if that is given.
    Normal {
        /// Elements are drawn from the normal distribution restricted to ±this.
        truncation: Option<f64>,
    },
    /// Independent uniform in `[low, high)`.
    Uniform {
        /// Lower end; default -1.
        low: f64,
        /// Upper end; default 1.
        high: f64,
    },
    /// Uniform in the ball of this radius, in as many dimensions as the input has elements.
    UniformBall {
        /// Default 1.
        radius: f64,
    },
}

/// How a class input is drawn and encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// One-hot floats or an integer.
    pub encoding: Encoding,
    /// How many classes there are; labels are `0..classes`.
    pub classes: u32,
    /// How often each class is drawn.
    pub balance: Balance,
    /// Names of the classes, for people; empty or one for each. Not part of the identity.
    pub names: Vec<String>,
}

/// How a class is written into the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `classes` numbers, 1 at the label and 0 elsewhere.
    OneHot,
    /// The label itself.
    Index,
}

/// How often each class is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Balance {
    /// Every class alike.
    Uniform,
    /// In proportion to these, one for each class.
    Weights(Vec<f64>),
    /// These classes alike, the others never.
    Only(Vec<u32>),
}

/// The meaning of the image output. What is `None` is taken from the ONNX file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeneratorOutput {
    /// The output's name, where the model has several.
    pub name: Option<String>,
    /// The order of its dimensions.
    pub layout: Option<ImageLayout>,
    /// The values of black and white.
    pub range: Option<[f64; 2]>,
    /// `[C, H, W]` of a flat output.
    pub shape: Option<[u32; 3]>,
}

/// The order of dimensions of a generator's image output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageLayout {
    /// `[N, C, H, W]`.
    Nchw,
    /// `[N, H, W, C]`.
    Nhwc,
    /// `[C, H, W]`: one image a call, no batch dimension.
    Chw,
    /// `[H, W, C]`: one image a call, no batch dimension.
    Hwc,
    /// `[N, C·H·W]`, channel by channel, row by row.
    Flat,
}

impl ImageLayout {
    /// Every layout with its name in a recipe.
    pub const ALL: [(&'static str, Self); 5] = [
        ("NCHW", Self::Nchw),
        ("NHWC", Self::Nhwc),
        ("CHW", Self::Chw),
        ("HWC", Self::Hwc),
        ("flat", Self::Flat),
    ];

    /// Its name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

/// The `[output]` table: what is delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Element type of the delivered images. Default `u8`.
    pub dtype: Dtype,
    /// Order of the dimensions of one image. Default `NCHW`.
    pub layout: Layout,
    /// `(x - mean) / std` a channel, on values in `[0, 1]`; float types only.
    pub normalise: Option<Normalise>,
}

/// Channel means and standard deviations, on values in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalise {
    /// One for each channel, or one for all.
    pub mean: Vec<f64>,
    /// One for each channel, or one for all; greater than 0.
    pub std: Vec<f64>,
}

/// Element type of delivered images. Floats are in `[0, 1]` before normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 0 to 255.
    U8,
    /// IEEE 754 half precision.
    F16,
    /// 32-bit float.
    F32,
}

impl Dtype {
    /// Every type with its name in a recipe.
    pub const ALL: [(&'static str, Self); 3] =
        [("u8", Self::U8), ("f16", Self::F16), ("f32", Self::F32)];

    /// Its name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }

    /// Bytes an element takes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Order of the dimensions of delivered images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[B, V, C, H, W]`.
    Nchw,
    /// `[B, V, H, W, C]`.
    Nhwc,
}

impl Layout {
    /// Every layout with its name in a recipe.
    pub const ALL: [(&'static str, Self); 2] = [("NCHW", Self::Nchw), ("NHWC", Self::Nhwc)];

    /// Its name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

impl Precision {
    /// Every precision with its name in a recipe.
    pub const ALL: [(&'static str, Self); 3] =
        [("f32", Self::F32), ("bf16", Self::Bf16), ("f16", Self::F16)];

    /// Its name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

pub(super) fn name_in<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, other)| *other == value).map_or("?", |(name, _)| name)
}
