//! What a path is, and the dataset that it makes: a recipe, shards, or real images.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Kind, Result, ResultExt};
use crate::load::{Dataset, Mixed, Options, Store, read_recipe};
use crate::recipe::{BUILTIN_PREFIX, Described, Mix, Recipe, SourceRecipe, stay_inside};
use crate::source;

impl Dataset {
    /// Opens what is at a path: a recipe (a TOML file, or `builtin:NAME`), a folder of shards, or
    /// real images, as [`source::open`] finds them.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Recipe`] or [`Kind::Model`] for files that cannot be read or do not
    /// fit each other, [`Kind::Runtime`] if ONNX Runtime is needed and not there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// As [`Dataset::open`], with options. Those that say how a generator runs mean nothing to
    /// stored images.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let file = path.as_ref();
        let described = describe(file, &options.settings)?;
        Self::of_description(described, options).map_err(|error| match error.kind() {
            // What recipe and model disagree about, the recipe can mend.
            Kind::Recipe | Kind::Limit => error.at(file.display()),
            _ => error,
        })
    }

    /// A dataset of a generator's recipe that was read or written elsewhere.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn from_recipe(recipe: Recipe, options: Options) -> Result<Self> {
        let mixed = recipe.mix.clone().map(|mix| mixed(&recipe, &mix)).transpose()?;
        Self::of_generator(recipe, options, mixed)
    }

    /// A dataset of another recipe, run in the same way.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn with_recipe(&self, recipe: Recipe) -> Result<Self> {
        Self::from_recipe(recipe, self.generated()?.options().clone())
    }

    /// A dataset of either kind of recipe.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn of_description(described: Described, options: Options) -> Result<Self> {
        match described {
            Described::Generated(recipe) => Self::from_recipe(*recipe, options),
            Described::Stored(recipe) => source::dataset(&recipe),
        }
    }
}

/// The real images of a recipe with `[mix]`.
fn mixed(recipe: &Recipe, mix: &Mix) -> Result<Mixed<'static>> {
    let path = recipe.folder.join(&mix.source);
    stay_inside(&recipe.folder, &path, "the images", "mix.source")?;
    let records = source::records(&path).at(|| "mix.source")?;
    let mut hasher = blake3::Hasher::new();
    records.identify(&mut hasher);
    let open = move |image, recipe: &Recipe| {
        let store = source::mixed(records, recipe, image)?;
        Ok(Arc::new(store) as Arc<dyn Store>)
    };
    Ok(Mixed { identity: hasher.finalize(), open: Box::new(open) })
}

/// Reads what is at a path, without opening what it names, with `key=value` settings put over it.
///
/// # Errors
/// [`Kind::Io`] or [`Kind::Recipe`].
pub fn describe(path: &Path, settings: &[String]) -> Result<Described> {
    let builtin = path.to_str().is_some_and(|text| text.starts_with(BUILTIN_PREFIX));
    if builtin {
        let recipe = read_recipe(path, settings)?;
        return Ok(Described::Generated(Box::new(recipe)));
    }
    if path.is_dir() || source::is_data(path) {
        return SourceRecipe::of_path(path, settings).map(Described::Stored);
    }
    let described = Described::read(path, settings)?;
    if let Described::Stored(recipe) = &described {
        stay_inside(&recipe.folder, &recipe.path(), "the images", "source.path")?;
    }
    Ok(described)
}
