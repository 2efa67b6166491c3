//! A dataset to disk: any range of samples, as shards, by any number of ranks, interrupted at will.
//!
//! A rank streams its samples through one loader, encodes images beside generation, and writes shard
//! after shard. Whole shards are hashed, synced and named on a second thread, which then puts a new
//! manifest in place; so generation waits for the disk only if the disk is slower. What is written
//! depends on the dataset and the settings here alone, never on threads, ranks or interruptions.

mod encode;
mod finish;
mod known;
mod progress;
mod write;

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

pub use progress::{Exported, Progress};

pub(super) use known::manifests;

use super::cut::{Cut, samples_for_bytes};
use super::folder::{Lock, clear};
use super::format::Format;
use super::manifest::{Contents, MANIFEST, Manifest, ModelFile, Part, Provenance};
use super::rows::stored_dataset;
use super::writer::ShardForm;
use crate::codec::Encoding;
use crate::error::{Error, Kind, Result};
use crate::load::{Dataset, Generated, LoaderBuilder, Stop, rank_from_environment};
use crate::recipe::{ModelRef, Notes};
use known::{Work, merge};
use write::Writing;

/// Bytes of images that a shard has unless set otherwise: 256 MiB, before they are encoded.
pub const DEFAULT_SHARD_BYTES: u64 = 256 << 20;

/// How much a shard has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardSize {
    /// This many bytes of images as they are delivered, whatever the encoding makes of them: so that
    /// where a shard begins follows from the recipe. Cut to whole blocks of the generator.
    Bytes(u64),
    /// This many samples.
    Samples(u64),
}

/// What is exported, and how. Which ranks, and how often interrupted, makes no difference.
#[derive(Debug, Clone)]
pub struct Export {
    /// The format of the shards. Default safetensors.
    pub format: Format,
    /// How images are written. Default [`Format::default_encoding`].
    pub encoding: Option<Encoding>,
    /// The first sample. Default the first there is.
    pub from: Option<u64>,
    /// How many samples. Default all from there on, which an endless dataset has not.
    pub samples: Option<u64>,
    /// How large shards are. Default [`DEFAULT_SHARD_BYTES`].
    pub size: ShardSize,
    /// Whether the latents of every view are written. Default no.
    pub latents: bool,
    /// Whether what was drawn for every view is written. Default no.
    pub parameters: bool,
    /// Whether views are written, or what they are made from. Default views.
    pub contents: Contents,
    /// Rank and world size. Default from the environment variables `RANK` and `WORLD_SIZE`, or else
    /// everything.
    pub rank: Option<(u64, u64)>,
    /// A switch that ends it from elsewhere.
    pub stop: Stop,
}

impl Default for Export {
    fn default() -> Self {
        Self {
            format: Format::Safetensors,
            encoding: None,
            from: None,
            samples: None,
            size: ShardSize::Bytes(DEFAULT_SHARD_BYTES),
            latents: false,
            parameters: false,
            contents: Contents::Delivered,
            rank: None,
            stop: Stop::new(),
        }
    }
}

