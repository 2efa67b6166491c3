//! Walk files: directions through latent space that change one thing in the image.
//!
//! A walk file is a safetensors file, beside the recipe or below it:
//!
//! - a float tensor whose name has no dot (and is not `mean`) is a linear direction, with as many
//!   elements as the latent input: `z + s d` (Jahanian, Chai and Isola, 2020; Härkönen et al.,
//!   2020; Shen and Zhou, 2021);
//! - `NAME.0.weight [H, Z]`, `NAME.0.bias [H]`, `NAME.1.weight`, … up to `[Z, …]` are a perceptron
//!   `f` with ReLU between its layers: `z ← z + (s/n) f(z)`, n times, where n is the metadata entry
//!   `NAME.steps`, default 1 (the nonlinear walks of Jahanian, Chai and Isola);
//! - the metadata entry `input` names the generator input that the walks are for; `format` is
//!   [`WALK_FORMAT`], or whatever another program writes there;
//! - `mean` is reserved, for the centre of the latents that directions were found in.
//!
//! Elements are F32, F16, BF16 or F64 and used as `f32`. Tensors may have any shape of the right
//! number of elements, so that `[L, D]` inputs take `[L, D]` directions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Kind, Result, ResultExt};
use crate::recipe::{LatentEdit, LatentKind, Recipe, nearest, stay_inside};

/// What the metadata entry `format` of a walk file says.
pub const WALK_FORMAT: &str = "genset directions 1";
/// Bytes that a walk file may have: room for perceptrons over the largest latents in use.
pub const MAX_WALK_BYTES: u64 = 256 << 20;
/// Steps that a nonlinear walk may take.
pub const MAX_WALK_STEPS: u32 = 1000;
/// Layers that a nonlinear walk may have.
const MAX_LAYERS: usize = 64;

/// The walk files that a recipe steers and edits by, read once: for its digest and for its sampler.
#[derive(Debug, Clone, Default)]
pub struct Walks {
    files: BTreeMap<PathBuf, WalkFile>,
    /// The hash of the file of each steering op and then of each edit, in the recipe's order. The
    /// canonical recipe says how many there are of both.
    hashes: Vec<[u8; 32]>,
}

/// One walk file.
#[derive(Debug, Clone)]
pub(super) struct WalkFile {
    path: PathBuf,
    hash: [u8; 32],
    /// The generator input that it says it is for.
    pub input: Option<String>,
    /// By name: linear directions have one tensor, others a tensor for each weight and bias.
    tensors: BTreeMap<String, Tensor>,
    steps: BTreeMap<String, u32>,
}

#[derive(Debug, Clone)]
struct Tensor {
    shape: Vec<usize>,
    /// Shared by all ops that use them.
    values: Arc<[f32]>,
}

/// A way through latent space.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Walk {
    /// `z + s d`.
    Linear(Arc<[f32]>),
    /// `z ← z + (s / steps) f(z)`, `steps` times.
    Steps { steps: u32, layers: Vec<Layer> },
}

/// `W x + b`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    /// `[outputs, inputs]`, row by row.
    pub weight: Arc<[f32]>,
    /// `[outputs]`.
    pub bias: Arc<[f32]>,
}

impl Walks {
    /// Reads the files of all `steer` ops and edits of a recipe, each once.
    ///
    /// # Errors
    /// [`Kind::Io`] if a file cannot be read, [`Kind::Limit`] if it has more than
    /// [`MAX_WALK_BYTES`], [`Kind::Recipe`] if it lies outside of the recipe's folder or is no walk
    /// file. All name the key that asked for it.
    pub fn read(recipe: &Recipe) -> Result<Self> {
        let mut walks = Self::default();
        for (number, group) in recipe.views.groups.iter().enumerate() {
            for (ordinal, op) in group.latent.iter().enumerate() {
                if let LatentKind::Steer { file, .. } = &op.kind {
                    walks.add(recipe, file, &recipe.views.latent_key(number, ordinal))?;
                }
            }
        }
        for (ordinal, edit) in recipe.edits.iter().enumerate() {
            walks.add(recipe, &edit.file, &LatentEdit::key(ordinal))?;
        }
        Ok(walks)
    }

    /// The file that the table at `key` names.
    fn add(&mut self, recipe: &Recipe, file: &Path, key: &str) -> Result<()> {
        if !self.files.contains_key(file) {
            let (path, key) = (recipe.folder.join(file), format!("{key}.file"));
            stay_inside(&recipe.folder, &path, "the walks", &key)?;
            self.files.insert(file.to_owned(), WalkFile::read(&path).at(|| key)?);
        }
        self.hashes.push(self.files[file].hash);
        Ok(())
    }

    /// Adds what the files hold, in the order of ops and edits, but not where they lie: for
    /// [`Recipe::digest`].
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) {
        for hash in &self.hashes {
            hasher.update(hash);
        }
    }

    /// The file that a recipe names so.
    pub(super) fn file(&self, file: &Path) -> Option<&WalkFile> {
        self.files.get(file)
    }
}

