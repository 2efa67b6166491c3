//! Streams for Python.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use genset::load::{Batch as Delivered, LoaderBuilder, State, Stop};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::batch::Batch;
use crate::dataset::Dataset;
use crate::error::Raise;
use crate::per_process::PerProcess;
use crate::signals::Signals;

/// What changes nothing of what is delivered, and which part of it is.
#[derive(Debug, Clone, FromPyObject)]
pub(crate) struct LoaderSettings {
    batch: usize,
    workers: Option<usize>,
    prefetch: usize,
    memory: u64,
    view_threads: usize,
    rank: Option<(u64, u64)>,
    part: (u64, u64),
    range: Option<(u64, u64)>,
    shuffle: Option<u64>,
    drop_last: bool,
    latents: bool,
    zero_copy: bool,
}

/// Batches in order, pass after pass: what `genset.Loader` is made of.
///
/// Where it is, is known apart from what runs, so that a forked child, or whoever goes on after an error,
/// begins there with threads of its own.
#[pyclass(frozen, module = "genset._genset", name = "Loader")]
#[derive(Debug)]
pub(crate) struct Loader {
    dataset: Py<Dataset>,
    settings: LoaderSettings,
    /// Of what it delivers, and in which order.
    digest: String,
    /// The first sample of a pass.
    first: u64,
    /// Whether a pass has an end.
    finite: bool,
    position: Position,
    running: PerProcess<Running>,
}

/// Where a loader is. Atomic numbers, not a lock, for the sake of forked children; one thread at a time
/// has the stream, and changes them.
#[derive(Debug)]
struct Position {
    /// The pass, and the sample of it, that come next.
    epoch: AtomicU64,
    next: AtomicU64,
    /// The last batch of a pass was delivered, and that there is no other has not yet been said.
    over: AtomicBool,
    /// It was put here: the next pass is what is left from here on.
    placed: AtomicBool,
}

/// What runs in this process.
#[derive(Debug, Default)]
struct Running {
    stream: Mutex<Option<Stream>>,
    /// Ends a wait from another thread.
    stop: Mutex<Option<Stop>>,
    signals: Signals,
}

#[derive(Debug)]
struct Stream {
    loader: genset::Loader,
    /// The first batch of the next pass: where the last ones of a pass were left out, only by it the
    /// end of the pass is known.
    ahead: Option<(Delivered, State)>,
}

impl Position {
    fn get(&self) -> (u64, u64) {
        (self.epoch.load(Ordering::Acquire), self.next.load(Ordering::Acquire))
    }

    fn go_to(&self, epoch: u64, next: u64) {
        self.epoch.store(epoch, Ordering::Release);
        self.next.store(next, Ordering::Release);
    }

    fn place(&self, epoch: u64, next: u64) {
        self.go_to(epoch, next);
        self.over.store(false, Ordering::Release);
        self.placed.store(true, Ordering::Release);
    }
}

impl LoaderSettings {
    fn set_up(&self, mut builder: LoaderBuilder) -> LoaderBuilder {
        builder = builder
            .batch(self.batch)
            .prefetch(self.prefetch)
            .memory(self.memory)
            .view_threads(self.view_threads)
            .shuffle(self.shuffle)
            .drop_last(self.drop_last)
            .latents(self.latents)
            .zero_copy(self.zero_copy)
            .epochs(None);
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        of_part(builder, self.rank, self.part, self.range)
    }
}

/// The samples of a pass, and the rank and the part of it that are delivered.
pub(crate) fn of_part(
    builder: LoaderBuilder,
    rank: Option<(u64, u64)>,
    (part, parts): (u64, u64),
    range: Option<(u64, u64)>,
) -> LoaderBuilder {
    let mut builder = builder.part(part, parts);
    if let Some((rank, world)) = rank {
        builder = builder.rank(rank, world);
    }
    match range {
        Some((start, end)) => builder.range(start..end),
        None => builder,
    }
}

impl Loader {
    pub(crate) fn new(
        py: Python<'_>,
        dataset: Py<Dataset>,
        settings: LoaderSettings,
    ) -> PyResult<Self> {
        let opened = dataset.get().opened().raise(py)?;
        let state = settings.set_up(opened.loader()).state();
        let finite = opened.len().is_some() || settings.range.is_some();
        let position = Position {
            epoch: AtomicU64::new(state.epoch),
            next: AtomicU64::new(state.next),
            over: AtomicBool::new(false),
            placed: AtomicBool::new(true),
        };
        let running = PerProcess::new(Running::default());
        let State { digest, next: first, .. } = state;
        let loader = Self { dataset, settings, digest, first, finite, position, running };
        // What makes no sense is an error here, not at the first batch.
        let running = loader.running();
        let started = py.detach(|| loader.start(running, loader.place()));
        *lock(&running.stream) = Some(started.raise(py)?);
        Ok(loader)
    }

    fn running(&self) -> &Running {
        let made = self.running.get_or_make(|| Ok::<_, Infallible>(Running::default()));
        made.unwrap_or_else(|never| match never {})
    }

