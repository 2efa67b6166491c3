//! Encoders to start from, made without any other framework: untrained, as their papers have them.
//!
//! All take `f32` images `[N, C, H, W]` of any batch, and all but the transformer of any size from 8
//! pixels; their features are `[N, D]`. Parameters are drawn as [`Model::initialised`] draws them.

use std::fmt;
use std::str::FromStr;

use super::numbers;
use crate::error::{Error, Kind, Result};
use crate::graph::compose::Attribute::{Float, Int, Ints};
use crate::graph::compose::{Composer, Tensor};
use crate::graph::{Element, Model};

/// The name of every such model's input and output.
const IMAGE: &str = "image";
const FEATURES: &str = "features";

/// A kind of encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Architecture {
    /// Four convolutions with batch normalisation, the last three of stride 2: 128 features.
    ConvSmall,
    /// Residual blocks (He and others 2016) of 32, 64 and 128 channels, one each: 128 features.
    ResnetTiny,
    /// `ResNet-18` with a stem for small images, 3 x 3 and without pooling: 512 features.
    Resnet18Cifar,
    /// `ResNet-18` as published, for images of about 224 pixels: 512 features.
    Resnet18,
    /// A vision transformer (Dosovitskiy and others 2021): patches of 4 pixels, 6 blocks of width
    /// 192 with 3 heads, the mean over patches as features (192).
    VitTiny,
}

impl Architecture {
    /// Every architecture with its name and what it is.
    pub const ALL: [(&'static str, Self, &'static str); 5] = [
        ("conv-small", Self::ConvSmall, "four convolutions, 128 features; 0.1 M parameters"),
        ("resnet-tiny", Self::ResnetTiny, "three residual blocks, 128 features; 0.3 M"),
        ("resnet18-cifar", Self::Resnet18Cifar, "ResNet-18 for small images, 512 features; 11 M"),
        ("resnet18", Self::Resnet18, "ResNet-18 as published, 512 features; 11 M"),
        ("vit-tiny", Self::VitTiny, "a transformer on patches of 4 pixels, 192 features; 2.7 M"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, other, _)| *other == self).map_or("?", |(name, _, _)| name)
    }

    /// An untrained encoder for images of `channels`; a transformer is for images of `size` pixels
    /// a side, the others for any.
    ///
    /// # Errors
    /// [`Kind::Argument`] for no channels, and for a size that the architecture cannot have.
    pub fn build(self, channels: usize, size: usize, seed: u64) -> Result<Model> {
        if !(1..=4).contains(&channels) {
            return Err(Error::new(Kind::Argument, format!("images of {channels} channels"))
                .help("images have 1 to 4 channels"));
        }
        if self == Self::VitTiny && (size == 0 || !size.is_multiple_of(PATCH)) {
            let message = format!("{self} is for sizes that are multiples of {PATCH}, not {size}");
            return Err(Error::new(Kind::Argument, message).help("set --size 28 or --size 32"));
        }
        let mut builder = Builder { c: Composer::new(), number: 0 };
        // One image, of which the batch is made any number below.
        let image = builder.c.input(IMAGE, Element::F32, &[1, channels, size, size])?;
        let features = match self {
            Self::ConvSmall => builder.conv_small(&image)?,
            Self::ResnetTiny => {
                builder.resnet(&image, Stem::Small(32), &[(32, 1), (64, 1), (128, 1)])?
            }
            Self::Resnet18Cifar => builder.resnet(&image, Stem::Small(64), &DEEP)?,
            Self::Resnet18 => builder.resnet(&image, Stem::Large(64), &DEEP)?,
            Self::VitTiny => builder.transformer(&image)?,
        };
        builder.c.output(FEATURES, &features)?;
        let any_size = self != Self::VitTiny;
        let model = builder.c.finish_for_any_batch(self.name(), any_size)?;
        Ok(model.initialised(seed)?.model)
    }
}

/// The blocks of `ResNet-18`: channels, and how many.
const DEEP: [(usize, usize); 4] = [(64, 2), (128, 2), (256, 2), (512, 2)];

const PATCH: usize = 4;
const WIDTH: usize = 192;
const HEADS: usize = 3;
const BLOCKS: usize = 6;

/// How a residual network begins.
#[derive(Clone, Copy)]
enum Stem {
    /// 3 x 3.
    Small(usize),
    /// 7 x 7 of stride 2, and 3 x 3 maxima of stride 2.
    Large(usize),
}

struct Builder {
    c: Composer,
    number: usize,
}

