//! Loaders: streams of batches, which stop and resume.

use std::ffi::{CStr, c_char};
use std::sync::{Mutex, MutexGuard};

use genset::Kind;
use genset::load::{DEFAULT_MEMORY, LoaderBuilder, Stop};

use crate::arguments::{Place, reference};
use crate::batch::Batch;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::guard;
use crate::status::Status;

/// A stream of batches, made ahead by threads.
#[derive(Debug)]
pub struct Loader {
    /// Outside of the lock, which a thread that waits for a batch holds.
    stop: Stop,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    loader: genset::Loader,
    /// What ended it. It is told again to whoever asks again, so that the end means that all was
    /// delivered.
    failed: Option<Error>,
}

/// How a loader works, none of which changes a byte, and which part of the dataset it delivers. Begin
/// with `genset_loader_settings_default`.
#[repr(C)]
#[derive(Debug)]
pub struct LoaderSettings {
    /// Samples a batch. Default 256.
    pub batch: usize,
    /// Generator sessions, each on a thread of its own. Default 0: as measured by `genset tune`, or
    /// else one for each core.
    pub workers: usize,
    /// Batches made ahead of the consumer. Default 4.
    pub prefetch: usize,
    /// Bytes that batches under way may take together. Default 512 MiB.
    pub memory: u64,
    /// Threads that share the making of views. Default 0: the workers make them.
    pub view_threads: usize,
    /// Whether `rank` and `world_size` are given. Default false: they are in the environment
    /// variables RANK and WORLD_SIZE, or everything is delivered.
    pub has_rank: bool,
    /// Which part is delivered, from 0.
    pub rank: u64,
    /// Of how many.
    pub world_size: u64,
    /// Whether `start` and `end` are given. Default false: all samples.
    pub has_range: bool,
    /// The first sample of a pass.
    pub start: u64,
    /// The sample after its last.
    pub end: u64,
    /// Whether samples come in an order that is drawn anew for each pass; for stored samples alone.
    /// Default false.
    pub shuffle: bool,
    /// What the order is drawn from.
    pub shuffle_seed: u64,
    /// Whether the last, shorter step is left out. Default false.
    pub drop_last: bool,
    /// Whether latents come with the images. Default false.
    pub latents: bool,
    /// Whether stored samples are given as they lie in a memory map, where they can. Default false.
    pub zero_copy: bool,
    /// Passes over the samples, or `GENSET_ENDLESS`. Default 1.
    pub epochs: u64,
}

/// Where a loader is: everything that is needed to go on. Batch, workers, ranks and machine may be
/// others then.
#[repr(C)]
#[derive(Debug)]
pub struct State {
    /// The dataset: 64 hexadecimal digits, and a NUL.
    pub digest: [c_char; 65],
    /// Passes that are complete.
    pub epoch: u64,
    /// All samples of this pass before this one have been delivered, over all ranks.
    pub next: u64,
}

/// What is meant where no settings are given.
#[unsafe(no_mangle)]
pub extern "C" fn genset_loader_settings_default() -> LoaderSettings {
    LoaderSettings {
        batch: 256,
        workers: 0,
        prefetch: 4,
        memory: DEFAULT_MEMORY,
        view_threads: 0,
        has_rank: false,
        rank: 0,
        world_size: 1,
        has_range: false,
        start: 0,
        end: 0,
        shuffle: false,
        shuffle_seed: 0,
        drop_last: false,
        latents: false,
        zero_copy: false,
        epochs: 1,
    }
}

impl LoaderSettings {
    fn set_up(&self, mut builder: LoaderBuilder) -> LoaderBuilder {
        builder = builder
            .batch(self.batch)
            .prefetch(self.prefetch)
            .memory(self.memory)
            .view_threads(self.view_threads)
            .shuffle(self.shuffle.then_some(self.shuffle_seed))
            .drop_last(self.drop_last)
            .latents(self.latents)
            .zero_copy(self.zero_copy)
            .epochs((self.epochs != u64::MAX).then_some(self.epochs));
        if self.workers != 0 {
            builder = builder.workers(self.workers);
        }
        if self.has_rank {
            builder = builder.rank(self.rank, self.world_size);
        }
        if self.has_range {
            builder = builder.range(self.start..self.end);
        }
        builder
    }
}