    /// Where it is.
    fn place(&self) -> State {
        let (epoch, next) = self.position.get();
        State { digest: self.digest.clone(), epoch, next }
    }

    /// Starts the threads at `state`.
    fn start(&self, running: &Running, state: State) -> genset::Result<Stream> {
        let stop = running.signals.stop();
        *lock(&running.stop) = Some(stop.clone());
        let builder = self.settings.set_up(self.dataset.get().opened()?.loader());
        Ok(Stream { loader: builder.resume(state).stop(stop).build()?, ahead: None })
    }

    /// The next batch of the pass that it is in; `None` after the last, from where the next pass begins.
    fn fetch(&self, running: &Running) -> genset::Result<Option<Delivered>> {
        let mut slot = lock(&running.stream);
        if self.position.over.swap(false, Ordering::AcqRel) {
            return Ok(None);
        }
        let mut stream = match slot.take() {
            Some(stream) => stream,
            None => self.start(running, self.place())?,
        };
        let fetched = match stream.ahead.take() {
            Some(ahead) => Some(ahead),
            // After an error its threads have ended: it is dropped, and who goes on starts others.
            None => match stream.loader.next().transpose()? {
                Some(batch) => Some((batch, stream.loader.state())),
                None => None,
            },
        };
        let (epoch, _) = self.position.get();
        match fetched {
            Some((batch, state)) if batch.epoch() == epoch => {
                self.position.over.store(state.epoch != epoch, Ordering::Release);
                self.position.go_to(state.epoch, state.next);
                *slot = Some(stream);
                Ok(Some(batch))
            }
            Some(ahead) => {
                self.position.go_to(ahead.0.epoch(), self.first);
                stream.ahead = Some(ahead);
                *slot = Some(stream);
                Ok(None)
            }
            // No pass has anything for this rank.
            None => {
                self.position.go_to(epoch + 1, self.first);
                Ok(None)
            }
        }
    }

    /// Ends what runs, also while another thread waits for a batch.
    fn end(&self, running: &Running) {
        if let Some(stop) = &*lock(&running.stop) {
            stop.stop();
        }
        drop(lock(&running.stream).take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl Loader {
    /// Begins a pass: what is left of one that it was put into, or else the next whole one.
    fn begin(&self, py: Python<'_>) {
        let Position { over, placed, .. } = &self.position;
        let was_over = over.swap(false, Ordering::AcqRel);
        let (epoch, next) = self.position.get();
        if placed.swap(false, Ordering::AcqRel) || was_over || next == self.first || !self.finite {
            return;
        }
        // The last one was broken off.
        let running = self.running();
        py.detach(|| self.end(running));
        self.position.go_to(epoch + 1, self.first);
    }

    /// The next batch of the pass; `None` after the last, and when it is closed meanwhile.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let running = self.running();
        match py.detach(|| self.fetch(running)) {
            Ok(Some(batch)) => Batch::new(py, batch).map(Some),
            Ok(None) => Ok(None),
            Err(error) => running.signals.raised(py, &error).map_or(Ok(None), Err),
        }
    }

    /// Where it is: the dataset's digest, the pass, and the sample that comes next.
    fn state(&self) -> (String, u64, u64) {
        let State { digest, epoch, next } = self.place();
        (digest, epoch, next)
    }

    /// Goes on where another loader was.
    fn resume(&self, py: Python<'_>, digest: String, epoch: u64, next: u64) -> PyResult<()> {
        let running = self.running();
        let state = State { digest, epoch, next };
        py.detach(|| {
            self.end(running);
            let stream = self.start(running, state)?;
            self.position.place(epoch, next);
            *lock(&running.stream) = Some(stream);
            Ok(())
        })
        .raise(py)
    }

    /// Goes to the beginning of a pass. What is there already goes on running.
    fn set_epoch(&self, py: Python<'_>, epoch: u64) {
        if self.position.get() != (epoch, self.first) {
            let running = self.running();
            py.detach(|| self.end(running));
        }
        self.position.place(epoch, self.first);
    }

    /// Ends its threads. It goes on where it was when it is asked for a batch.
    fn close(&self, py: Python<'_>) {
        // What another process runs is not ours to end.
        if let Some(running) = self.running.get() {
            py.detach(|| self.end(running));
        }
    }

    /// What it has done since its threads were started; `None` if they are not.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let running = self.running();
        let statistics = py.detach(|| Some(lock(&running.stream).as_ref()?.loader.statistics()));
        let Some(statistics) = statistics else { return Ok(None) };
        let told = PyDict::new(py);
        told.set_item("samples", statistics.samples)?;
        told.set_item("images", statistics.images)?;
        told.set_item("seconds", statistics.elapsed.as_secs_f64())?;
        told.set_item("waited_seconds", statistics.consumer_waited.as_secs_f64())?;
        told.set_item("images_per_second", statistics.recent_images_per_second)?;
        told.set_item("limiting_stage", statistics.limiting_stage().name())?;
        told.set_item("workers", statistics.workers)?;
        Ok(Some(told))
    }
}
