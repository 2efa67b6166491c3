//! What values an encoder expects of an image, and how a file says so.
//!
//! Images are intensities in `[0, 1]` here. An encoder was trained on those, on another range, or on
//! normalised ones, and a wrong choice gives wrong features without any error. So the file says it
//! itself, in its metadata under [`EncoderInput::KEY`]: a JSON document, `{"range": [-1, 1]}` or
//! `{"mean": [0.5], "std": [0.25]}`, with one number for all channels or one for each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Model;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::recipe::Normalise;

/// The most channels that a list of numbers can be for: those of an image.
const MAX_CHANNELS: usize = 4;

/// What values an encoder expects: an affine map of intensities in `[0, 1]`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderInput(Map);

#[derive(Debug, Clone, PartialEq)]
enum Map {
    Range([f64; 2]),
    Normalise(Normalise),
}

/// As JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    std: Option<Vec<f64>>,
}

/// Intensities as they are.
impl Default for EncoderInput {
    fn default() -> Self {
        Self(Map::Range([0.0, 1.0]))
    }
}

impl EncoderInput {
    /// The key of a model's metadata.
    pub const KEY: &'static str = "genset.input";

    /// `[low, high]`: black and white.
    ///
    /// # Errors
    /// [`Kind::Argument`] unless both are finite and the second is greater.
    pub fn range(low: f64, high: f64) -> Result<Self> {
        if low.is_finite() && high.is_finite() && low < high {
            return Ok(Self(Map::Range([low, high])));
        }
        let message =
            format!("a range of pixels goes from a number to a greater one, not {low} to {high}");
        Err(Error::new(Kind::Argument, message))
    }

    /// `(x - mean) / std` on intensities; one number for each channel, or one for all.
    ///
    /// # Errors
    /// [`Kind::Argument`] for lists that are empty, too long or of unequal lengths above 1, and
    /// unless all numbers are finite and deviations greater than 0.
    pub fn normalise(mean: Vec<f64>, std: Vec<f64>) -> Result<Self> {
        let fail = |message: String| {
            Err(Error::new(Kind::Argument, message)
                .help("one number for each channel, or one for all, on intensities from 0 to 1"))
        };
        for (name, list) in [("mean", &mean), ("std", &std)] {
            if !(1..=MAX_CHANNELS).contains(&list.len()) {
                return fail(format!("{name} has {} numbers, not 1 to {MAX_CHANNELS}", list.len()));
            }
            if list.iter().any(|x| !x.is_finite()) {
                return fail(format!("{name} has a number that is not finite"));
            }
        }
        if mean.len() != std.len() && mean.len() != 1 && std.len() != 1 {
            return fail(format!("mean has {} numbers and std {}", mean.len(), std.len()));
        }
        if std.iter().any(|x| *x <= 0.0) {
            return fail("std must be greater than 0".into());
        }
        Ok(Self(Map::Normalise(Normalise { mean, std })))
    }

