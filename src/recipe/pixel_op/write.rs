//! Pixel ops as the inline tables that [`PixelOp::parse_list`] reads back. Every value is written,
//! defaults too: the dataset's identity is made of these lines.

use super::read::default_p;
use super::{Axis, EraseValue, Filter, Padding, PixelKind, PixelOp, Sampling, Size};
use crate::recipe::types::name_in;
use crate::recipe::write::{number, numbers, quote};

impl PixelKind {
    /// The op's name in a recipe.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RandomResizedCrop { .. } => "random-resized-crop",
            Self::Resize { .. } => "resize",
            Self::CenterCrop { .. } => "center-crop",
            Self::RandomCrop { .. } => "random-crop",
            Self::Flip { .. } => "flip",
            Self::Rotate { .. } => "rotate",
            Self::Affine { .. } => "affine",
            Self::ColourJitter { .. } => "colour-jitter",
            Self::Grayscale => "grayscale",
            Self::GaussianBlur { .. } => "gaussian-blur",
            Self::Solarize { .. } => "solarize",
            Self::Posterize { .. } => "posterize",
            Self::Erase { .. } => "erase",
            Self::Normalise(_) => "normalise",
        }
    }

    /// The keys that are the op's own, with their values.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let pair = |pair: &[u32; 2]| format!("{pair:?}");
        let filter = |filter: Filter| ("filter", quote(name_in(&Filter::ALL, filter)));
        let sampling = |filter: Sampling| ("filter", quote(name_in(&Sampling::ALL, filter)));
        let fill = |fill: f64| ("fill", number(fill));
        match self {
            Self::RandomResizedCrop { size, scale, ratio, filter: by } => vec![
                ("size", pair(size)),
                ("scale", numbers(scale)),
                ("ratio", numbers(ratio)),
                filter(*by),
            ],
            Self::Resize { size: Size::Shorter(side), filter: by } => {
                vec![("size", side.to_string()), filter(*by)]
            }
            Self::Resize { size: Size::Exact(size), filter: by } => {
                vec![("size", pair(size)), filter(*by)]
            }
            Self::CenterCrop { size } | Self::RandomCrop { size, padding: 0, .. } => {
                vec![("size", pair(size))]
            }
            Self::RandomCrop { size, padding, mode } => {
                let mut keys = vec![("size", pair(size)), ("padding", padding.to_string())];
                match mode {
                    // The shortest decimal of the `f32` reads back to it.
                    Padding::Constant(value) => keys.push(("fill", format!("{value:?}"))),
                    mode => keys.push(("padding-mode", quote(name_in(&Padding::ALL, *mode)))),
                }
                keys
            }
            Self::Flip { axis } => vec![("axis", quote(name_in(&Axis::ALL, *axis)))],
            Self::Rotate { degrees, filter: by, fill: value } => {
                vec![("degrees", numbers(degrees)), sampling(*by), fill(*value)]
            }
            Self::Affine { degrees, translate, scale, shear, filter: by, fill: value } => vec![
                ("degrees", numbers(degrees)),
                ("translate", numbers(translate)),
                ("scale", numbers(scale)),
                ("shear", numbers(shear.as_flattened())),
                sampling(*by),
                fill(*value),
            ],
            Self::ColourJitter { brightness, contrast, saturation, hue } => {
                let named = ["brightness", "contrast", "saturation", "hue"];
                let spans = [brightness, contrast, saturation, hue];
                let given =
                    |(name, span): (_, &Option<[f64; 2]>)| Some((name, numbers(span.as_ref()?)));
                named.into_iter().zip(spans).filter_map(given).collect()
            }
            Self::Grayscale => Vec::new(),
            Self::GaussianBlur { kernel, sigma } => {
                vec![("kernel", pair(kernel)), ("sigma", numbers(sigma))]
            }
            Self::Solarize { threshold } => vec![("threshold", number(*threshold))],
            Self::Posterize { bits } => vec![("bits", bits.to_string())],
            Self::Erase { scale, ratio, value } => {
                let value = match value {
                    EraseValue::Constant(values) => numbers(values),
                    EraseValue::Noise => quote("noise"),
                };
                vec![("scale", numbers(scale)), ("ratio", numbers(ratio)), ("value", value)]
            }
            Self::Normalise(normalise) => {
                vec![("mean", numbers(&normalise.mean)), ("std", numbers(&normalise.std))]
            }
        }
    }
}

impl PixelOp {
    /// As an inline table that [`PixelOp::parse_list`] reads back.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let name = self.kind.name();
        let p = default_p(name).map(|_| ("p", number(self.p)));
        let keys = [("op", quote(name))].into_iter().chain(self.kind.keys()).chain(p);
        let keys: Vec<_> = keys.map(|(key, value)| format!("{key} = {value}")).collect();
        format!("{{ {} }}", keys.join(", "))
    }
}
