//! An encoder on one thread: images in, a row of features for each out.

use ndarray::Array2;

use super::extract::Featurise;
use super::pixels::Pixels;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::{Dim, EncoderInput, Model, ValueInfo};
use crate::load::{Images, Options, Stop};
use crate::runtime::{ImageModel, Runtime, Search};

/// An encoder as it is to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding<'a> {
    pub model: &'a Model,
    /// What values it expects.
    pub input: &'a EncoderInput,
    pub output: &'a str,
    /// Images a call, where the file does not fix it.
    pub batch: usize,
    pub options: &'a Options,
}

/// What an encoder reads and gives, chosen or as its file says.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    /// The values that it expects.
    pub input: EncoderInput,
    /// The output that features are read from.
    pub output: String,
}

impl Ends {
    /// Those that are asked for; else what values the file says, or intensities in `[0, 1]`, and the
    /// first output.
    ///
    /// # Errors
    /// Those of reading what the file says; [`Kind::Argument`] if there is no such output.
    pub fn of(model: &Model, input: Option<&EncoderInput>, output: Option<&str>) -> Result<Self> {
        let input = match input {
            Some(input) => input.clone(),
            None => EncoderInput::of(model)?.unwrap_or_default(),
        };
        let place = match output {
            Some(name) => model.output_place(name).at(|| model.name().to_owned())?,
            None => 0,
        };
        Ok(Self { input, output: model.outputs()[place].name.clone() })
    }
}

struct Encoder {
    model: ImageModel,
    name: String,
    output: String,
    pixels: Pixels,
    /// Values of an image.
    image_len: usize,
    a_call: usize,
    width: usize,
    scratch: Vec<f32>,
}

/// Opens `count` sessions of an encoder for images of `[channels, height, width]`.
///
/// # Errors
/// [`Kind::Argument`] if images and encoder do not fit, with what to set; [`Kind::Model`] if it is no
/// encoder; those of the runtime.
pub(super) fn open(
    encoding: &Encoding<'_>,
    image: [usize; 3],
    count: usize,
) -> Result<Vec<Box<dyn Featurise>>> {
    let one = || open_one(encoding, image).at(|| encoding.model.name().to_owned());
    (0..count).map(|_| Ok(Box::new(one()?) as Box<dyn Featurise>)).collect()
}

/// Features of images that are intensities, `[N, C, H, W]`: `[N, D]`.
///
/// # Errors
/// As [`open`].
pub(super) fn of_intensities(
    encoding: &Encoding<'_>,
    image: [usize; 3],
    images: &[f32],
    stop: &Stop,
) -> Result<Array2<f32>> {
    let mut encoder = open_one(encoding, image).at(|| encoding.model.name().to_owned())?;
    let len = image.iter().product::<usize>();
    let mut rows = Vec::new();
    for some in images.chunks(len * encoder.a_call) {
        stop.check()?;
        encoder.scratch.clear();
        for one in some.chunks_exact(len) {
            encoder.pixels.push_intensities(one, image[0], &mut encoder.scratch);
        }
        encoder.scratch.resize(encoder.a_call * encoder.image_len, 0.0);
        let values = encoder.call().at(|| encoder.name.clone())?;
        rows.extend(&values[..some.len() / len * encoder.width]);
    }
    let shape = (images.len() / len.max(1), encoder.width);
    Ok(Array2::from_shape_vec(shape, rows).expect("a row for each image"))
}

fn open_one(encoding: &Encoding<'_>, image: [usize; 3]) -> Result<Encoder> {
    let Encoding { model, options, .. } = *encoding;
    let [_, h, w] = image;
    let channels = match model.inputs() {
        [input] => fitting_channels(input, image)?,
        _ => image[0],
    };
    let providers = options.providers.clone();
    let runtime = Runtime::open(&Search { providers, ..options.search.clone() })?;
    let session = options.session(options.threads.unwrap_or(1));
    let opened = ImageModel::open(model, [channels, h, w], runtime, &session).map_err(|error| {
        error.help("an encoder takes images, [N, C, H, W] floats, and nothing else")
    })?;
    let mut encoder = Encoder {
        a_call: opened.batch().unwrap_or(encoding.batch).max(1),
        model: opened,
        name: model.name().to_owned(),
        output: encoding.output.to_owned(),
        pixels: Pixels::new(encoding.input.coefficients(channels)?),
        image_len: channels * h * w,
        width: 0,
        scratch: Vec::new(),
    };
    encoder.scratch = vec![0.0; encoder.a_call * encoder.image_len];
    encoder.width = encoder.call()?.len() / encoder.a_call;
    encoder.scratch.clear();
    Ok(encoder)
}