impl Export {
    /// Writes what is still missing of this rank's part to `folder`, which is made if it is not
    /// there. `set_up` sets up a loader as [`LoaderBuilder`] has it; its range, rank and latents are
    /// set here. `watch` is told how far it is.
    ///
    /// # Errors
    /// [`Kind::Argument`] for settings that make no sense or do not fit the dataset, [`Kind::State`]
    /// if the folder has another export or something else, or if another process exports the same
    /// part, [`Kind::Io`] naming the file, and those of the loader. What is complete stays: the same
    /// call goes on from there.
    pub fn run(
        &self,
        dataset: &Dataset,
        folder: &Path,
        set_up: &dyn Fn(LoaderBuilder) -> LoaderBuilder,
        watch: &mut dyn FnMut(&Progress),
    ) -> Result<Exported> {
        let started = Instant::now();
        let part = self.part()?;
        let made = stored_dataset(dataset, self.contents)?;
        let wanted = self.manifest_of(dataset, &made)?;
        let dataset = &made;
        wanted.form.check()?;
        wanted.format.check(&wanted)?;
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "make", error))?;
        let lock = Lock::take(folder, part)?;
        clear(folder, part)?;
        let Work { own, todo, resumed } = Work::begin(folder, &wanted, part)?;
        let shards = own.shards.len() + todo.len();
        let writing = Writing { export: self, dataset, folder, part, set_up };
        let written = writing.run(own, &todo, watch);
        let written = written.map_err(|error| go_on(error, folder, part, shards))?;
        let whole = merge(folder, &wanted, part)?;
        drop(lock);
        Ok(Exported {
            shards: written.shards,
            resumed,
            images: written.images,
            bytes: written.bytes,
            time: started.elapsed(),
            there: whole.there(),
            wanted: wanted.samples.end - wanted.samples.start,
        })
    }

    /// The manifest of the folder that is to be, without its shards.
    ///
    /// # Errors
    /// [`Kind::Argument`] or [`Kind::Limit`] for settings that do not fit the dataset.
    pub fn manifest(&self, dataset: &Dataset) -> Result<Manifest> {
        self.manifest_of(dataset, &stored_dataset(dataset, self.contents)?)
    }

    /// The same, where what is written of the dataset is `made`.
    fn manifest_of(&self, dataset: &Dataset, made: &Dataset) -> Result<Manifest> {
        let generated = dataset.generated().ok();
        let samples = self.range(dataset)?;
        let form = self.form(made);
        let sample: usize = form
            .groups
            .iter()
            .map(|group| group.views * group.form.checked_len().unwrap_or(usize::MAX))
            .sum();
        let block = generated.map_or(1, |generated| generated.recipe().generator.block);
        let samples_per_shard = match self.size {
            ShardSize::Samples(samples) => samples,
            ShardSize::Bytes(bytes) => samples_for_bytes(bytes, sample as u64, block.into()),
        };
        Cut::new(samples.clone(), samples_per_shard)?;
        Ok(Manifest {
            dataset: dataset.digest(),
            name: dataset.name().to_owned(),
            contents: self.contents,
            format: self.format,
            form,
            samples,
            samples_per_shard,
            model: generated.and_then(model),
            provenance: provenance(generated),
            recipe: generated.map_or_else(String::new, |generated| {
                generated.recipe().to_toml(&Notes::default())
            }),
            part: None,
            shards: Vec::new(),
        })
    }

    fn part(&self) -> Result<Part> {
        let (rank, world_size) = match self.rank {
            Some(rank) => rank,
            None => rank_from_environment()?,
        };
        if rank < world_size {
            return Ok(Part { rank, world_size });
        }
        let message = format!("rank {rank} is not in a world of {world_size} (ranks start at 0)");
        Err(Error::new(Kind::Argument, message))
    }

    fn range(&self, dataset: &Dataset) -> Result<Range<u64>> {
        let all = dataset.range();
        let from = self.from.unwrap_or(all.start);
        let end = match (self.samples, dataset.len()) {
            (Some(samples), _) => from.saturating_add(samples),
            (None, Some(_)) => all.end,
            (None, None) => {
                return Err(Error::new(Kind::Argument, "the dataset has no end")
                    .help("say how many samples to export: --samples N"));
            }
        };
        if from < end && all.start <= from && end <= all.end {
            return Ok(from..end);
        }
        let message = format!(
            "samples {from}..{end} are not in the dataset, which has {}..{}",
            all.start, all.end
        );
        let error = Error::new(Kind::Argument, message);
        Err(match dataset.is_stored() {
            true => error,
            false => {
                error.help("--set samples=N makes it longer; the samples that it has stay the same")
            }
        })
    }

    /// What shards of `made` have in common.
    fn form(&self, made: &Dataset) -> ShardForm {
        let numbers = if self.latents { made.latent_len() } else { 0 };
        ShardForm {
            groups: made.forms(),
            encoding: self.encoding.unwrap_or(self.format.default_encoding()),
            labels: made.has_labels(),
            classes: made.classes().to_vec(),
            latents: (numbers > 0).then_some([made.views(), numbers]),
            parameters: self.parameters,
        }
    }
}

/// What made the samples; of stored ones that is not known here.
fn provenance(generated: Option<&Generated>) -> Provenance {
    let of = |get: fn(&Generated) -> String| generated.map_or_else(String::new, get);
    Provenance {
        genset: env!("CARGO_PKG_VERSION").to_owned(),
        runtime: of(|generated| generated.runtime().version().to_owned()),
        providers: generated.map_or_else(Vec::new, Generated::providers),
        precision: of(|generated| generated.recipe().generator.precision.name().to_owned()),
        rewrites: generated.map_or_else(Vec::new, |generated| generated.rewrites().to_vec()),
    }
}

fn model(generated: &Generated) -> Option<ModelFile> {
    let ModelRef::File(path) = &generated.recipe().generator.model else { return None };
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned())?;
    Some(ModelFile { file, blake3: blake3::hash(generated.model().bytes()) })
}

/// Says how to go on after an export that did not come to its end, of a part of `shards` shards.
fn go_on(error: Error, folder: &Path, part: Part, shards: usize) -> Error {
    let own = if part.world_size == 1 { MANIFEST.to_owned() } else { part.manifest() };
    let there = match Manifest::read(&folder.join(own)) {
        Ok(own) => format!("{} of {shards} shards are there", own.shards.len()),
        Err(_) => "nothing is there yet".to_owned(),
    };
    match error.kind() {
        Kind::Interrupted => error.help(format!("the same command goes on from here: {there}")),
        Kind::Io => {
            error.help(format!("when that is mended, the same command goes on from here: {there}"))
        }
        _ => error,
    }
}
