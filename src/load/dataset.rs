//! Random access: any sample of a dataset by its index.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::access::Access;
use super::batch::Batch;
use super::planner::{labels, latents};
use super::stream::Stream;
use super::views::ViewAt;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::generate::{Builtin, Contract, Generator, output_shape, resolve};
use crate::graph::Model;
use crate::recipe::{BUILTIN_PREFIX, Digest, ModelRef, Precision, Recipe, Samples, stay_inside};
use crate::runtime::{Provider, Runtime, Search, SessionOptions};
use crate::sample::{BlockInputs, Plan, Sampler, Walks};

/// A generated dataset: what `ImageFolder` is to a folder.
///
/// Cheap to clone; clones share model and sessions. Usable from any number of threads.
#[derive(Debug, Clone)]
pub struct Dataset(Arc<Inner>);

/// Where and how a dataset's generator runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to find ONNX Runtime.
    pub search: Search,
    /// Execution providers in order of preference; empty means the CPU.
    pub providers: Vec<Provider>,
    /// Threads inside one generator call. Default 1: more workers scale better than more threads.
    pub threads: usize,
    /// `key=value` settings put over the recipe.
    pub settings: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { search: Search::default(), providers: Vec::new(), threads: 1, settings: Vec::new() }
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    pub recipe: Recipe,
    pub model: Model,
    pub contract: Contract,
    pub stream: Arc<Stream>,
    pub options: Options,
    runtime: &'static Runtime,
    /// The session of random access and the block it made last.
    access: Mutex<Option<Access>>,
}

impl Dataset {
    /// Opens a recipe: a path, or `builtin:NAME`.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Recipe`] or [`Kind::Model`] for files that cannot be read or do not
    /// fit each other, [`Kind::Runtime`] if ONNX Runtime is not there.
    pub fn open(recipe: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(recipe, Options::default())
    }

    /// As [`Dataset::open`], with options.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_with(recipe: impl AsRef<Path>, options: Options) -> Result<Self> {
        let file = recipe.as_ref();
        let recipe = read_recipe(file, &options.settings)?;
        Self::from_recipe(recipe, options).map_err(|error| match error.kind() {
            // What recipe and model disagree about, the recipe can mend.
            Kind::Recipe | Kind::Limit => error.at(file.display()),
            _ => error,
        })
    }

    /// A dataset of a recipe that was read or written elsewhere.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn from_recipe(mut recipe: Recipe, options: Options) -> Result<Self> {
        let model = read_model(&recipe)?;
        if recipe.generator.precision != Precision::F32 {
            return Err(Error::new(
                Kind::Provider,
                format!("precision {} is not available", recipe.generator.precision.name()),
            )
            .at("generator.precision")
            .help("every provider runs f32; reduced precision is not built in yet"));
        }
        let runtime = Runtime::open(&options.search)?;
        let contract = resolve(&mut recipe, &model, &mut |recipe, inputs, batch, output| {
            output_shape(runtime, &model, recipe, inputs, batch, output)
        })?;
        let walks = Walks::read(&recipe)?;
        let digest = recipe.digest(|hasher| {
            model.hash_into(hasher)?;
            walks.hash_into(hasher);
            Ok(())
        })?;
        let sampler = Sampler::with_walks(&recipe, &contract.input_shapes(), &walks)?;
        let stream = Arc::new(Stream::new(&recipe, &contract, digest, sampler)?);
        Ok(Self(Arc::new(Inner {
            recipe,
            model,
            contract,
            stream,
            options,
            runtime,
            access: Mutex::new(None),
        })))
    }

    pub(super) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.0)
    }

    /// The recipe, with everything filled in that the model says.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.0.recipe
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// What the model's inputs and outputs mean.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.0.contract
    }

    /// The ONNX Runtime that it runs on.
    #[must_use]
    pub fn runtime(&self) -> &'static Runtime {
        self.0.runtime
    }

    /// The dataset's identity.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.stream.digest
    }

    /// How many samples there are; `None` if there is no end.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        self.0.recipe.samples.finite()
    }

    /// Never: a recipe has at least one sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.recipe.samples == Samples::Finite(0)
    }

    /// Bytes of one delivered sample, all views of all groups together.
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        self.0.stream.sample_bytes()
    }

    /// Everything that is drawn for sample `index` in the first epoch, without making its images.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such sample.
    pub fn plan(&self, index: u64) -> Result<Plan> {
        self.plan_in_epoch(index, 0)
    }

    /// Everything that is drawn for sample `index` in `epoch`, without making its images.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such sample.
    pub fn plan_in_epoch(&self, index: u64, epoch: u64) -> Result<Plan> {
        self.check_index(index)?;
        let stream = &self.0.stream;
        let source = stream.echo.source(index);
        let mut plan = stream.sampler.plan(source.index, epoch);
        (plan.index, plan.echo) = (index, source.echo);
        let drawn = stream.echo.pixels_of(index);
        for &ViewAt { group, view, number } in stream.views_of_row.iter().flatten() {
            let view = u32::try_from(view).unwrap_or(u32::MAX);
            stream.pixels.steps(drawn, epoch, group, view, &mut plan.views[number].pixel);
        }
        Ok(plan)
    }

    /// Sample `index` as a batch of one: the same bytes that any loader delivers at that index.
    ///
    /// Makes the whole block that the sample is in and keeps it, so neighbours come for nothing.
    /// Takes a lock: for more than one thread, a loader is faster.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such sample, [`Kind::Sample`] if its image is not finite,
    /// and those of the runtime.
    pub fn get(&self, index: u64) -> Result<Batch> {
        self.get_in_epoch(index, 0)
    }

    /// As [`Dataset::get`], with the views that sample `index` has in `epoch`.
    ///
    /// # Errors
    /// As [`Dataset::get`].
    pub fn get_in_epoch(&self, index: u64, epoch: u64) -> Result<Batch> {
        self.check_index(index)?;
        let inner = &self.0;
        let stream = &inner.stream;
        let mut guard = inner.access.lock().unwrap_or_else(PoisonError::into_inner);
        let access = match &mut *guard {
            Some(access) => access,
            empty => empty.insert(Access::new(inner.generator()?, stream)),
        };
        let images = access.get(stream, index, epoch)?;
        drop(guard);
        let index = index..index + 1;
        Ok(Batch {
            epoch,
            echo: stream.echo,
            images,
            labels: labels(stream, &index),
            latents: Some(latents(stream, epoch, &index)),
            index,
        })
    }

    /// A generator like those of the loader's workers, for measuring its bare speed.
    ///
    /// # Errors
    /// Those of loading the model.
    pub fn generator(&self) -> Result<Generator> {
        self.0.generator()
    }

    /// What one generator call is fed for the block that holds sample `index`.
    #[must_use]
    pub fn block_inputs(&self, index: u64) -> BlockInputs {
        let stream = &self.0.stream;
        let first = index / u64::from(stream.block) * u64::from(stream.block);
        let mut inputs = BlockInputs::default();
        stream.sampler.fill(stream.echo.source(first).index, stream.block, 0, &mut inputs);
        inputs
    }

    fn check_index(&self, index: u64) -> Result<()> {
        let end = self.0.recipe.samples.end();
        if index < end {
            return Ok(());
        }
        Err(Error::new(
            Kind::Argument,
            format!("there is no sample {index}: the dataset has {end} (0 to {})", end - 1),
        ))
    }
}

