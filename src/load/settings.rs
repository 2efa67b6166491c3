//! What a loader is told, checked against what is streamed, and the threads it starts.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use bytes::BytesMut;
use crossbeam::channel::bounded;

use super::counters::{Counters, Room};
use super::credits::Credits;
use super::loader::Loader;
use super::messages::Context;
use super::monitor::Monitor;
use super::planner::Planner;
use super::pool::Pool;
use super::replay::Replay;
use super::shares::{Passes, Share};
use super::state::{State, Stop};
use super::store::Caching;
use super::stream::Stream;
use super::views::ViewThreads;
use super::worker::{MakeRows, Worker};
use crate::error::{Error, Kind, Result};
use crate::process::cores;
use crate::recipe::Digest;

/// Memory for images under way, unless set otherwise: 512 MiB.
pub const DEFAULT_MEMORY: u64 = 512 << 20;
const DEFAULT_BATCH: usize = 256;
/// Samples under way are far fewer; what is more is a mistake, found before anything is allocated for
/// keeping track of them.
const MAX_WINDOW: u64 = 1 << 24;
const DEFAULT_PREFETCH: usize = 4;
/// Jobs that wait for a worker, for each worker.
pub(super) const JOBS_AHEAD: usize = 2;
/// Images under way that a processor's caches may still hold when they are taken: what its cores
/// share is used by others too, and by what the consumer does between two batches.
const CACHE_BYTES: u64 = 4 << 20;
/// What it takes, besides its images, to keep track of a batch or of a block under way: events,
/// pieces, the head of a buffer. Rather more than less.
const BOOKKEEPING: u64 = 1024;

/// See [`LoaderBuilder`](super::LoaderBuilder) for what each means.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub batch: usize,
    pub workers: Option<usize>,
    pub prefetch: usize,
    pub memory: u64,
    pub rank: Option<(u64, u64)>,
    pub part: (u64, u64),
    pub start: Option<u64>,
    pub end: Option<u64>,
    pub shuffle: Option<u64>,
    pub zero_copy: bool,
    pub epochs: Option<u64>,
    pub drop_last: bool,
    pub latents: bool,
    pub cache_folder: Option<PathBuf>,
    pub view_threads: usize,
    pub state: Option<State>,
    pub stop: Stop,
    pub monitor: Option<Monitor>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch: DEFAULT_BATCH,
            workers: None,
            prefetch: DEFAULT_PREFETCH,
            memory: DEFAULT_MEMORY,
            rank: None,
            part: (0, 1),
            start: None,
            end: None,
            shuffle: None,
            zero_copy: false,
            epochs: Some(1),
            drop_last: false,
            latents: false,
            cache_folder: None,
            view_threads: 0,
            state: None,
            stop: Stop::new(),
            monitor: None,
        }
    }
}

/// Settings that fit what is streamed.
#[derive(Debug)]
pub(super) struct Checked {
    pub passes: Passes,
    pub state: State,
    /// Samples that may be under way.
    pub window: u64,
    /// The batches that makes.
    pub prefetch: usize,
}

impl Settings {
    /// How many sessions are wanted, for `threads` inside a call of each.
    pub fn sessions(&self, threads: usize) -> Result<usize> {
        match self.workers {
            Some(0) => Err(Error::new(Kind::Argument, "a loader needs at least one worker")),
            Some(n @ 1..=1024) => Ok(n),
            Some(n) => Err(Error::new(Kind::Argument, format!("{n} workers are too many"))
                .help("each is a session with its own memory; start with one a core")),
            None => Ok((cores() / threads.max(1)).max(1)),
        }
    }

    /// Of what is delivered and, if that is shuffled, its order.
    fn digest(&self, stream: &Stream) -> Digest {
        match self.shuffle {
            Some(seed) => shuffled(stream.digest, seed),
            None => stream.digest,
        }
    }

    /// Where the loader begins.
    pub fn beginning(&self, stream: &Stream) -> State {
        self.state.clone().unwrap_or_else(|| State {
            digest: self.digest(stream).to_string(),
            epoch: 0,
            next: self.start.unwrap_or(stream.start),
        })
    }

