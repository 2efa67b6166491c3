//! How a loader is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use super::dataset::{Dataset, Inner};
use super::loader::Loader;
use super::monitor::Monitor;
use super::settings::Settings;
use super::state::{State, Stop};
use super::worker::MakeRows;
use crate::error::{Error, Kind, Result};
use crate::generate::Generator;

/// Sets up a [`Loader`]. Nothing here changes the bytes that are delivered.
#[derive(Debug, Clone)]
pub struct LoaderBuilder {
    inner: Arc<Inner>,
    settings: Settings,
}

impl LoaderBuilder {
    /// Samples a batch. Default 256.
    #[must_use]
    pub fn batch(mut self, samples: usize) -> Self {
        self.settings.batch = samples;
        self
    }

    /// Generator sessions, each on a thread of its own. Default: what the dataset's profile says, or
    /// the cores there are, divided by the threads inside one call ([`super::Options::threads`]).
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = Some(workers);
        self
    }

    /// Batches made ahead of the consumer. Default 4; workers are kept busy also where this is
    /// less than a block, and [`LoaderBuilder::memory`] may allow fewer.
    #[must_use]
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.settings.prefetch = batches;
        self
    }

    /// Bytes that batches under way, generator inputs and outputs, and echoes that are being
    /// delivered may take together. Default [`DEFAULT_MEMORY`](super::DEFAULT_MEMORY). The recipe's
    /// `cache.budget` comes on top, weights and what ONNX Runtime uses inside a call come on top, as do
    /// batches that the consumer keeps.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.settings.memory = bytes;
        self
    }

    /// Delivers this rank's part only. Default: from the environment variables `RANK` and
    /// `WORLD_SIZE`, as torchrun sets them, or else everything.
    #[must_use]
    pub fn rank(mut self, rank: u64, world_size: u64) -> Self {
        self.settings.rank = Some((rank, world_size));
        self
    }

    /// Delivers part `number` of `parts` of the rank's batches, for processes that share out the
    /// loading of one rank. Together they deliver as many batches as one alone. Default: all.
    #[must_use]
    pub fn part(mut self, number: u64, parts: u64) -> Self {
        self.settings.part = (number, parts);
        self
    }

    /// The samples to deliver. Default: all of the dataset.
    #[must_use]
    pub fn range(mut self, samples: std::ops::Range<u64>) -> Self {
        (self.settings.start, self.settings.end) = (Some(samples.start), Some(samples.end));
        self
    }

    /// Passes over the samples; `None` is without end. Default 1. Every pass delivers the same
    /// samples and labels in the same order, with views drawn anew unless the recipe says
    /// `views.epochs = "same"`.
    #[must_use]
    pub fn epochs(mut self, epochs: impl Into<Option<u64>>) -> Self {
        self.settings.epochs = epochs.into();
        self
    }

    /// Delivers stored samples in an order that is drawn anew for each epoch from this seed. It is
    /// found without a list, so a shuffled loader resumes like any other. Generated samples are
    /// random as they are, and cannot be shuffled. Default no.
    #[must_use]
    pub fn shuffle(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.settings.shuffle = seed.into();
        self
    }

    /// Delivers stored samples as they lie in a memory map, without a copy, where a batch is in one
    /// raw shard and is delivered as it is stored, unshuffled; other batches are copied as always.
    /// Such a batch keeps the map alive. A file that is changed under it changes with it. Default no.
    #[must_use]
    pub fn zero_copy(mut self, zero_copy: bool) -> Self {
        self.settings.zero_copy = zero_copy;
        self
    }

    /// Leaves out the last, shorter step, so that every batch of every rank is full. Default no.
    #[must_use]
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.settings.drop_last = drop_last;
        self
    }

    /// Threads that share the making of views from what the generator made. Default 0: each worker
    /// makes those of its own blocks, which is best where the generator keeps the cores busy. With
    /// a generator on a device, set it to the cores that are free.
    #[must_use]
    pub fn view_threads(mut self, threads: usize) -> Self {
        self.settings.view_threads = threads;
        self
    }

    /// Delivers the latents of every view with the images. Default no.
    #[must_use]
    pub fn latents(mut self, latents: bool) -> Self {
        self.settings.latents = latents;
        self
    }

    /// Where the temporary file of a recipe with `cache.disk` is. Default: the system's folder for
    /// such. The file has no name, and is gone when the loader is.
    #[must_use]
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.cache_folder = Some(folder.into());
        self
    }

    /// Goes on where another loader was, which may have had other settings.
    #[must_use]
    pub fn resume(mut self, state: State) -> Self {
        self.settings.state = Some(state);
        self
    }

    /// Where the loader begins: what [`Loader::state`] says before the first batch. With another pass
    /// or sample in it, [`LoaderBuilder::resume`] begins there.
    #[must_use]
    pub fn state(&self) -> State {
        self.settings.beginning(&self.inner.stream)
    }

    /// Batches of one whole pass for this rank. Where samples are left out as bad there may be fewer.
    ///
    /// # Errors
    /// [`Kind::Argument`] for an impossible rank, batch or range.
    pub fn batches(&self) -> Result<u64> {
        Ok(self.count()?.0)
    }

    /// Samples of those batches.
    ///
    /// # Errors
    /// As [`LoaderBuilder::batches`].
    pub fn samples(&self) -> Result<u64> {
        Ok(self.count()?.1)
    }

    fn count(&self) -> Result<(u64, u64)> {
        let (share, samples) = self.settings.share(&self.inner.stream)?;
        Ok(share.count(samples.start, samples.end))
    }

    /// A switch that ends the loader from elsewhere.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.settings.stop = stop;
        self
    }

    /// Where others watch the loader; see [`Monitor`].
    #[must_use]
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.settings.monitor = Some(monitor);
        self
    }

    /// Loads the sessions and starts the threads.
    ///
    /// # Errors
    /// [`Kind::Argument`] for an impossible rank, batch or range, [`Kind::State`] for the state of
    /// another dataset, [`Kind::Limit`] if the memory does not suffice for one batch, and those of
    /// loading the model.
    pub fn build(self) -> Result<Loader> {
        let Self { inner, mut settings } = self;
        let Some(generated) = &inner.generated else {
            let workers = settings.sessions(1)?;
            return settings.start_reading(&inner.stream, workers);
        };
        settings.workers = settings.workers.or(generated.sessions());
        let workers = settings.sessions(generated.threads())?;
        settings.check(&inner.stream, workers)?;
        // Sessions load side by side: it is most of the time to the first batch.
        let sessions = thread::scope(|scope| {
            let load = || scope.spawn(|| generated.generator());
            let loading: Vec<_> = (0..workers).map(|_| load()).collect();
            let joined = loading.into_iter().map(|thread| match thread.join() {
                Ok(generator) => generator,
                Err(_) => Err(Error::new(Kind::Worker, "loading a session panicked")),
            });
            joined.collect::<Result<Vec<Generator>>>()
        })?;
        let boxed = |generator| Box::new(generator) as Box<dyn MakeRows>;
        settings.start(&inner.stream, sessions.into_iter().map(boxed).collect())
    }
}

impl Dataset {
    /// A loader over the whole dataset, to be set up.
    #[must_use]
    pub fn loader(&self) -> LoaderBuilder {
        LoaderBuilder { inner: self.inner(), settings: Settings::default() }
    }
}
