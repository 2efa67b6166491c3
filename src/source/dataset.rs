//! Datasets of what is stored: shards of ours, or anything that [`Records`] can be made of.

use std::path::Path;
use std::sync::Arc;

use super::store::{ImageStore, plain_group};
use crate::codec::{self, Fit, Picture};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::load::{Dataset, GroupForm, StoredViews};
use crate::recipe::{Described, Dtype, Group, Output, Reading, Recipe, SourceRecipe, Views};
use crate::shard::{Contents, Records, Shards};

/// Opens what a recipe of stored images names.
///
/// # Errors
/// [`Kind::Io`] for files that cannot be read, [`Kind::Recipe`] if the recipe does not fit them,
/// [`Kind::Sample`] if the first image is none.
pub fn dataset(recipe: &SourceRecipe) -> Result<Dataset> {
    let path = recipe.path();
    match stored(&path)? {
        Stored::Shards(shards) => of_shards(recipe, *shards),
        Stored::Images(records) => of_images(recipe, records),
    }
}

/// What lies at a path.
enum Stored {
    Shards(Box<Shards>),
    Images(Arc<dyn Records>),
}

/// Opens what lies at a path, whatever it is.
///
/// # Errors
/// As [`dataset`].
pub fn records(path: &Path) -> Result<Arc<dyn Records>> {
    Ok(match stored(path)? {
        Stored::Shards(shards) => Arc::new(*shards),
        Stored::Images(records) => records,
    })
}

fn stored(path: &Path) -> Result<Stored> {
    if Shards::is_there(path) {
        return Shards::open(path).map(|shards| Stored::Shards(Box::new(shards)));
    }
    match crate::shard::open_foreign(path)? {
        Some(records) => Ok(Stored::Images(records)),
        None => super::open(path).map(|records| Stored::Images(records.into())),
    }
}

fn of_shards(recipe: &SourceRecipe, shards: Shards) -> Result<Dataset> {
    let SourceRecipe { name, seed, views, output, .. } = recipe;
    let reading = &recipe.source.reading;
    let manifest = shards.manifest();
    let groups = manifest.form.groups.clone();
    if recipe.is_as_stored() && manifest.contents == Contents::Delivered {
        let digest = match manifest.form.encoding.is_lossless() {
            true => manifest.dataset,
            false => recipe.digest(&Views::default(), &Output::default(), |h| shards.identify(h)),
        };
        let store = ImageStore::new(Arc::new(shards), groups, Fit::Exact)?;
        return Dataset::of_store(
            name,
            Arc::new(store),
            reading.on_bad,
            digest,
            StoredViews::AsStored,
        );
    }
    // Rows are one list, whichever groups they were exported in.
    let (group, total) = (&groups[0], groups.iter().map(|group| group.views).sum());
    if groups
        .iter()
        .any(|other| other.form.planes() != group.form.planes() || other.form.dtype != Dtype::U8)
    {
        return Err(Error::new(
            Kind::Recipe,
            "views can only be drawn of stored 8-bit images of one size",
        )
        .help("leave out [views], [output] and the size; or export with --rows"));
    }
    let original = match manifest.contents {
        Contents::Rows => Some(original(&shards)?),
        Contents::Delivered => None,
    };
    let seed = match (&original, views) {
        (Some(original), None) => original.seed,
        _ => *seed,
    };
    let own = (views.clone(), output.clone());
    let (views, output) = match (own, original) {
        ((Some(views), Some(output)), _) => (views, output),
        ((views, output), Some(original)) => {
            (views.unwrap_or(original.views), output.unwrap_or(original.output))
        }
        ((views, output), None) => {
            (views.unwrap_or_else(|| plain_views(total)), output.unwrap_or_default())
        }
    };
    let image = sized(reading, group.form.planes());
    let stored = plain_group(total, image);
    drawn(recipe, Arc::new(shards), stored, seed, views, output)
}

fn of_images(recipe: &SourceRecipe, records: Arc<dyn Records>) -> Result<Dataset> {
    let SourceRecipe { name, seed, views, output, source, .. } = recipe;
    let pictures = records.pictures();
    let image = match (source.reading.size, source.reading.channels) {
        (Some([h, w]), Some(c)) => [c as usize, h as usize, w as usize],
        _ => sized(&source.reading, first_image(&*records)?),
    };
    let mut stored = plain_group(pictures, image);
    let output = output.clone().unwrap_or_default();
    // Whole images as bytes are decoded to where they are delivered, in either layout.
    if views.is_some() || output.dtype != Dtype::U8 || output.normalise.is_some() {
        let views = views.clone().unwrap_or_else(|| plain_views(pictures));
        return drawn(recipe, records, stored, *seed, views, output);
    }
    stored.form.layout = output.layout;
    let digest = recipe.digest(&plain_views(pictures), &output, |hasher| records.identify(hasher));
    let store = ImageStore::new(records, vec![stored], fit(&source.reading))?;
    Dataset::of_store(name, Arc::new(store), source.reading.on_bad, digest, StoredViews::AsStored)
}

