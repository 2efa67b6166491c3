//! Whether a folder of shards is what it says: hashes, indices, labels, pictures, and samples that
//! are made anew.
//!
//! Every fault is collected and named, up to a limit; only what makes it impossible to look further
//! is an error.

mod difference;
mod regenerate;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::Serialize;

use super::ShardReader;
use super::hash::hash_file;
use super::manifest::{Manifest, ShardEntry};
use super::rows::stored_dataset;
use super::shards::Shards;
use crate::codec::{self, Decoder, Fit, Picture, RawForm, Target};
use crate::error::{Error, Kind, Result};
use crate::load::{Dataset, Stop};
use crate::recipe::{ModelRef, Recipe};
pub use difference::Difference;

/// Faults that are listed; the rest is counted.
const MAX_FAULTS: usize = 100;

/// How a folder is checked.
#[derive(Debug, Clone)]
pub struct Verify {
    /// Samples that are made anew and compared. Default none.
    pub regenerate: u64,
    /// Chooses those samples. Default 0.
    pub seed: u64,
    /// A switch that ends it from elsewhere.
    pub stop: Stop,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verified {
    /// Shards looked at.
    pub shards: usize,
    /// Samples looked at.
    pub samples: u64,
    /// Pictures decoded.
    pub pictures: u64,
    /// Bytes of shards that were hashed.
    pub bytes: u64,
    /// What is wrong, in the order of samples: the first hundred.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub faults_in_all: u64,
    /// What samples made anew are like, if some were.
    pub regenerated: Option<Difference>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The shard's name.
    pub shard: String,
    /// The sample, if it is one sample's.
    pub sample: Option<u64>,
    /// What it is.
    pub what: String,
}

impl Default for Verify {
    fn default() -> Self {
        Self { regenerate: 0, seed: 0, stop: Stop::new() }
    }
}

impl Verified {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults_in_all == 0
    }
}

/// Faults, collected by many threads.
#[derive(Debug, Default)]
struct Faults {
    listed: Mutex<Vec<(u64, Fault)>>,
    all: AtomicU64,
}

impl Faults {
    /// `place` orders them: a shard's first sample, or the sample.
    fn add(&self, place: u64, shard: &str, sample: Option<u64>, what: impl Into<String>) {
        self.all.fetch_add(1, Ordering::Relaxed);
        let mut listed = self.listed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fault = Fault { shard: shard.to_owned(), sample, what: what.into() };
        let at = listed.partition_point(|(other, _)| *other <= place);
        if at < MAX_FAULTS {
            listed.insert(at, (place, fault));
            listed.truncate(MAX_FAULTS);
        }
    }

    fn into_parts(self) -> (Vec<Fault>, u64) {
        let listed = self.listed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        (listed.into_iter().map(|(_, fault)| fault).collect(), self.all.into_inner())
    }
}

impl Verify {
    /// Checks every shard of `folder`. `dataset` is what samples are made anew by;
    /// [`embedded_recipe`] finds it for generators that ship with genset. `watch` is told how many
    /// samples were looked at, by any thread.
    ///
    /// # Errors
    /// Those of [`Shards::open`]; [`Kind::State`] if the shards are of another dataset,
    /// [`Kind::Argument`] if samples are to be made anew and there is no dataset,
    /// [`Kind::Interrupted`], and those of making samples.
    pub fn run(
        &self,
        folder: &Path,
        dataset: Option<&Dataset>,
        watch: &(dyn Fn(u64) + Sync),
    ) -> Result<Verified> {
        let shards = Shards::open(folder)?;
        let manifest = shards.manifest();
        let faults = Faults::default();
        let classes = classes(manifest);
        let pictures = AtomicU64::new(0);
        let done = AtomicU64::new(0);
        let bytes = (0..manifest.shards.len()).into_par_iter().map(|at| {
            let checking = Checking { shards: &shards, at, classes, faults: &faults };
            let bytes = checking.hash(&self.stop)?;
            pictures.fetch_add(checking.samples(&self.stop)?, Ordering::Relaxed);
            let count = manifest.shards[at].count;
            watch(done.fetch_add(count, Ordering::Relaxed) + count);
            Ok(bytes)
        });
        let bytes = bytes.collect::<Result<Vec<u64>>>()?.into_iter().sum();
        check_list(&shards, &faults)?;
        let regenerated = match (self.regenerate, dataset) {
            (0, _) => None,
            (_, None) => {
                return Err(Error::new(Kind::Argument, "there is nothing to make samples anew by")
                    .help("give the recipe: --recipe PATH"));
            }
            (_, Some(dataset)) => Some(self.compare(&shards, dataset, &faults)?),
        };
        let (faults, faults_in_all) = faults.into_parts();
        Ok(Verified {
            shards: manifest.shards.len(),
            samples: manifest.there(),
            pictures: pictures.into_inner(),
            bytes,
            faults,
            faults_in_all,
            regenerated,
        })
    }