    /// Which of the samples this rank has, and the samples of a pass.
    pub fn share(&self, stream: &Stream) -> Result<(Share, Range<u64>)> {
        let (rank, world) = match self.rank {
            Some(rank) => rank,
            None => rank_from_environment()?,
        };
        let (part, parts) = self.part;
        let share =
            Share::new(rank, world, self.batch as u64, self.drop_last)?.lane(part, parts)?;
        let start = self.start.unwrap_or(stream.start);
        let end = self.end.unwrap_or(stream.end);
        if end > stream.end || start > end || start < stream.start {
            let (first, all) = (stream.start, stream.end);
            let has = match first {
                0 => format!("{all}"),
                _ => format!("{first}..{all}"),
            };
            return Err(Error::new(
                Kind::Argument,
                format!("samples {start}..{end} are not in the dataset, which has {has}"),
            ));
        }
        Ok((share, start..end))
    }

    /// Finds out whether these settings make sense, before anything is loaded or allocated.
    pub fn check(&self, stream: &Stream, workers: usize) -> Result<Checked> {
        let (share, Range { start, end }) = self.share(stream)?;
        if !stream.is_stored() && (self.shuffle.is_some() || self.zero_copy) {
            let what = if self.zero_copy { "delivered without a copy" } else { "shuffled" };
            return Err(Error::new(Kind::Argument, format!("generated samples cannot be {what}"))
                .help(
                    "their order is random already, and they are made where they are delivered",
                ));
        }
        if let Some(state) = &self.state {
            state.check(self.digest(stream), &(start..end))?;
        }
        if self.view_threads > 1024 {
            let message = format!("{} view threads are too many", self.view_threads);
            return Err(
                Error::new(Kind::Argument, message).help("start with the cores that are free")
            );
        }
        let (window, prefetch) = self.window(stream, workers)?;
        if window > MAX_WINDOW {
            let message = format!("{window} samples under way at once are too many");
            return Err(
                Error::new(Kind::Limit, message).help("set a smaller batch, or less memory")
            );
        }
        Ok(Checked {
            passes: Passes { share, samples: start..end, epochs: self.epochs },
            state: self.beginning(stream),
            window,
            prefetch,
        })
    }

    /// Starts the threads around sessions, or around stand-ins for them.
    pub fn start(self, stream: &Arc<Stream>, makers: Vec<Box<dyn MakeRows>>) -> Result<Loader> {
        self.start_with(stream, makers.into_iter().map(Some).collect())
    }

    /// The same for a stream that has no generator.
    pub fn start_reading(self, stream: &Arc<Stream>, workers: usize) -> Result<Loader> {
        self.start_with(stream, (0..workers).map(|_| None).collect())
    }

