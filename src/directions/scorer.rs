//! A user's own ONNX model as a source of attributes.
//!
//! It takes delivered images, `[N, C, H, W]` floats in `[0, 1]`, and every output of it that is
//! `[N]` or `[N, K]` gives one or K attributes.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::Model;
use crate::runtime::{ImageModel, Runtime, SessionOptions};

/// More attributes than this are a mistake: an image output, or a wrong file.
const MAX_SCORES: usize = 1024;

/// A model that gives images scores.
#[derive(Debug)]
pub(super) struct Scorer {
    model: ImageModel,
    path: PathBuf,
    /// Values of an image.
    image_len: usize,
    /// The outputs with the number of scores each gives.
    outputs: Vec<(String, usize)>,
}

impl Scorer {
    /// Opens the model at `path` for images of `[channels, height, width]`, and runs it once.
    ///
    /// # Errors
    /// Names the file and the tensor that does not fit.
    pub fn open(
        path: &Path,
        image: [usize; 3],
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Self> {
        Self::open_inner(path, image, runtime, options).at(|| format!("scorer {}", path.display()))
    }

    fn open_inner(
        path: &Path,
        image: [usize; 3],
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Self> {
        let file = Model::read(path)?;
        let help = match file.inputs().len() {
            1 => "put a Resize, Transpose or normalisation into the scorer itself",
            _ => "a scorer takes images, [N, C, H, W] floats in [0, 1], and nothing else",
        };
        let model =
            ImageModel::open(&file, image, runtime, options).map_err(|error| error.help(help))?;
        let image_len = image.iter().product();
        let mut scorer = Self { model, path: path.to_path_buf(), image_len, outputs: Vec::new() };
        // Two unlike numbers of images tell a batch from scores that only happen to be as many.
        let count = scorer.model.batch().unwrap_or(3);
        let gray = vec![0.5; count * image_len];
        for output in file.outputs() {
            let shape = scorer.model.run(&gray, count, &output.name)?.shape().to_vec();
            let scores = match shape[..] {
                [n] if n == count => 1,
                [n, k] if n == count && (1..=MAX_SCORES).contains(&k) => k,
                _ => {
                    let message = format!(
                        "output `{}` has shape {shape:?} for {count} images, not [{count}] or \
                         [{count}, K]",
                        output.name
                    );
                    return Err(Error::new(Kind::Model, message));
                }
            };
            scorer.outputs.push((output.name.clone(), scores));
        }
        Ok(scorer)
    }

    /// Names for its scores: those of its outputs, with a number from 1 where there are several.
    pub fn names(&self) -> Vec<String> {
        let names = self.outputs.iter().flat_map(|(output, count)| {
            let name = kebab(output);
            (1..=*count).map(move |number| match count {
                1 => name.clone(),
                _ => format!("{name}-{number}"),
            })
        });
        names.collect()
    }

    /// The scores of `images`, `[N, scores]`.
    pub fn score(&mut self, images: &[f32]) -> Result<Vec<f64>> {
        let len = self.image_len;
        let count = images.len() / len;
        let a_call = self.model.batch().unwrap_or(count).max(1);
        let width: usize = self.outputs.iter().map(|(_, scores)| scores).sum();
        let mut scores = vec![0.0; count * width];
        for first in (0..count).step_by(a_call) {
            let rows = a_call.min(count - first);
            let mut call = images[first * len..][..rows * len].to_vec();
            // A fixed batch is filled up with black.
            call.resize(a_call * len, 0.0);
            let mut column = 0;
            for (output, k) in self.outputs.clone() {
                let values = self.model.run(&call, a_call, &output);
                let values = values.and_then(|tensor| Ok(tensor.view()?.to_f32()));
                let values = values.at(|| format!("scorer {}", self.path.display()))?;
                for (row, values) in values.chunks(k).take(rows).enumerate() {
                    for (i, value) in values.iter().enumerate() {
                        scores[(first + row) * width + column + i] = f64::from(*value);
                    }
                }
                column += k;
            }
        }
        Ok(scores)
    }
}

/// A name as directions have it: lower case, words joined by hyphens.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        match character.is_alphanumeric() {
            true => text.extend(character.to_lowercase()),
            false if text.ends_with('-') || text.is_empty() => {}
            false => text.push('-'),
        }
    }
    let text = text.trim_end_matches('-');
    if text.is_empty() { "score".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_kebab_case() {
        for (name, expected) in
            [("Smile", "smile"), ("/head/Gemm_out.0", "head-gemm-out-0"), ("--", "score")]
        {
            assert_eq!(kebab(name), expected);
        }
    }
}