    fn compare(&self, shards: &Shards, dataset: &Dataset, faults: &Faults) -> Result<Difference> {
        let manifest = shards.manifest();
        if manifest.dataset != dataset.digest() {
            let message = format!(
                "the shards are of dataset {}, not of {}",
                manifest.dataset,
                dataset.digest()
            );
            return Err(Error::new(Kind::State, message)
                .help("give the recipe and the model that were exported"));
        }
        regenerate::compare(self, shards, &stored_dataset(dataset, manifest.contents)?, faults)
    }
}

/// Compares the list that other tools read the folder by, where the format has one.
fn check_list(shards: &Shards, faults: &Faults) -> Result<()> {
    let manifest = shards.manifest();
    let Some((name, text)) = manifest.format.list(manifest)? else { return Ok(()) };
    match std::fs::read(shards.folder().join(name)) {
        Ok(bytes) if bytes == text.as_bytes() => {}
        Ok(_) => faults.add(0, name, None, "does not list the shards that the manifest lists"),
        Err(error) => faults.add(0, name, None, format!("cannot be read: {error}")),
    }
    Ok(())
}

/// One shard being checked.
struct Checking<'a> {
    shards: &'a Shards,
    at: usize,
    /// How many classes there are, if that is known.
    classes: Option<u64>,
    faults: &'a Faults,
}

impl Checking<'_> {
    fn entry(&self) -> &ShardEntry {
        &self.shards.manifest().shards[self.at]
    }

    fn fault(&self, sample: Option<u64>, what: impl Into<String>) {
        let ShardEntry { name, first, .. } = self.entry();
        self.faults.add(sample.unwrap_or(*first), name, sample, what);
    }

    /// Compares size and hash. Gives the bytes that were read.
    fn hash(&self, stop: &Stop) -> Result<u64> {
        let ShardEntry { name, bytes, blake3, .. } = self.entry();
        match hash_file(&self.shards.folder().join(name), stop) {
            Ok((found, _)) if found != *bytes => {
                self.fault(None, format!("has {found} bytes, not {bytes}"));
                Ok(found)
            }
            Ok((found, hash)) => {
                if hash != *blake3 {
                    self.fault(None, "has other bytes than were exported: its hash differs");
                }
                Ok(found)
            }
            Err(error) if error.is_interrupted() => Err(error),
            Err(error) => {
                self.fault(None, error.summary());
                Ok(0)
            }
        }
    }

    /// Looks at every sample. Gives how many pictures were decoded.
    fn samples(&self, stop: &Stop) -> Result<u64> {
        let reader = match self.shards.shard(self.at) {
            Ok(reader) => reader,
            Err(error) => {
                self.fault(None, error.summary());
                return Ok(0);
            }
        };
        let mut scratch = Scratch::default();
        let mut pictures = 0;
        for (position, index) in (0..).zip(self.entry().samples()) {
            stop.check()?;
            match self.sample(reader, position, index, &mut scratch) {
                Ok(decoded) => pictures += decoded,
                Err(error) => self.fault(Some(index), error.summary()),
            }
        }
        Ok(pictures)
    }

    fn sample(
        &self,
        reader: &dyn ShardReader,
        position: u64,
        index: u64,
        scratch: &mut Scratch,
    ) -> Result<u64> {
        let wrong = |what: String| Error::new(Kind::Sample, what);
        let found = reader.index(position)?;
        if found != index {
            return Err(wrong(format!("has index {found}")));
        }
        let label = reader.label(position)?;
        let form = &self.shards.manifest().form;
        match (label, self.classes) {
            (None, _) if form.labels => return Err(wrong("has no label".into())),
            (Some(label), Some(classes)) if !u64::try_from(label).is_ok_and(|n| n < classes) => {
                return Err(wrong(format!("has label {label}, of {classes} classes")));
            }
            _ => {}
        }
        if let Some([views, numbers]) = form.latents {
            scratch.latents.resize(views * numbers, 0.0);
            reader.latents(position, &mut scratch.latents)?;
            if !scratch.latents.iter().all(|value| value.is_finite()) {
                return Err(wrong("has a latent that is not finite".into()));
            }
        }
        reader.verify(position)?;
        scratch.decode(reader, position, self.shards.manifest())
    }
}