impl Builder {
    /// Constants that [`Model::initialised`] will draw.
    fn parameter(&mut self, what: &str, dims: &[usize]) -> Tensor {
        self.number += 1;
        let count = dims.iter().product();
        self.c.named(&format!("layer{}.{what}", self.number), dims, &vec![0.0; count])
    }

    fn conv(&mut self, x: &Tensor, out: usize, kernel: usize, stride: usize) -> Result<Tensor> {
        let channels = self.c.dims(x)[1];
        let weight = self.parameter("weight", &[out, channels, kernel, kernel]);
        let pad = (kernel / 2) as i64;
        let stride = stride as i64;
        let attributes = [Ints("strides", &[stride, stride]), Ints("pads", &[pad, pad, pad, pad])];
        self.c.op("Conv", &[x, &weight], &attributes)
    }

    fn norm(&mut self, x: &Tensor) -> Result<Tensor> {
        let channels = self.c.dims(x)[1];
        let parts = ["scale", "offset", "mean", "variance"];
        let [scale, offset, mean, variance] = parts.map(|part| self.parameter(part, &[channels]));
        let attributes = [Float("epsilon", 1e-5), Float("momentum", 0.9)];
        self.c.op("BatchNormalization", &[x, &scale, &offset, &mean, &variance], &attributes)
    }

    fn pooled(&mut self, x: &Tensor) -> Result<Tensor> {
        let pooled = self.c.unary("GlobalAveragePool", x)?;
        self.c.op("Flatten", &[&pooled], &[])
    }

    fn conv_small(&mut self, image: &Tensor) -> Result<Tensor> {
        let mut x = image.clone();
        for (out, stride) in [(16, 1), (32, 2), (64, 2), (128, 2)] {
            let made = self.conv(&x, out, 3, stride)?;
            let normal = self.norm(&made)?;
            x = self.c.unary("Relu", &normal)?;
        }
        self.pooled(&x)
    }

    fn resnet(&mut self, image: &Tensor, stem: Stem, stages: &[(usize, usize)]) -> Result<Tensor> {
        let (width, kernel, stride) = match stem {
            Stem::Small(width) => (width, 3, 1),
            Stem::Large(width) => (width, 7, 2),
        };
        let made = self.conv(image, width, kernel, stride)?;
        let normal = self.norm(&made)?;
        let mut x = self.c.unary("Relu", &normal)?;
        if matches!(stem, Stem::Large(_)) {
            let attributes = [
                Ints("kernel_shape", &[3, 3]),
                Ints("strides", &[2, 2]),
                Ints("pads", &[1, 1, 1, 1]),
            ];
            x = self.c.op("MaxPool", &[&x], &attributes)?;
        }
        for (stage, &(out, blocks)) in stages.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.block(&x, out, stride)?;
            }
        }
        self.pooled(&x)
    }

    /// Two convolutions, and the input added to what they make.
    fn block(&mut self, x: &Tensor, out: usize, stride: usize) -> Result<Tensor> {
        let made = self.conv(x, out, 3, stride)?;
        let normal = self.norm(&made)?;
        let open = self.c.unary("Relu", &normal)?;
        let made = self.conv(&open, out, 3, 1)?;
        let normal = self.norm(&made)?;
        let mut short = x.clone();
        if stride != 1 || self.c.dims(x)[1] != out {
            let made = self.conv(x, out, 1, stride)?;
            short = self.norm(&made)?;
        }
        let sum = self.c.add2(&normal, &short)?;
        self.c.unary("Relu", &sum)
    }

    fn linear(&mut self, x: &Tensor, out: usize) -> Result<Tensor> {
        let width = self.c.dims(x)[2];
        let weight = self.parameter("weight", &[width, out]);
        let bias = self.parameter("bias", &[out]);
        let product = self.c.matmul(x, &weight)?;
        self.c.add2(&product, &bias)
    }

    fn layer_norm(&mut self, x: &Tensor) -> Result<Tensor> {
        let width = self.c.dims(x)[2];
        let [scale, offset] = ["scale", "offset"].map(|part| self.parameter(part, &[width]));
        let attributes = [Int("axis", -1), Float("epsilon", 1e-6)];
        self.c.op("LayerNormalization", &[x, &scale, &offset], &attributes)
    }

    fn transformer(&mut self, image: &Tensor) -> Result<Tensor> {
        let channels = self.c.dims(image)[1];
        let weight = self.parameter("weight", &[WIDTH, channels, PATCH, PATCH]);
        let bias = self.parameter("bias", &[WIDTH]);
        let step = PATCH as i64;
        let patches =
            self.c.op("Conv", &[image, &weight, &bias], &[Ints("strides", &[step, step])])?;
        let count: usize = self.c.dims(&patches)[2..].iter().product();
        let rows = self.any_batch(&patches, &[WIDTH, count])?;
        let rows = self.c.transpose(&rows, &[0, 2, 1])?;
        // As sines and cosines: a place that is drawn at random would be noise until it is learnt.
        let places = self.c.named("places", &[1, count, WIDTH], &places(count));
        let mut x = self.c.add2(&rows, &places)?;
        for _ in 0..BLOCKS {
            let normal = self.layer_norm(&x)?;
            let seen = self.attention(&normal, count)?;
            x = self.c.add2(&x, &seen)?;
            let normal = self.layer_norm(&x)?;
            let wide = self.linear(&normal, 4 * WIDTH)?;
            let bent = self.c.unary("Gelu", &wide)?;
            let back = self.linear(&bent, WIDTH)?;
            x = self.c.add2(&x, &back)?;
        }
        let normal = self.layer_norm(&x)?;
        self.c.mean(&normal, &[1], false)
    }

    fn attention(&mut self, x: &Tensor, count: usize) -> Result<Tensor> {
        let each = WIDTH / HEADS;
        let mut parts = Vec::new();
        for order in [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]] {
            let part = self.linear(x, WIDTH)?;
            let part = self.any_batch(&part, &[count, HEADS, each])?;
            parts.push(self.c.transpose(&part, &order)?);
        }
        let scores = self.c.matmul(&parts[0], &parts[1])?;
        let scores = self.c.scale(&scores, 1.0 / (each as f64).sqrt())?;
        let shares = self.c.op("Softmax", &[&scores], &[Int("axis", -1)])?;
        let seen = self.c.matmul(&shares, &parts[2])?;
        let seen = self.c.transpose(&seen, &[0, 2, 1, 3])?;
        let seen = self.any_batch(&seen, &[count, WIDTH])?;
        self.linear(&seen, WIDTH)
    }

    /// A shape whose first axis is as it was.
    fn any_batch(&mut self, x: &Tensor, rest: &[usize]) -> Result<Tensor> {
        let dims: Vec<i64> = std::iter::once(0).chain(rest.iter().map(|&dim| dim as i64)).collect();
        let dims = self.c.ints(&dims);
        self.c.op("Reshape", &[x, &dims], &[])
    }
}

