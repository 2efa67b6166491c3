//! One rank's stream, into shards.

use std::ops::Range;
use std::path::Path;
use std::thread;

use super::encode::{Encoded, encode};
use super::finish::{Finisher, Whole};
use super::{Export, Progress};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::load::{Batch, Dataset, LoaderBuilder};
use crate::shard::cut::{Cut, runs};
use crate::shard::folder::Partial;
use crate::shard::manifest::{Manifest, Part};
use crate::shard::{Format, SampleRecord, ShardWriter};

/// What does not change while a rank writes.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    pub export: &'a Export,
    pub dataset: &'a Dataset,
    pub folder: &'a Path,
    pub part: Part,
    pub set_up: &'a dyn Fn(LoaderBuilder) -> LoaderBuilder,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub shards: usize,
    pub images: u64,
    pub bytes: u64,
}

/// The shard that is being written.
#[derive(Debug)]
struct Open {
    writer: Box<dyn ShardWriter>,
    partial: Partial,
    name: String,
    samples: Range<u64>,
}

impl Writing<'_> {
    /// Makes the shards `todo` and adds them to the manifest `own`.
    pub fn run(
        self,
        own: Manifest,
        todo: &[u64],
        watch: &mut dyn FnMut(&Progress),
    ) -> Result<Written> {
        let cut = own.cut();
        let len = |samples: Range<u64>| samples.end - samples.start;
        let before = own.there();
        let left: u64 = todo.iter().map(|number| len(cut.samples_of(*number))).sum();
        let mut progress = Progress { samples: before, of: before + left, images: 0, bytes: 0 };
        watch(&progress);
        let template = own.clone();
        let result = thread::scope(|scope| {
            let finisher = Finisher::start(scope, self, own)?;
            let mut written = Ok(());
            for run in runs(&cut, todo) {
                written = self.stream(&template, &cut, run, &finisher, &mut progress, watch);
                if written.is_err() {
                    break;
                }
            }
            // If finishing failed, that is why writing did.
            let (shards, bytes) = finisher.end()?;
            written.map(|()| (shards, bytes))
        });
        let (shards, mut bytes) = result?;
        if self.export.format == Format::Images {
            // A shard only lists the images, which are files of their own.
            bytes += progress.bytes;
        }
        Ok(Written { shards, images: progress.images, bytes })
    }

    /// Writes consecutive shards through one loader.
    fn stream(
        self,
        own: &Manifest,
        cut: &Cut,
        run: Range<u64>,
        finisher: &Finisher<'_>,
        progress: &mut Progress,
        watch: &mut dyn FnMut(&Progress),
    ) -> Result<()> {
        let Export { latents, stop, .. } = self.export;
        let loader = (self.set_up)(self.dataset.loader())
            .rank(0, 1)
            .range(run)
            .epochs(1)
            .latents(*latents)
            .stop(stop.clone())
            .build()?;
        let mut open: Option<Open> = None;
        for batch in loader {
            let batch = batch?;
            finisher.check()?;
            let encoded = encode(self.dataset, &batch, &own.form)?;
            for (i, index) in batch.index().into_iter().enumerate() {
                let shard = match &mut open {
                    Some(shard) => shard,
                    none => none.insert(self.open(own, cut, cut.number_of(index))?),
                };
                put(shard, &batch, &encoded, i, index)
                    .at(|| shard.partial.place().display().to_string())?;
                if index + 1 == shard.samples.end
                    && let Some(Open { writer, partial, name, samples }) = open.take()
                {
                    writer.finish().at(|| partial.place().display().to_string())?;
                    finisher.take(Whole { partial, name, samples })?;
                }
            }
            progress.samples += batch.len() as u64;
            progress.images += encoded.images();
            progress.bytes += encoded.bytes();
            watch(progress);
        }
        match open {
            None => Ok(()),
            Some(shard) => {
                let message = format!("the stream ended within {}", shard.name);
                Err(Error::new(Kind::Worker, message))
            }
        }
    }

    fn open(self, own: &Manifest, cut: &Cut, number: u64) -> Result<Open> {
        let name = own.format.shard_name(&own.name, number);
        let samples = cut.samples_of(number);
        let partial = Partial::new(self.folder, &name, self.part);
        let writer = own
            .format
            .create(self.folder, partial.path(), own, samples.clone())
            .at(|| partial.place().display().to_string())?;
        Ok(Open { writer, partial, name, samples })
    }
}

/// Writes sample `i` of a batch.
fn put(shard: &mut Open, batch: &Batch, encoded: &Encoded<'_>, i: usize, index: u64) -> Result<()> {
    let latents = batch.latents();
    let latents = latents.as_ref().and_then(|latents| latents.to_slice());
    let numbers = latents.map_or(0, |latents| latents.len() / batch.len());
    shard.writer.put(&SampleRecord {
        index,
        label: batch.labels().map(|labels| labels[i]),
        latents: latents.map(|latents| &latents[i * numbers..(i + 1) * numbers]),
        parameters: encoded.parameters(i),
        pictures: &encoded.pictures(i),
    })
}

impl std::fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { folder, part, .. } = self;
        f.debug_struct("Writing")
            .field("folder", folder)
            .field("part", part)
            .finish_non_exhaustive()
    }
}
