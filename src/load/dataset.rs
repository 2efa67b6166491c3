//! Random access: any sample of a dataset by its index.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::access::{Access, BlockMaker};
use super::batch::Batch;
use super::planner::{labels, latents};
use super::stream::Stream;
use super::views::ViewAt;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::generate::execution::{
    Edit, Execution, Offers, Profile, ProfileKey, Rewrites, provider_names,
};
use crate::generate::{Builtin, Contract, Generator, output_shape, resolve};
use crate::graph::Model;
use crate::recipe::{BUILTIN_PREFIX, Digest, ModelRef, Recipe, Samples, stay_inside};
use crate::runtime::{
    Placement, Provider, ProviderOption, Runtime, Search, SessionOptions, check_precision,
};
use crate::sample::{BlockInputs, Plan, Sampler, Walks};

/// A generated dataset: what `ImageFolder` is to a folder.
///
/// Cheap to clone; clones share model and sessions. Usable from any number of threads.
#[derive(Debug, Clone)]
pub struct Dataset(Arc<Inner>);

/// Where and how a dataset's generator runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How to find ONNX Runtime.
    pub search: Search,
    /// Execution providers in order of preference; empty means the CPU.
    pub providers: Vec<Provider>,
    /// What is set on the providers.
    pub provider_options: Vec<ProviderOption>,
    /// Threads inside one generator call. Default what the [`Profile`] says that
    /// [`Rewrites::Auto`] follows, or 1: more workers scale better than more threads.
    pub threads: Option<usize>,
    /// Edits of the generator's graph that are exact but for rounding. Default
    /// [`Rewrites::Auto`]. With the provider they decide low bits of the generator's floats.
    pub rewrites: Rewrites,
    /// `key=value` settings put over the recipe.
    pub settings: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub recipe: Recipe,
    pub model: Model,
    pub contract: Contract,
    /// What sessions load.
    pub execution: Execution,
    pub offers: Offers,
    /// What was measured here, if it is followed.
    pub profile: Option<Profile>,
    /// From latents to views; its generator is that of the execution.
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
        check_precision(&options.providers, recipe.generator.precision)?;
        let providers = options.providers.clone();
        let runtime = Runtime::open(&Search { providers, ..options.search.clone() })?;
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
        let (offers, profile, edits) =
            choose(&model, &contract, &recipe, &sampler, runtime, &options)?;
        let execution = offers.carry_out(&model, &contract, &edits)?;
        let stream = Arc::new(Stream::new(&recipe, &execution.contract, digest, sampler)?);
        Ok(Self(Arc::new(Inner {
            recipe,
            model,
            contract,
            execution,
            offers,
            profile,
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

    /// The edits of its graph that its generator is executed with, in the order in which they are
    /// carried out.
    #[must_use]
    pub fn rewrites(&self) -> &[Edit] {
        &self.0.execution.edits
    }

    /// All edits that fit its generator's graph.
    #[must_use]
    pub fn offers(&self) -> &Offers {
        &self.0.offers
    }

    /// What was measured for this generator on this machine, if it is followed.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        self.0.profile.as_ref()
    }

    /// What the profile of this generator on this machine is found by.
    ///
    /// # Errors
    /// Those of reading the model's files.
    pub fn profile_key(&self) -> Result<ProfileKey> {
        let Inner { model, runtime, options, recipe, offers, .. } = &*self.0;
        offers.key(model, runtime, &options.providers, recipe.generator.precision)
    }

    /// The same dataset, executed with exactly these edits.
    ///
    /// # Errors
    /// Those of [`Offers::carry_out`].
    pub fn executed_with(&self, edits: &[Edit]) -> Result<Self> {
        let Inner { recipe, options, .. } = &*self.0;
        let options = Options {
            rewrites: Rewrites::exactly(edits),
            threads: Some(self.0.threads()),
            ..options.clone()
        };
        Self::from_recipe(recipe.clone(), options)
    }

    /// A dataset of another recipe, run in the same way.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn with_recipe(&self, recipe: Recipe) -> Result<Self> {
        Self::from_recipe(recipe, self.0.options.clone())
    }

    /// The providers that it runs on, by name, in order of preference.
    #[must_use]
    pub fn providers(&self) -> Vec<String> {
        provider_names(&self.0.options.providers)
    }

    /// Threads inside one generator call.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.threads()
    }

    /// A session and its views, for measuring.
    pub(crate) fn block_maker(&self) -> Result<BlockMaker> {
        Ok(BlockMaker::new(self.0.generator()?, &self.0.stream))
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

    /// What runs where: the provider of each node of the generator, as a worker's session has it.
    ///
    /// # Errors
    /// Those of loading the model.
    pub fn placements(&self) -> Result<Vec<Placement>> {
        let inner = &self.0;
        let options = SessionOptions { placements: true, ..inner.session_options() };
        inner.open_generator(&options)?.placements()
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
    /// Threads inside one generator call.
    pub fn threads(&self) -> usize {
        let measured = || self.profile.as_ref().map_or(1, |profile| profile.threads);
        self.options.threads.unwrap_or_else(measured)
    }

    /// Sessions of a loader, where something was measured.
    pub fn sessions(&self) -> Option<usize> {
        self.profile.as_ref().map(|profile| profile.sessions)
    }

    pub fn generator(&self) -> Result<Generator> {
        self.open_generator(&self.session_options())
    }

    fn open_generator(&self, options: &SessionOptions) -> Result<Generator> {
        let Execution { contract, .. } = &self.execution;
        let model = self.execution.model(&self.model);
        Generator::open(self.runtime, model, contract, rows(&self.recipe), options)
    }

    fn session_options(&self) -> SessionOptions {
        SessionOptions {
            providers: self.options.providers.clone(),
            provider_options: self.options.provider_options.clone(),
            threads: self.threads(),
            precision: self.recipe.generator.precision,
            say: self.options.search.say,
            ..SessionOptions::default()
        }
    }
}

/// Rows of one block: samples × views.
fn rows(recipe: &Recipe) -> usize {
    recipe.generator.block as usize * recipe.views.rows() as usize
}

/// What fits the model, the profile that is followed, and the edits to carry out.
fn choose(
    model: &Model,
    contract: &Contract,
    recipe: &Recipe,
    sampler: &Sampler,
    runtime: &Runtime,
    options: &Options,
) -> Result<(Offers, Option<Profile>, Vec<Edit>)> {
    let mut block = BlockInputs::default();
    sampler.fill(0, 1, 0, &mut block);
    let offers = Offers::of(model, contract, recipe, rows(recipe), &block)?;
    let profile = match options.rewrites {
        Rewrites::Auto => Profile::load(&offers.key(
            model,
            runtime,
            &options.providers,
            recipe.generator.precision,
        )?)?,
        Rewrites::None | Rewrites::Only(_) => None,
    };
    let provider = options.providers.first().copied().unwrap_or(Provider::Cpu);
    let edits = offers.choose(&options.rewrites, profile.as_ref(), provider.name())?;
    Ok((offers, profile, edits))
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
