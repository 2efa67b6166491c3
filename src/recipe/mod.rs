//! What the dataset *is*: TOML in, a checked [`Recipe`] and its [`Digest`] out.
//!
//! A recipe names a generator, a seed, how latents and classes are drawn, which views are made of
//! a sample, and what is delivered. Reading is strict: an unknown, missing or mistyped key is an
//! error that names file, line and key. A [`Recipe`] that exists has been checked.
//!
//! The room is pure: it reads the file it is given and nothing else.

mod cache;
mod canonical;
mod edit;
mod inputs;
mod inside;
mod latent_edit;
mod latent_op;
mod parse;
mod pixel_op;
mod read;
mod source;
mod sweep;
mod targets;
mod text;
mod types;
mod views;
mod write;

#[cfg(feature = "cli")]
pub(crate) use cache::from_units;
pub(crate) use cache::in_units;
pub use cache::{Cache, EchoAt, MAX_ECHO};
pub use canonical::Digest;
pub(crate) use inside::stay_inside;
pub use latent_edit::{EditAt, EditKind, LatentEdit, Target};
pub use latent_op::{LatentKind, LatentOp, Path as LatentPath, Truncate};
pub use pixel_op::{
    Axis, EraseValue, Filter, MAX_PIXEL_OPS, MAX_SIDE, Padding, PixelKind, PixelOp, Sampling, Size,
};
pub(crate) use read::nearest;
pub use source::{Described, Mix, OnBad, Reading, SourceRecipe, SourceTable};
pub use types::{
    Balance, Class, Distribution, Dtype, Encoding, Generator, GeneratorOutput, ImageLayout, Layout,
    ModelRef, Normalise, Output, Precision, Role, Samples,
};
pub use views::{Epochs, Group, Span, Views};
pub use write::Notes;

use std::path::{Path, PathBuf};

use text::RecipeFile;

use crate::error::{Error, Kind, Result};

/// Views a sample may have at most; far above the 20 neighbours of the paper.
pub const MAX_VIEWS: u32 = 1024;
/// Samples a block may have at most.
pub const MAX_BLOCK: u32 = 65_536;
/// Classes a generator may have at most.
pub const MAX_CLASSES: u32 = 1 << 24;
/// Samples are numbered from 0 up to this (exclusive), so that every index fits an `i64` label file.
pub const MAX_SAMPLES: u64 = 1 << 63;
/// Samples that a recipe may exclude.
pub const MAX_EXCLUDED: usize = 1 << 20;
/// What a recipe names instead of a path to use a generator that ships with genset.
pub const BUILTIN_PREFIX: &str = "builtin:";

/// A checked recipe: the whole description of one generated dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// A name for people; not part of the identity.
    pub name: String,
    /// Seeds every random choice. Default 0.
    pub seed: u64,
    /// How many samples there are. Not part of the identity, so a dataset can grow.
    pub samples: Samples,
    /// The model and the meaning of its inputs and outputs.
    pub generator: Generator,
    /// How many images one sample gives, and how they differ.
    pub views: Views,
    /// What is set in the latent of every sample; empty: nothing.
    pub edits: Vec<LatentEdit>,
    /// What is delivered.
    pub output: Output,
    /// Generated samples whose latents and noise are drawn anew, in rising order: once for each time
    /// that one is named. Labels stay.
    pub exclude: Vec<u64>,
    /// How often each generated sample is delivered; `None`: once.
    pub cache: Option<Cache>,
    /// Stored images among the generated ones; `None`: none.
    pub mix: Option<Mix>,
    /// The folder that the model's path is relative to, and may not leave.
    pub folder: PathBuf,
}