    fn start_with(
        self,
        stream: &Arc<Stream>,
        makers: Vec<Option<Box<dyn MakeRows>>>,
    ) -> Result<Loader> {
        let workers = makers.len();
        let checked = self.check(stream, workers)?;
        let window = checked.window;
        let replay = match &stream.keep {
            Some(keep) => Some(Arc::new(Replay::new(keep.clone(), self.cache_folder.as_deref())?)),
            None => None,
        };
        let caching = match window.saturating_mul(stream.sample_bytes() as u64) {
            ..=CACHE_BYTES => Caching::Within,
            _ => Caching::Past,
        };
        let whole = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let batches = whole(window / self.batch as u64 + 2);
        let blocks = whole(window / u64::from(stream.block) + 2);
        // Room for every event of a window of full batches, so that workers do not wait for the
        // consumer to look: a batch opens once, every piece begins a batch or a block, a worker
        // fails once, the end comes once.
        let room = Room {
            events: 2 * batches + blocks + workers + 1,
            jobs: JOBS_AHEAD * workers,
            window,
            batch: self.batch,
        };
        let (event_sender, events) = bounded(room.events);
        let (job_sender, jobs) = bounded(room.jobs);
        let (used_sender, used) = bounded((JOBS_AHEAD + 2) * workers);

        let context = Arc::new(Context {
            stream: Arc::clone(stream),
            want_latents: self.latents,
            stop: Stop::new(),
            credits: Credits::default(),
            shuffle: self.shuffle,
            zero_copy: self.zero_copy,
            counters: Arc::new(Counters::new(workers, room, replay.clone())),
            replay,
        });
        if let Some(monitor) = &self.monitor {
            monitor.show(&context.counters);
        }
        let (batch, block, view_threads) = (self.batch, stream.block, self.view_threads);
        tracing::info!(workers, view_threads, batch, block, window, "a loader starts");

        let view_threads = ViewThreads::start(view_threads)?.map(Arc::new);
        let worker = |number, maker| Worker {
            number,
            context: Arc::clone(&context),
            maker,
            hand: stream.stored.as_ref().map(|stored| stored.hand(caching)),
            jobs: jobs.clone(),
            used: used_sender.clone(),
            view_threads: view_threads.clone(),
            scratch: BytesMut::new(),
        };
        let mut threads = Vec::with_capacity(workers + 1);
        for (number, maker) in makers.into_iter().enumerate() {
            let (worker, events) = (worker(number, maker), event_sender.clone());
            threads.push(spawn(format!("genset-worker-{number}"), move || worker.run(&events))?);
        }
        // Copying takes no longer than to hand it to another thread and wait.
        let copies = stream.stored.as_ref().is_some_and(|stored| stored.copies);
        let helper = copies.then(|| worker(workers, None));
        let planner = Planner {
            context: Arc::clone(&context),
            passes: checked.passes.clone(),
            state: checked.state.clone(),
            window,
            pools: stream
                .groups
                .iter()
                .map(|group| Pool::new(self.batch * group.format.sample_bytes(), batches))
                .collect(),
            jobs: job_sender,
            events: event_sender,
            used,
        };
        threads.push(spawn("genset-planner".into(), move || planner.run())?);
        Ok(Loader::new(context, self.stop, events, threads, helper, checked))
    }

    /// Samples that may be under way, and the batches that makes.
    fn window(&self, stream: &Stream, workers: usize) -> Result<(u64, usize)> {
        let (batch, block) = (self.batch as u64, u64::from(stream.block));
        let (sample, workers) = (stream.sample_bytes() as u64, workers as u64);
        let each = sample + BOOKKEEPING.div_ceil(batch) + BOOKKEEPING.div_ceil(block);
        // Inputs wait for every worker, are with every worker, are bound to every session, and
        // one is being drawn.
        let inputs = (JOBS_AHEAD as u64 + 2) * workers + 1;
        // Echoes wait for every worker, are with every worker, and one is being planned; every
        // worker takes a block to be kept, or reads one from the file.
        let echoes = inputs + workers;
        let sessions = inputs
            .saturating_mul(stream.input_bytes)
            .saturating_add(workers.saturating_mul(stream.output_bytes))
            .saturating_add(
                echoes.saturating_mul(stream.keep.as_ref().map_or(0, |k| k.bytes as u64)),
            );
        let bytes = |window: u64| (window + batch).saturating_mul(each).saturating_add(sessions);

        let least = batch.max(block) + block;
        let wanted = (self.prefetch.max(1) as u64).saturating_mul(batch);
        let busy = 2 * workers * block;
        let allowed = self.memory.saturating_sub(bytes(0)) / each;
        let window = wanted.max(busy).saturating_add(block).min(allowed);
        if window < least {
            return Err(Error::new(
                Kind::Limit,
                format!(
                    "{} MiB do not suffice for batches of {batch} samples of {sample} bytes: \
                     {} MiB are the least",
                    self.memory >> 20,
                    bytes(least).div_ceil(1 << 20)
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

/// The identity of a dataset in an order of its own: a state of one is no state of the other.
fn shuffled(digest: Digest, seed: u64) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("genset shuffled dataset v1");
    hasher.update(&digest.0).update(&seed.to_le_bytes());
    Digest(*hasher.finalize().as_bytes())
}

/// Rank and world size as torchrun sets them; without them, everything.
pub(crate) fn rank_from_environment() -> Result<(u64, u64)> {
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