impl Inner {
    /// Rows of one block: samples × views.
    pub fn rows(&self) -> usize {
        self.recipe.generator.block as usize * self.recipe.views.rows() as usize
    }

    pub fn generator(&self) -> Result<Generator> {
        let options = SessionOptions {
            providers: self.options.providers.clone(),
            threads: self.options.threads,
            precision: self.recipe.generator.precision,
            dimensions: Vec::new(),
        };
        Generator::open(self.runtime, &self.model, &self.contract, self.rows(), &options)
    }
}

/// Reads `builtin:NAME` or a recipe file, with `key=value` settings put over it.
///
/// # Errors
/// [`Kind::Io`] or [`Kind::Recipe`].
pub fn read_recipe(recipe: &Path, settings: &[String]) -> Result<Recipe> {
    let name = recipe.to_str().and_then(|text| text.strip_prefix(BUILTIN_PREFIX));
    let Some(name) = name else {
        return Recipe::read_with(recipe, settings);
    };
    let builtin = Builtin::find(name)?;
    let file = format!("{BUILTIN_PREFIX}{name}");
    let mut recipe = Recipe::parse_with(builtin.recipe, &file, name, Path::new("."), settings)?;
    recipe.generator.model = ModelRef::Builtin(name.to_owned());
    Ok(recipe)
}

/// Reads the model that a recipe names, from inside the recipe's folder only.
///
/// # Errors
/// [`Kind::Io`], [`Kind::Model`] or [`Kind::Limit`] as [`Model::read`]; [`Kind::Recipe`] if it
/// lies outside.
pub fn read_model(recipe: &Recipe) -> Result<Model> {
    match (&recipe.generator.model, recipe.model_path()) {
        (ModelRef::File(_), Some(path)) => {
            stay_inside(&recipe.folder, &path, "the model", "generator.model")?;
            Model::read(&path).at(|| "generator.model")
        }
        (ModelRef::Builtin(name), _) => {
            Model::from_bytes(&format!("{BUILTIN_PREFIX}{name}"), Builtin::find(name)?.bytes())
        }
        (ModelRef::File(_), None) => unreachable!("a file has a path"),
    }
}
