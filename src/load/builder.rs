//! How a loader is set up, and the memory it may use.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam::channel::bounded;

use super::dataset::{Dataset, Inner};
use super::loader::{InOrder, Loader};
use super::planner::{Context, Planner};
use super::pool::Pool;
use super::shares::Share;
use super::state::{State, Stop};
use super::statistics::Counters;
use super::worker::{MakeRows, Worker};
use crate::error::{Error, Kind, Result};
use crate::generate::Generator;

/// Memory for images under way, unless set otherwise: 512 MiB.
pub const DEFAULT_MEMORY: u64 = 512 << 20;
const DEFAULT_BATCH: usize = 256;
const DEFAULT_PREFETCH: usize = 4;
/// Jobs that wait for a worker, for each worker.
const JOBS_AHEAD: usize = 2;

/// Sets up a [`Loader`]. Nothing here changes the bytes that are delivered.
#[derive(Debug, Clone)]
pub struct LoaderBuilder {
    inner: Arc<Inner>,
    batch: usize,
    workers: Option<usize>,
    prefetch: usize,
    memory: u64,
    rank: Option<(u64, u64)>,
    start: u64,
    end: Option<u64>,
    epochs: Option<u64>,
    drop_last: bool,
    latents: bool,
    state: Option<State>,
    stop: Stop,
}