impl Recipe {
    /// Reads and checks the recipe in `path`.
    ///
    /// # Errors
    /// [`Kind::Io`] if the file cannot be read, [`Kind::Limit`] if it is too large to be one,
    /// [`Kind::Recipe`] with file, line and key otherwise.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_with(path, &[])
    }

    /// As [`Recipe::read`], with `key=value` settings put over the file first.
    ///
    /// # Errors
    /// As [`Recipe::read`]; also if a setting is not `key=value`.
    pub fn read_with(path: &Path, settings: &[String]) -> Result<Self> {
        let RecipeFile { text, file, name, folder } = text::read(path)?;
        Self::parse_with(&text, &file, &name, &folder, settings)
    }

    /// Checks the recipe in `text`; `file` is its name in errors, `folder` what its model's path
    /// is relative to.
    ///
    /// # Errors
    /// [`Kind::Recipe`] with file, line and key.
    pub fn parse(text: &str, file: &str, folder: &Path) -> Result<Self> {
        Self::parse_with(text, file, file, folder, &[])
    }

    /// As [`Recipe::parse`], with the name a recipe has if it gives none, and `key=value`
    /// settings put over the text first.
    ///
    /// # Errors
    /// As [`Recipe::parse`]; also if a setting is not `key=value`.
    pub fn parse_with(
        text: &str,
        file: &str,
        name: &str,
        folder: &Path,
        settings: &[String],
    ) -> Result<Self> {
        parse::recipe(&edit::applied(text, file, settings)?, file, name, folder)
    }

    /// The path of the model file, or `None` for a generator that ships with genset.
    #[must_use]
    pub fn model_path(&self) -> Option<PathBuf> {
        match &self.generator.model {
            ModelRef::Builtin(_) => None,
            ModelRef::File(path) => Some(self.folder.join(path)),
        }
    }

    /// This recipe with the images as its generator makes them: one view a sample, no latent and pixel
    /// operations, no echoes and no stored images among them; delivered as `output` says.
    pub(crate) fn as_generated(&self, output: Output) -> Self {
        Self { views: Views::default(), cache: None, mix: None, output, ..self.clone() }
    }

    /// The class input, where the generator has one.
    #[must_use]
    pub fn class(&self) -> Option<&Class> {
        self.generator.inputs.iter().find_map(|(_, role)| match role {
            Role::Class(class) => Some(class),
            _ => None,
        })
    }

    /// This recipe with the view parameter `key` fixed at `value` wherever it stands. `key` is a
    /// parameter's name, such as `std`, or that of one operation, such as `gaussian-blur.sigma`.
    ///
    /// # Errors
    /// [`Kind::Argument`] if no operation has such a parameter, [`Kind::Recipe`] if it cannot have
    /// that value.
    pub fn with_view_parameter(&self, key: &str, value: f64) -> Result<Self> {
        sweep::set(self, key, value)
    }

    /// The recipe as TOML that [`Recipe::parse`] reads back to an equal recipe.
    #[must_use]
    pub fn to_toml(&self, notes: &Notes) -> String {
        write::recipe(self, notes)
    }

    /// The dataset's identity: BLAKE3 over the canonical recipe and the bytes of its files: the
    /// generator's, as [`crate::graph::Model::hash_into`] gives them, then those that it steers and
    /// edits by, as [`crate::sample::Walks::hash_into`] gives them.
    ///
    /// The name, the class names, the number of samples, what may be cached, and the files' paths are left out: a
    /// dataset that is renamed, moved or prolonged stays the same dataset.
    ///
    /// # Errors
    /// Those of `files`.
    pub fn digest(&self, files: impl FnOnce(&mut blake3::Hasher) -> Result<()>) -> Result<Digest> {
        canonical::digest(self, files)
    }
}

/// The `[inputs]` and `[output]` tables that an ONNX file may carry in its `genset.contract`
/// metadata: what its author says of it, in the words of a recipe.
///
/// # Errors
/// [`Kind::Recipe`] with line and key.
pub fn parse_contract(text: &str, file: &str) -> Result<(Vec<(String, Role)>, GeneratorOutput)> {
    parse::contract(text, file)
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::Recipe, message)
}