/// A thread's working memory.
#[derive(Debug, Default)]
struct Scratch {
    decoder: Decoder,
    bytes: Vec<u8>,
    latents: Vec<f32>,
    /// The pictures of the last sample, decoded, the groups one after the other.
    images: Vec<u8>,
}

impl Scratch {
    /// Decodes all pictures of a sample. Gives how many there are.
    fn decode(
        &mut self,
        reader: &dyn ShardReader,
        position: u64,
        manifest: &Manifest,
    ) -> Result<u64> {
        let Self { decoder, bytes, images, .. } = self;
        let groups = &manifest.form.groups;
        let mut wanted =
            groups.iter().flat_map(|group| std::iter::repeat_n(group.form, group.views));
        let mut seen = 0;
        images.clear();
        reader.show(position, bytes, &mut |number, picture| {
            let in_order = (number == seen).then(|| wanted.next()).flatten();
            let Some(form) = in_order else {
                return Err(Error::new(Kind::Sample, format!("has a picture {number} too many")));
            };
            seen += 1;
            append(decoder, picture, form, images)
                .map_err(|error| error.at(format!("picture {number}")))
        })?;
        match wanted.count() {
            0 => Ok(seen as u64),
            missing => Err(Error::new(Kind::Sample, format!("has {missing} pictures too few"))),
        }
    }
}

/// Decodes a picture to the end of `images`, which grow only if it is as large as it should be: a
/// manifest may claim any size.
fn append(
    decoder: &mut Decoder,
    picture: Picture<'_>,
    form: RawForm,
    images: &mut Vec<u8>,
) -> Result<()> {
    let (_, height, width) = codec::size(picture)?;
    if (height, width) != (form.height, form.width) {
        let text = format!("is {height}x{width} pixels, not {}x{}", form.height, form.width);
        return Err(Error::new(Kind::Sample, text));
    }
    let start = images.len();
    images.resize(start + form.image_bytes()?, 0);
    decoder.decode(picture, &Target { form, fit: Fit::Exact }, &mut images[start..])
}

/// The recipe that a manifest has, to make its samples anew.
///
/// # Errors
/// [`Kind::Argument`] if its generator is a file, which a manifest does not have; [`Kind::Recipe`].
pub fn embedded_recipe(manifest: &Manifest) -> Result<Recipe> {
    if manifest.recipe.is_empty() {
        let message = "the shards were made of stored images, and have no recipe";
        return Err(Error::new(Kind::Argument, message)
            .help("give what they were exported from: --recipe PATH"));
    }
    let recipe = Recipe::parse(&manifest.recipe, "the manifest's recipe", Path::new("."))?;
    match (&recipe.generator.model, &manifest.model) {
        (ModelRef::Builtin(_), _) if recipe.mix.is_none() => Ok(recipe),
        (ModelRef::Builtin(_), _) => {
            let message = "the shards have real images among them, which lie elsewhere";
            Err(Error::new(Kind::Argument, message).help("give their recipe: --recipe PATH"))
        }
        (ModelRef::File(path), model) => {
            let file = model.as_ref().map_or_else(
                || path.display().to_string(),
                |model| format!("{} (BLAKE3 {})", model.file, model.blake3),
            );
            Err(Error::new(Kind::Argument, format!("the shards were made by {file}, a file"))
                .help("give its recipe: --recipe PATH"))
        }
    }
}

/// How many classes there are, if the manifest's recipe or its names of classes say.
fn classes(manifest: &Manifest) -> Option<u64> {
    let named = manifest.form.classes.len() as u64;
    let recipe = Recipe::parse(&manifest.recipe, "the manifest's recipe", Path::new(".")).ok();
    let counted = recipe.and_then(|recipe| recipe.class().map(|class| u64::from(class.classes)));
    counted.or((named > 0).then_some(named))
}