impl WalkFile {
    fn read(path: &Path) -> Result<Self> {
        let io = |error| Error::io(path, "read", error);
        let here = |error: Error| error.at(path.display());
        let metadata = std::fs::metadata(path).map_err(io)?;
        if !metadata.is_file() {
            // Opening a pipe could wait for ever.
            return Err(here(bad("is not a file".to_owned())));
        }
        if metadata.len() <= MAX_WALK_BYTES {
            let mut bytes = Vec::new();
            let file = File::open(path).map_err(io)?;
            // It may have grown.
            file.take(MAX_WALK_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
            if bytes.len() as u64 <= MAX_WALK_BYTES {
                return Self::parse(path, &bytes).map_err(here);
            }
        }
        let message = format!("has more than the {MAX_WALK_BYTES} bytes a walk file may have");
        Err(here(Error::new(Kind::Limit, message)))
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let broken = |error| {
            bad(format!("is not a safetensors file: {error}")).help(
                "walks are safetensors files, never pickles: `safetensors.torch.save_file` writes them",
            )
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        if let Some(format) = metadata.get("format")
            && format.starts_with("genset directions")
            && format != WALK_FORMAT
        {
            return Err(bad(format!(
                "has format \"{format}\"; this genset reads \"{WALK_FORMAT}\""
            )));
        }
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(bytes).map_err(broken)?.iter() {
            if name != "mean" {
                tensors.insert(name.to_owned(), tensor(name, &view)?);
            }
        }
        let mut steps = BTreeMap::new();
        for (key, value) in &metadata {
            let Some(name) = key.strip_suffix(".steps") else { continue };
            let count = value.parse().ok().filter(|n| (1..=MAX_WALK_STEPS).contains(n));
            let count = count.ok_or_else(|| {
                bad(format!("has metadata {key} = \"{value}\", not 1 to {MAX_WALK_STEPS}"))
            })?;
            steps.insert(name.to_owned(), count);
        }
        let hash = *blake3::hash(bytes).as_bytes();
        let input = metadata.get("input").cloned();
        Ok(Self { path: path.to_path_buf(), hash, input, tensors, steps })
    }

    /// Where it lies, for errors.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all its walks, sorted.
    pub fn names(&self) -> Vec<String> {
        let walk = |name: &String| match name.split_once('.') {
            None => Some(name.clone()),
            Some((walk, rest)) => (rest == "0.weight").then(|| walk.to_owned()),
        };
        let mut names: Vec<_> = self.tensors.keys().filter_map(walk).collect();
        names.sort();
        names
    }

    /// The walk of this name, for a latent of `elements`; `input` is its name, for errors.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if there is none, or it has another size.
    pub fn walk(&self, name: &str, elements: usize, input: &str) -> Result<Walk> {
        let misfit = |tensor: &str, what: String| bad(format!("tensor `{tensor}` {what}"));
        let mut parts = self
            .tensors
            .keys()
            .filter(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        if let (Some(tensor), false) = (self.tensors.get(name), name.contains('.')) {
            if let Some(part) = parts.next() {
                return Err(misfit(part, format!("is there beside `{name}`: which is the walk?")));
            }
            let n = tensor.values.len();
            if n != elements {
                let what = format!("has {n} elements, and input `{input}` takes {elements}");
                return Err(misfit(name, what));
            }
            return Ok(Walk::Linear(Arc::clone(&tensor.values)));
        }
        let mut layers = Vec::new();
        let mut inputs = elements;
        loop {
            let weight_name = format!("{name}.{}.weight", layers.len());
            let Some(weight) = self.tensors.get(&weight_name) else { break };
            // Layers of no values take no bytes, and what follows is tried with each layer.
            if layers.len() == MAX_LAYERS {
                let what = format!("is one more than the {MAX_LAYERS} layers a walk may have");
                return Err(misfit(&weight_name, what));
            }
            let outputs = match weight.shape[..] {
                [outputs, n] if n == inputs => outputs,
                _ => {
                    let shape = &weight.shape;
                    let what =
                        format!("has shape {shape:?}, and takes {inputs} values ([_, {inputs}])");
                    return Err(misfit(&weight_name, what));
                }
            };
            let bias_name = format!("{name}.{}.bias", layers.len());
            let bias = self.tensors.get(&bias_name);
            let Some(bias) = bias.filter(|bias| bias.values.len() == outputs) else {
                let found = bias.map_or("is not there".to_owned(), |bias| {
                    format!("has {} elements", bias.values.len())
                });
                return Err(misfit(&bias_name, format!("{found}, and its layer has {outputs}")));
            };
            layers.push(Layer { weight: weight.values.clone(), bias: bias.values.clone() });
            inputs = outputs;
        }
        if layers.is_empty() {
            let names = self.names();
            let error = bad(format!("there is no direction `{name}`"));
            return Err(match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("it has: {}", names.join(", "))),
            });
        }
        let of_layers = |part: &&String| {
            (0..layers.len()).any(|k| {
                **part == format!("{name}.{k}.weight") || **part == format!("{name}.{k}.bias")
            })
        };
        if let Some(part) = parts.find(|part| !of_layers(part)) {
            return Err(misfit(part, format!("belongs to none of the {} layers", layers.len())));
        }
        if inputs != elements {
            let last = format!("{name}.{}.weight", layers.len() - 1);
            let what = format!("gives {inputs} values, and input `{input}` takes {elements}");
            return Err(misfit(&last, what));
        }
        Ok(Walk::Steps { steps: self.steps.get(name).copied().unwrap_or(1), layers })
    }
}

/// A finite tensor as `f32`.
#[allow(clippy::cast_possible_truncation)]
fn tensor(name: &str, view: &TensorView<'_>) -> Result<Tensor> {
    let data = view.data();
    let values: Arc<[f32]> = match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::F16 => {
            data.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
        }
        Dtype::BF16 => {
            data.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect()
        }
        other => {
            return Err(bad(format!("tensor `{name}` is of type {other:?}"))
                .help("walks are of type F32, F16, BF16 or F64"));
        }
    };
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(Tensor { shape: view.shape().to_vec(), values }),
        Some(at) => Err(bad(format!("tensor `{name}` holds {} at element {at}", values[at]))),
    }
}

fn bad(message: String) -> Error {
    Error::new(Kind::Recipe, message)
}

#[cfg(test)]
mod tests;