fn drawn(
    recipe: &SourceRecipe,
    records: Arc<dyn Records>,
    stored: GroupForm,
    seed: u64,
    views: Views,
    output: Output,
) -> Result<Dataset> {
    let own = SourceRecipe { seed, ..recipe.clone() };
    let digest = own.digest(&views, &output, |hasher| records.identify(hasher));
    let reading = &recipe.source.reading;
    let store = ImageStore::new(records, vec![stored], fit(reading))?;
    let views = StoredViews::Drawn { seed, views, output };
    Dataset::of_store(&recipe.name, Arc::new(store), reading.on_bad, digest, views)
}

/// The recipe that rows were generated by.
fn original(shards: &Shards) -> Result<Recipe> {
    let manifest = shards.manifest();
    let folder = Path::new(".");
    match Described::parse(&manifest.recipe, "manifest.json", &manifest.name, folder, &[])? {
        Described::Generated(recipe) => Ok(*recipe),
        Described::Stored(_) => {
            Err(Error::new(Kind::Recipe, "manifest.json: its recipe has no generator"))
        }
    }
}

/// Real images for the places that `[mix]` gives them, as images of shape `[C, H, W]`.
///
/// # Errors
/// As [`dataset`]; [`Kind::Recipe`] if their classes are not the generator's.
pub(crate) fn mixed(
    records: Arc<dyn Records>,
    recipe: &Recipe,
    image: [usize; 3],
) -> Result<ImageStore> {
    if records.pictures() != 1 {
        let n = records.pictures();
        return Err(Error::new(Kind::Recipe, format!("its samples have {n} images each"))
            .at("mix.source")
            .help("mix in a dataset of single images"));
    }
    let labels = labels(&*records, recipe)?;
    let store = ImageStore::new(records, vec![plain_group(1, image)], Fit::Cover)?;
    Ok(match labels {
        Some(labels) => store.relabelled(labels),
        None => store,
    })
}

/// The generator's number for each class of the stored images: by name where both have names.
fn labels(records: &dyn Records, recipe: &Recipe) -> Result<Option<Vec<i64>>> {
    let (Some(class), names) = (recipe.class(), records.classes()) else { return Ok(None) };
    if names.is_empty() || class.names.is_empty() {
        return Ok(None);
    }
    let number = |name: &String| {
        class.names.iter().position(|own| own == name).map(|n| n as i64).ok_or_else(|| {
            let own = class.names.join(", ");
            Error::new(Kind::Recipe, format!("class `{name}` is none of the generator's"))
                .at("mix.source")
                .help(format!("its classes are {own}; rename the folder, or leave it out"))
        })
    };
    names.iter().map(number).collect::<Result<_>>().map(Some)
}

fn fit(reading: &Reading) -> Fit {
    if reading.size.is_some() { Fit::Cover } else { Fit::Exact }
}

/// `[C, H, W]` as the recipe wants it, of images that have `image`.
fn sized(reading: &Reading, [c, h, w]: [usize; 3]) -> [usize; 3] {
    let [h, w] = reading.size.map_or([h, w], |[h, w]| [h as usize, w as usize]);
    [reading.channels.map_or(c, |c| c as usize), h, w]
}

/// As many views as are stored, unchanged.
fn plain_views(count: usize) -> Views {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Views { groups: vec![Group { count, ..Group::default() }], ..Views::default() }
}

/// The size of the first image, gray or in colour.
fn first_image(records: &dyn Records) -> Result<[usize; 3]> {
    let first = records.samples().start;
    let mut size = None;
    let place = || records.place(first);
    let mut look = |_: usize, picture: Picture<'_>| {
        if size.is_none() {
            size = Some(codec::size(picture)?);
        }
        Ok(())
    };
    records.show(first, &mut Vec::new(), &mut look).at(place)?;
    let (channels, height, width) =
        size.ok_or_else(|| Error::new(Kind::Sample, "the first sample has no image").at(place()))?;
    Ok([if channels < 3 { 1 } else { 3 }, height, width])
}

/// Whether a file is data, and no recipe.
#[must_use]
pub fn is_data(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.as_deref().unwrap_or_default();
    let ends = [".tar", ".npy", ".npz", ".bin", ".gz", "-ubyte", ".mds", ".safetensors"];
    ends.iter().any(|end| name.ends_with(end)) || name.contains("{")
}