    /// What `model` says of itself; `None` if it says nothing.
    ///
    /// # Errors
    /// [`Kind::Model`] if what it says is no such document.
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let Some(text) = model.metadata(Self::KEY) else { return Ok(None) };
        let read = || {
            let document: Document =
                serde_json::from_str(text).map_err(|e| Error::new(Kind::Model, e.to_string()))?;
            match document {
                Document { range: Some([low, high]), mean: None, std: None } => {
                    Self::range(low, high)
                }
                Document { range: None, mean: Some(mean), std: Some(std) } => {
                    Self::normalise(mean, std)
                }
                _ => Err(Error::new(Kind::Model, "neither a range nor mean and std")),
            }
        };
        // What the file says wrong is the file's fault, not an argument's.
        let read = read().map_err(|error| {
            Error::new(Kind::Model, error.summary())
                .help("write {\"range\": [lo, hi]} or {\"mean\": […], \"std\": […]}")
        });
        read.at(|| format!("{}: metadata `{}`", model.name(), Self::KEY)).map(Some)
    }

    /// The model with this in its metadata.
    ///
    /// # Errors
    /// As [`Model::with_metadata`].
    pub fn written_into(&self, model: &Model) -> Result<Model> {
        let text = serde_json::to_string(self)
            .map_err(|error| Error::new(Kind::Model, format!("cannot write metadata: {error}")))?;
        model.with_metadata(Self::KEY, &text)
    }

    /// Factor and summand of each of `channels` channels: what an intensity is multiplied by, and
    /// what is then added.
    ///
    /// # Errors
    /// [`Kind::Argument`] if it is for another number of channels.
    pub fn coefficients(&self, channels: usize) -> Result<Vec<[f64; 2]>> {
        let Normalise { mean, std } = match &self.0 {
            Map::Range([low, high]) => return Ok(vec![[high - low, *low]; channels]),
            Map::Normalise(normalise) => normalise,
        };
        let of =
            |list: &[f64], channel: usize| if list.len() == 1 { list[0] } else { list[channel] };
        for list in [mean, std] {
            if list.len() != 1 && list.len() != channels {
                let message = format!(
                    "mean and std are for {} channels, the encoder has {channels}",
                    list.len()
                );
                return Err(Error::new(Kind::Argument, message)
                    .help("give one number for each channel, or one for all"));
            }
        }
        let one = |channel| [1.0 / of(std, channel), -of(mean, channel) / of(std, channel)];
        Ok((0..channels).map(one).collect())
    }
}

/// As a file has it.
impl Serialize for EncoderInput {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = match &self.0 {
            Map::Range(range) => Document { range: Some(*range), ..Document::default() },
            Map::Normalise(Normalise { mean, std }) => {
                Document { mean: Some(mean.clone()), std: Some(std.clone()), ..Document::default() }
            }
        };
        document.serialize(serializer)
    }
}

impl fmt::Display for EncoderInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Map::Range([low, high]) => write!(f, "pixels in [{low}, {high}]"),
            Map::Normalise(Normalise { mean, std }) => {
                write!(f, "pixels normalised by mean {mean:?}, std {std:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build;

    #[test]
    fn what_is_written_is_read() {
        let model = build::read(&build::small()).unwrap();
        assert_eq!(EncoderInput::of(&model).unwrap(), None);
        for input in [
            EncoderInput::default(),
            EncoderInput::range(-1.0, 1.0).unwrap(),
            EncoderInput::normalise(vec![0.1, 0.2, 0.3], vec![0.5]).unwrap(),
        ] {
            let written = input.written_into(&model).unwrap();
            assert_eq!(EncoderInput::of(&written).unwrap(), Some(input));
        }
    }

    #[test]
    fn coefficients_take_black_and_white_where_they_belong() {
        let range = EncoderInput::range(-1.0, 3.0).unwrap().coefficients(2).unwrap();
        assert_eq!(range, [[4.0, -1.0]; 2]);
        let normalise = EncoderInput::normalise(vec![0.5, 0.25], vec![0.5]).unwrap();
        assert_eq!(normalise.coefficients(2).unwrap(), [[2.0, -1.0], [2.0, -0.5]]);
        let error = normalise.coefficients(3).unwrap_err().to_string();
        assert!(error.contains("for 2 channels, the encoder has 3"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(EncoderInput::range(1.0, 1.0).is_err());
        assert!(EncoderInput::range(0.0, f64::INFINITY).is_err());
        assert!(EncoderInput::normalise(vec![], vec![1.0]).is_err());
        assert!(EncoderInput::normalise(vec![0.0; 2], vec![1.0; 3]).is_err());
        assert!(EncoderInput::normalise(vec![0.0], vec![0.0]).is_err());
        let model = build::read(&build::small()).unwrap();
        for text in ["", "{}", "[0, 1]", "{\"rang\":[0,1]}", "{\"range\":[1,0]}", "{\"mean\":[0]}"]
        {
            let said = model.with_metadata(EncoderInput::KEY, text).unwrap();
            let error = EncoderInput::of(&said).unwrap_err();
            assert_eq!(error.kind(), Kind::Model, "{text}");
            assert!(error.to_string().contains("metadata `genset.input`"), "{error}");
        }
    }
}