impl LoaderBuilder {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            batch: DEFAULT_BATCH,
            workers: None,
            prefetch: DEFAULT_PREFETCH,
            memory: DEFAULT_MEMORY,
            rank: None,
            start: 0,
            end: None,
            epochs: Some(1),
            drop_last: false,
            latents: false,
            state: None,
            stop: Stop::new(),
        }
    }

    /// Samples a batch. Default 256.
    #[must_use]
    pub fn batch(mut self, samples: usize) -> Self {
        self.batch = samples;
        self
    }

    /// Generator sessions, each on a thread of its own. Default: the cores there are, divided by
    /// the threads inside one call ([`super::Options::threads`]).
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Batches made ahead of the consumer. Default 4; workers are kept busy also where this is
    /// less than a block, and [`LoaderBuilder::memory`] may allow fewer.
    #[must_use]
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.prefetch = batches;
        self
    }

    /// Bytes that batches under way and generator outputs may take together. Default
    /// [`DEFAULT_MEMORY`]. Weights and what ONNX Runtime uses inside a call come on top, as do
    /// batches that the consumer keeps.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Delivers this rank's part only. Default: from the environment variables `RANK` and
    /// `WORLD_SIZE`, as torchrun sets them, or else everything.
    #[must_use]
    pub fn rank(mut self, rank: u64, world_size: u64) -> Self {
        self.rank = Some((rank, world_size));
        self
    }

    /// The samples to deliver. Default: all of the dataset.
    #[must_use]
    pub fn range(mut self, samples: std::ops::Range<u64>) -> Self {
        (self.start, self.end) = (samples.start, Some(samples.end));
        self
    }

    /// Passes over a finite dataset; `None` is without end. Default 1. Every pass delivers the
    /// same samples in the same order: whoever wants new ones makes the dataset longer.
    #[must_use]
    pub fn epochs(mut self, epochs: impl Into<Option<u64>>) -> Self {
        self.epochs = epochs.into();
        self
    }

    /// Leaves out the last, shorter step, so that every batch of every rank is full. Default no.
    #[must_use]
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Delivers the latents of every view with the images. Default no.
    #[must_use]
    pub fn latents(mut self, latents: bool) -> Self {
        self.latents = latents;
        self
    }

    /// Goes on where another loader was, which may have had other settings.
    #[must_use]
    pub fn resume(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// A switch that ends the loader from elsewhere.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Loads the sessions and starts the threads.
    ///
    /// # Errors
    /// [`Kind::Argument`] for an impossible rank, batch or range, [`Kind::State`] for the state of
    /// another dataset, [`Kind::Limit`] if the memory does not suffice for one batch, and those of
    /// loading the model.
    pub fn build(self) -> Result<Loader> {
        let workers = self.sessions()?;
        // Sessions load side by side: it is most of the time to the first batch.
        let sessions = thread::scope(|scope| {
            let load = || scope.spawn(|| self.inner.generator());
            let loading: Vec<_> = (0..workers).map(|_| load()).collect();
            let joined = loading.into_iter().map(|thread| match thread.join() {
                Ok(generator) => generator,
                Err(_) => Err(Error::new(Kind::Worker, "loading a session panicked")),
            });
            joined.collect::<Result<Vec<Generator>>>()
        })?;
        let boxed = |generator| Box::new(generator) as Box<dyn MakeRows>;
        self.start_with(sessions.into_iter().map(boxed).collect())
    }

    fn sessions(&self) -> Result<usize> {
        match self.workers {
            Some(0) => Err(Error::new(Kind::Argument, "a loader needs at least one worker")),
            Some(n @ 1..=1024) => Ok(n),
            Some(n) => Err(Error::new(Kind::Argument, format!("{n} workers are too many"))
                .help("each is a session with its own memory; start with one a core")),
            None => Ok((cores() / self.inner.options.threads.max(1)).max(1)),
        }
    }

    /// Starts the threads around sessions, or around stand-ins for them.
    pub(super) fn start_with(self, makers: Vec<Box<dyn MakeRows>>) -> Result<Loader> {
        let inner = &self.inner;
        let (rank, world) = match self.rank {
            Some(rank) => rank,
            None => rank_from_environment()?,
        };
        let share = Share::new(rank, world, self.batch as u64, self.drop_last)?;
        let end = self.end.unwrap_or_else(|| inner.recipe.samples.end());
        if end > inner.recipe.samples.end() || self.start > end {
            return Err(Error::new(
                Kind::Argument,
                format!(
                    "samples {}..{end} are not in the dataset, which has {}",
                    self.start,
                    inner.recipe.samples.end()
                ),
            ));
        }
        if let Some(state) = &self.state {
            state.check(inner.digest)?;
        }
        let state = self.state.clone().unwrap_or_else(|| State {
            digest: inner.digest.to_string(),
            epoch: 0,
            next: self.start,
        });
        let workers = makers.len();
        let (window, prefetch) = self.window(workers)?;

        let context = Arc::new(Context {
            sampler: inner.sampler.clone(),
            format: inner.format,
            block: inner.recipe.generator.block,
            want_latents: self.latents,
            stop: Stop::new(),
            counters: Counters::default(),
        });
        let batch = self.batch as u64;
        let batches = usize::try_from(window / batch + 2).unwrap_or(usize::MAX);
        let blocks = usize::try_from(window / u64::from(context.block) + 2).unwrap_or(usize::MAX);
        // Room for every event that a window can give, so that workers never wait for the
        // consumer to look.
        let (event_sender, events) = bounded(3 * batches + blocks + workers);
        let (job_sender, jobs) = bounded(JOBS_AHEAD * workers);
        let (credit_sender, credits) = bounded(batches);
        let (used_sender, used) = bounded((JOBS_AHEAD + 2) * workers);

        let mut threads = Vec::with_capacity(workers + 1);
        for (number, maker) in makers.into_iter().enumerate() {
            let worker = Worker {
                context: Arc::clone(&context),
                delivery: Arc::clone(&inner.delivery),
                maker,
                jobs: jobs.clone(),
                events: event_sender.clone(),
                used: used_sender.clone(),
            };
            threads.push(spawn(format!("genset-worker-{number}"), move || worker.run())?);
        }
        let planner = Planner {
            context: Arc::clone(&context),
            share,
            epoch: state.epoch,
            next: state.next,
            end,
            last_epoch: self.epochs,
            window,
            pool: Pool::new(self.batch * inner.format.sample_bytes(), prefetch + 2),
            credits,
            jobs: job_sender,
            events: event_sender,
            used,
        };
        threads.push(spawn("genset-planner".into(), move || planner.run())?);
        Ok(Loader {
            context,
            digest: inner.digest,
            user_stop: self.stop,
            channels: Some((events, credit_sender)),
            threads,
            in_order: InOrder::default(),
            state,
            epochs: self.epochs,
            end,
            workers,
            prefetch,
            consumer_waited: Duration::ZERO,
            delivered: (0, 0),
        })
    }

    /// Samples that may be under way, and the batches that makes.
    fn window(&self, workers: usize) -> Result<(u64, usize)> {
        let inner = &self.inner;
        let (batch, block) = (self.batch as u64, u64::from(inner.recipe.generator.block));
        let sample = inner.format.sample_bytes() as u64;
        let contract = &inner.contract;
        let rows = contract.batch.rows_a_call(inner.rows()) as u64;
        let element = contract.element.size_of().unwrap_or(1) as u64;
        let outputs = workers as u64 * rows * contract.image.len() as u64 * element;
        let bytes = |window: u64| (window + batch).saturating_mul(sample).saturating_add(outputs);

        let least = batch.max(block) + block;
        let wanted = (self.prefetch.max(1) as u64).saturating_mul(batch);
        let busy = 2 * workers as u64 * block;
        let allowed = self.memory.saturating_sub(bytes(0)) / sample.max(1);
        let window = (wanted.max(busy) + block).min(allowed);
        if window < least {
            return Err(Error::new(
                Kind::Limit,
                format!(
                    "{} MiB do not suffice for batches of {batch} samples of {sample} bytes: \
                     {} MiB are the least",
                    self.memory >> 20,
                    (bytes(least) >> 20) + 1
                ),
            )
            .help("allow more memory, or make batch, workers or generator.block smaller"));
        }
        let batches = usize::try_from((window - block) / batch).unwrap_or(usize::MAX);
        Ok((window, batches.max(1)))
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name(name)
        .spawn(run)
        .map_err(|e| Error::new(Kind::Worker, format!("cannot start a thread: {e}")).because(e))
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn rank_from_environment() -> Result<(u64, u64)> {
    let read = |name: &str| match std::env::var(name) {
        Ok(text) => text.parse::<u64>().map(Some).map_err(|_| {
            Error::new(Kind::Argument, format!("environment variable {name} is \"{text}\""))
                .help("torchrun sets it to a whole number; unset it to deliver everything")
        }),
        Err(_) => Ok(None),
    };
    match (read("RANK")?, read("WORLD_SIZE")?) {
        (Some(rank), Some(world)) => Ok((rank, world)),
        (None, None | Some(1)) => Ok((0, 1)),
        (Some(0), None) => Ok((0, 1)),
        (rank, _) => {
            let (set, unset) =
                if rank.is_some() { ("RANK", "WORLD_SIZE") } else { ("WORLD_SIZE", "RANK") };
            Err(Error::new(
                Kind::Argument,
                format!("{set} is set in the environment, {unset} is not"),
            )
            .help("set both, or give rank and world size as arguments"))
        }
    }
}

impl Dataset {
    /// A loader over the whole dataset, to be set up.
    #[must_use]
    pub fn loader(&self) -> LoaderBuilder {
        LoaderBuilder::new(self.inner())
    }
}
