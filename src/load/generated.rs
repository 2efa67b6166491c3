//! The generated part of a dataset: recipe, model, and how it runs here.

use std::path::Path;

use super::stream::Stream;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::generate::execution::{
    Edit, Execution, Offers, Profile, ProfileKey, Rewrites, provider_names,
};
use crate::generate::{Builtin, Contract, Generator, output_shape, resolve};
use crate::graph::Model;
use crate::recipe::{BUILTIN_PREFIX, ModelRef, Recipe, stay_inside};
use crate::runtime::{
    Placement, Provider, ProviderOption, Runtime, Search, SessionOptions, check_precision,
};
use crate::sample::{BlockInputs, Mixture, Sampler, Walks};

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
    /// Bytes of images that random access may keep of blocks it has made, beside the last. Default 0.
    /// One sample costs a block: whoever asks for them in random order wants all of them kept.
    pub random_access: u64,
    /// `key=value` settings put over the recipe.
    pub settings: Vec<String>,
}

impl Options {
    /// How a session of another model runs in the same way, with `threads` inside a call.
    #[must_use]
    pub fn session(&self, threads: usize) -> SessionOptions {
        SessionOptions {
            providers: self.providers.clone(),
            provider_options: self.provider_options.clone(),
            threads,
            say: self.search.say,
            ..SessionOptions::default()
        }
    }
}

/// What a dataset has that comes out of a generator.
#[derive(Debug)]
pub struct Generated {
    recipe: Recipe,
    model: Model,
    contract: Contract,
    /// What sessions load.
    execution: Execution,
    offers: Offers,
    /// What was measured here, if it is followed.
    profile: Option<Profile>,
    options: Options,
    runtime: &'static Runtime,
}

impl Generated {
    /// Opens everything that a recipe names, and the stream of what is generated. `images`
    /// tells the stored images of a recipe with `[mix]` from others.
    ///
    /// # Errors
    /// As [`Dataset::open`](super::Dataset::open).
    pub(super) fn open(
        mut recipe: Recipe,
        options: Options,
        images: impl FnOnce(&mut blake3::Hasher),
    ) -> Result<(Self, Stream)> {
        if let Some(threads @ (0 | 1025..)) = options.threads {
            let message = format!("{threads} threads inside a generator call");
            return Err(Error::new(Kind::Argument, message).help("1 to 1024, and rarely many"));
        }
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
            images(hasher);
            Ok(())
        })?;
        let sampler = Sampler::with_walks(&recipe, &contract.input_shapes(), &walks)?;
        let (offers, profile, edits) =
            choose(&model, &contract, &recipe, &sampler, runtime, &options)?;
        let execution = offers.carry_out(&model, &contract, &edits)?;
        let stream = Stream::new(&recipe, &execution.contract, digest, sampler)?;
        let own = Self { recipe, model, contract, execution, offers, profile, options, runtime };
        Ok((own, stream))
    }

    /// The recipe, with everything filled in that the model says.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the model's inputs and outputs mean.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The edits of its graph that its generator is executed with, in the order in which they are
    /// carried out.
    #[must_use]
    pub fn rewrites(&self) -> &[Edit] {
        &self.execution.edits
    }

    /// All edits that fit its generator's graph.
    #[must_use]
    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    /// What was measured for this generator on this machine, if it is followed.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// What the profile of this generator on this machine is found by.
    ///
    /// # Errors
    /// Those of reading the model's files.
    pub fn profile_key(&self) -> Result<ProfileKey> {
        let Self { model, runtime, options, recipe, offers, .. } = self;
        offers.key(model, runtime, &options.providers, recipe.generator.precision)
    }

    /// Where and how it runs.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The providers that it runs on, by name, in order of preference.
    #[must_use]
    pub fn providers(&self) -> Vec<String> {
        provider_names(&self.options.providers)
    }

    /// The ONNX Runtime that it runs on.
    #[must_use]
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// Threads inside one generator call.
    #[must_use]
    pub fn threads(&self) -> usize {
        let measured = || self.profile.as_ref().map_or(1, |profile| profile.threads);
        self.options.threads.unwrap_or_else(measured)
    }

    /// Sessions of a loader, where something was measured.
    pub(super) fn sessions(&self) -> Option<usize> {
        self.profile.as_ref().map(|profile| profile.sessions)
    }

    /// A generator like those of the loader's workers, for measuring its bare speed.
    ///
    /// # Errors
    /// Those of loading the model.
    pub fn generator(&self) -> Result<Generator> {
        self.open_generator(&self.session_options())
    }

    /// What runs where: the provider of each node of the generator, as a worker's session has it.
    ///
    /// # Errors
    /// Those of loading the model.
    pub fn placements(&self) -> Result<Vec<Placement>> {
        let options = SessionOptions { placements: true, ..self.session_options() };
        self.open_generator(&options)?.placements()
    }

    fn open_generator(&self, options: &SessionOptions) -> Result<Generator> {
        let Execution { contract, .. } = &self.execution;
        let model = self.execution.model(&self.model);
        let rows = rows(&self.recipe);
        Generator::open(self.runtime, model, contract, rows, options)
    }

    fn session_options(&self) -> SessionOptions {
        let precision = self.recipe.generator.precision;
        SessionOptions { precision, ..self.options.session(self.threads()) }
    }
}

/// Rows of one block: generated samples × views.
fn rows(recipe: &Recipe) -> usize {
    let real = recipe.mix.as_ref().map_or(0, |mix| Mixture::share(mix, recipe.generator.block));
    (recipe.generator.block - real) as usize * recipe.views.rows() as usize
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
/// [`Kind::Io`](crate::Kind::Io) or [`Kind::Recipe`](crate::Kind::Recipe).
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
/// Those of [`Model::read`]; [`Kind::Recipe`](crate::Kind::Recipe) if it lies outside.
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