/// The channels that `input` has for images of this form.
fn fitting_channels(input: &ValueInfo, [c, h, w]: [usize; 3]) -> Result<usize> {
    let Some([_, channels, height, width]) = input.shape.as_deref() else { return Ok(c) };
    let fixed = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    let misfit = |images: String| {
        Error::new(Kind::Argument, format!("it takes {input}, and the images are {images}"))
    };
    let channels = match fixed(channels) {
        None => c,
        Some(channels) if channels == c || c == 1 => channels,
        Some(channels) => {
            let error = misfit(format!("[{c}, {h}, {w}]"));
            return Err(match channels {
                1 | 3 => error.help(format!("--set source.channels={channels}")),
                _ if fixed(width) == Some(c) => {
                    error.help("export it with channels first: [N, C, H, W]")
                }
                _ => error.help("this encoder is not for images of one or three channels"),
            });
        }
    };
    let (wanted_h, wanted_w) = (fixed(height).unwrap_or(h), fixed(width).unwrap_or(w));
    if (wanted_h, wanted_w) != (h, w) {
        let size = if wanted_h == wanted_w {
            format!("{wanted_h}")
        } else {
            format!("[{wanted_h},{wanted_w}]")
        };
        return Err(misfit(format!("{h}x{w}")).help(format!("--set source.size={size}")));
    }
    Ok(channels)
}

impl Encoder {
    /// Features of the images in `scratch`, which are as many as a call takes: `[a_call, width]`.
    fn call(&mut self) -> Result<Vec<f32>> {
        let output = self.model.run(&self.scratch, self.a_call, &self.output)?;
        let values = output.view()?.to_f32();
        match *output.shape() {
            [n, d] if n == self.a_call && d > 0 => Ok(values),
            [n, d, h, w] if n == self.a_call && d * h * w > 0 => {
                let area = h * w;
                #[allow(clippy::cast_possible_truncation)]
                let mean = |plane: &[f32]| {
                    (plane.iter().copied().map(f64::from).sum::<f64>() / area as f64) as f32
                };
                Ok(values.chunks_exact(area).map(mean).collect())
            }
            ref shape => {
                let message = format!(
                    "output `{}` has shape {shape:?} for {} images, not [N, D] or [N, D, H, W]",
                    self.output, self.a_call
                );
                let help = "choose another with --output, or pool inside the encoder";
                Err(Error::new(Kind::Model, message).help(help))
            }
        }
    }
}

impl Featurise for Encoder {
    fn width(&self) -> usize {
        self.width
    }

    fn rows(&mut self, images: &Images) -> Result<Vec<f32>> {
        let count = images.shape()[0];
        let mut rows = Vec::with_capacity(count * self.width);
        for first in (0..count).step_by(self.a_call) {
            let some = self.a_call.min(count - first);
            self.scratch.clear();
            for image in first..first + some {
                self.pixels.push(images, image, &mut self.scratch);
            }
            // Every call has the same shape, so that no image's features depend on what is left.
            self.scratch.resize(self.a_call * self.image_len, 0.0);
            let values = self.call().at(|| self.name.clone())?;
            rows.extend(&values[..some * self.width]);
        }
        Ok(rows)
    }
}

/// Intensities as features: what a probe of raw pixels sees.
pub(super) struct RawPixels {
    pixels: Pixels,
    width: usize,
}

impl RawPixels {
    pub fn new(image: [usize; 3]) -> Self {
        Self { pixels: Pixels::new(vec![[1.0, 0.0]; image[0]]), width: image.iter().product() }
    }
}

impl Featurise for RawPixels {
    fn width(&self) -> usize {
        self.width
    }

    fn rows(&mut self, images: &Images) -> Result<Vec<f32>> {
        let count = images.shape()[0];
        let mut rows = Vec::with_capacity(count * self.width);
        (0..count).for_each(|image| self.pixels.push(images, image, &mut rows));
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Element;

    fn misfit(shape: [u64; 4], image: [usize; 3]) -> String {
        let shape = shape.map(|size| if size == 0 { Dim::Unknown } else { Dim::Fixed(size) });
        let input =
            ValueInfo { name: "x".into(), element: Element::F32, shape: Some(shape.into()) };
        match fitting_channels(&input, image) {
            Ok(channels) => format!("{channels}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_does_not_fit_says_what_to_set() {
        for (shape, image, said) in [
            ([0, 3, 32, 32], [3, 32, 32], "3"),
            ([8, 3, 32, 32], [1, 32, 32], "3"),
            ([0, 0, 0, 0], [3, 5, 7], "3"),
            ([0, 1, 28, 28], [3, 28, 28], "--set source.channels=1"),
            ([0, 3, 32, 32], [1, 28, 28], "--set source.size=32"),
            ([0, 3, 32, 48], [3, 32, 32], "--set source.size=[32,48]"),
            ([0, 32, 32, 3], [3, 32, 32], "channels first"),
            ([0, 7, 32, 32], [3, 32, 32], "not for images"),
        ] {
            let found = misfit(shape, image);
            assert!(found.ends_with(said) || found.contains(said), "{shape:?}: {found}");
        }
    }
}