/// `[count, WIDTH]` of sines and cosines of the place (Vaswani and others 2017, section 3.5).
fn places(count: usize) -> Vec<f64> {
    let one = |at: usize| {
        let (place, column) = ((at / WIDTH) as f64, at % WIDTH);
        let angle = place / libm::pow(10_000.0, (column / 2 * 2) as f64 / WIDTH as f64);
        if column % 2 == 0 { libm::sin(angle) } else { libm::cos(angle) }
    };
    (0..count * WIDTH).map(one).collect()
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        numbers::named("encoder", text, Self::ALL.map(|(name, it, _)| (name, it)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Dim;

    #[test]
    fn encoders_have_the_parameters_that_they_say() {
        for (architecture, parameters) in [
            (Architecture::ConvSmall, 98_000..99_000),
            (Architecture::ResnetTiny, 308_000..310_000),
            (Architecture::Resnet18Cifar, 11_160_000..11_190_000),
            (Architecture::Resnet18, 11_170_000..11_200_000),
            (Architecture::VitTiny, 2_600_000..2_800_000),
        ] {
            let model = architecture.build(3, 32, 0).unwrap();
            assert!(
                parameters.contains(&model.parameters()),
                "{architecture}: {}",
                model.parameters()
            );
            let shape = model.inputs()[0].shape.clone().unwrap();
            assert!(matches!(shape[0], Dim::Symbol(_)), "{architecture}");
            let known = model.shapes(&[("image", vec![5, 3, 32, 32])]).unwrap();
            assert_eq!(known.dims("features").unwrap()[0], 5, "{architecture}");
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (architecture, channels, size, part) in [
            (Architecture::ConvSmall, 0, 32, "0 channels"),
            (Architecture::VitTiny, 3, 30, "multiples of 4"),
        ] {
            let error = architecture.build(channels, size, 0).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        let error = "resnet50".parse::<Architecture>().unwrap_err();
        assert!(format!("{error:#}").contains("known: conv-small, resnet-tiny"), "{error:#}");
    }
}