impl State {
    fn of(state: &genset::load::State) -> Self {
        let mut digest = [0; 65];
        for (to, from) in digest.iter_mut().zip(state.digest.bytes().take(64)) {
            *to = from as c_char;
        }
        Self { digest, epoch: state.epoch, next: state.next }
    }

    fn read(&self) -> genset::Result<genset::load::State> {
        let bytes = self.digest.map(|byte| byte as u8);
        let digest = CStr::from_bytes_until_nul(&bytes).ok().and_then(|text| text.to_str().ok());
        let digest = digest.ok_or_else(|| {
            genset::Error::new(Kind::State, "the digest of the saved state is no text")
        })?;
        Ok(genset::load::State { digest: digest.to_owned(), epoch: self.epoch, next: self.next })
    }
}

impl Loader {
    fn running(&self) -> genset::Result<MutexGuard<'_, Running>> {
        self.running.lock().map_err(|_| {
            genset::Error::new(Kind::Worker, "an earlier call panicked")
                .help("go on with another loader, where this one was when it last told")
        })
    }
}

impl Running {
    fn next(&mut self) -> Result<Option<genset::Batch>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.loader.next().transpose().map_err(|error| {
            let error = Error::from(error);
            self.failed = Some(error.clone());
            error
        })
    }
}

/// Loads the sessions and starts the threads of a loader. `settings` may be NULL, and so may `resume`:
/// it then begins at the beginning, and otherwise goes on where another loader was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_loader_new(
    dataset: *const Dataset,
    settings: *const LoaderSettings,
    resume: *const State,
    loader: *mut *mut Loader,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a place for a handle.
        let place = unsafe { Place::of_handle(loader, "loader") }?;
        // SAFETY: the caller gives a handle that is not freed yet, and NULL or what is filled in.
        let (dataset, settings, resume) =
            unsafe { (reference(dataset, "dataset")?, settings.as_ref(), resume.as_ref()) };
        let usual = genset_loader_settings_default();
        let mut builder = settings.unwrap_or(&usual).set_up(dataset.opened.loader());
        if let Some(state) = resume {
            builder = builder.resume(state.read()?);
        }
        let stop = Stop::new();
        let running = Running { loader: builder.stop(stop.clone()).build()?, failed: None };
        place.put_handle(Loader { stop, running: Mutex::new(running) });
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// The next batch; `GENSET_STATUS_END` after the last. After a failure it is the same failure again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_loader_next(
    loader: *mut Loader,
    batch: *mut *mut Batch,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a place for a handle.
        let place = unsafe { Place::of_handle(batch, "batch") }?;
        // SAFETY: the caller gives a handle that is not freed yet.
        let loader = unsafe { reference(loader, "loader") }?;
        let Some(next) = loader.running()?.next()? else { return Ok(Status::End) };
        place.put_handle(Batch::new(next));
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// Where it is. Counts batches that were handed out, not what was made ahead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_loader_state(
    loader: *const Loader,
    state: *mut State,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a handle that is not freed yet, and a place for the answer.
        let (loader, place) =
            unsafe { (reference(loader, "loader")?, Place::new(state, "state")?) };
        place.put(State::of(&loader.running()?.loader.state()));
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// How many samples were left out so far, as they could not be read and the recipe says
/// `on-bad = "skip"`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_loader_skipped(
    loader: *const Loader,
    skipped: *mut u64,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a handle that is not freed yet, and a place for the answer.
        let (loader, place) =
            unsafe { (reference(loader, "loader")?, Place::new(skipped, "skipped")?) };
        place.put(loader.running()?.loader.skipped().count);
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// Ends a loader, also while another thread waits for a batch: that gets
/// `GENSET_STATUS_INTERRUPTED`. Sets one atomic flag: may be called by any thread, and by a signal
/// handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_loader_stop(loader: *const Loader) {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    if let Some(loader) = unsafe { loader.as_ref() } {
        loader.stop.stop();
    }
}

/// Frees a loader, when its threads have ended: after one generator call at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_loader_free(loader: *mut Loader) {
    // SAFETY: the caller gives NULL or a handle that nobody will use any more.
    unsafe { guard::free(loader) };
}
