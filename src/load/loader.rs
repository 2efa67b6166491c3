//! The ordered hand-over: collects the parts of batches and gives them out in order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use crossbeam::channel::{Receiver, RecvTimeoutError};

use super::batch::{Batch, Images, Latents};
use super::messages::{Context, Event};
use super::pool::Returns;
use super::replay::Replay;
use super::shares::{Passes, Step};
use super::state::{State, Stop, interrupted};
use super::statistics::Statistics;
use crate::error::{Error, Kind, Result};
use crate::recipe::Digest;

/// How often a waiting consumer looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(50);

/// A batch that is being made.
#[derive(Debug)]
struct Pending {
    epoch: u64,
    step: Step,
    returns: Vec<Returns>,
    labels: Option<Vec<i64>>,
    latents: Option<Latents>,
    parts: Vec<Part>,
    missing: usize,
    /// The failure nearest to the batch's beginning, and where that is.
    error: Option<(usize, Error)>,
}

/// Consecutive samples of a batch; `bytes` for each group of views.
#[derive(Debug)]
struct Part {
    offset: usize,
    samples: usize,
    bytes: Vec<BytesMut>,
}

/// Batches in order. Ends after the last one, or after the first error.
///
/// Threads end when it is dropped.
pub struct Loader {
    context: Arc<Context>,
    /// The user's switch, which other loaders may share.
    user_stop: Stop,
    /// `None` once the loader has ended.
    events: Option<Receiver<Event>>,
    /// The planner and one for each worker.
    threads: Vec<JoinHandle<()>>,
    in_order: InOrder,
    passes: Passes,
    state: State,
    workers: usize,
    prefetch: usize,
    /// Whether the last batch was not ready when it was asked for.
    held_up: bool,
    begun: Instant,
    consumer_waited: Duration,
    /// Samples and images.
    delivered: (u64, u64),
    /// Samples that had not been delivered before.
    unique: u64,
}

/// The batches under way, oldest first.
#[derive(Debug, Default)]
struct InOrder {
    pending: VecDeque<Pending>,
    /// The sequence number of the oldest.
    first: u64,
    planned_all: bool,
}

impl InOrder {
    fn take(&mut self, event: Event) {
        match event {
            Event::Opened { epoch, step, returns, labels, latents } => {
                let missing = usize::try_from(step.range.end - step.range.start).unwrap_or(0);
                let parts = Vec::new();
                self.pending.push_back(Pending {
                    epoch,
                    step,
                    returns,
                    labels,
                    latents,
                    parts,
                    missing,
                    error: None,
                });
            }
            Event::Part { sequence, offset, samples, bytes } => {
                if let Some(pending) = self.get(sequence) {
                    pending.parts.push(Part { offset, samples, bytes });
                }
            }
            Event::Failed { sequence, offset, error } => {
                if let Some(pending) = self.get(sequence)
                    && pending.error.as_ref().is_none_or(|(nearest, _)| offset < *nearest)
                {
                    pending.error = Some((offset, error));
                }
            }
            Event::End => self.planned_all = true,
        }
    }

    fn get(&mut self, sequence: u64) -> Option<&mut Pending> {
        self.pending.get_mut(usize::try_from(sequence.checked_sub(self.first)?).ok()?)
    }

    /// The oldest batch, if it is complete, or has failed and is complete up to there: so the
    /// error is the same however the workers' timing falls.
    fn ready(&mut self) -> Option<Pending> {
        let oldest = self.pending.front()?;
        let wanted = oldest.error.as_ref().map_or(oldest.missing, |(offset, _)| *offset);
        let before = oldest.parts.iter().filter(|part| part.offset < wanted);
        let made: usize = before.map(|part| part.samples).sum();
        if made < wanted {
            return None;
        }
        self.first += 1;
        self.pending.pop_front()
    }
}

impl Loader {
    pub(super) fn new(
        context: Arc<Context>,
        user_stop: Stop,
        events: Receiver<Event>,
        threads: Vec<JoinHandle<()>>,
        passes: Passes,
        state: State,
        prefetch: usize,
    ) -> Self {
        Self {
            context,
            user_stop,
            events: Some(events),
            workers: threads.len() - 1,
            threads,
            in_order: InOrder::default(),
            passes,
            state,
            prefetch,
            held_up: false,
            begun: Instant::now(),
            consumer_waited: Duration::ZERO,
            delivered: (0, 0),
            unique: 0,
        }
    }

    /// Where this loader is. Counts batches that were handed out.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.clone()
    }

    /// The dataset's identity.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.context.stream.digest
    }

    /// Generator sessions at work.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Batches that may be under way, as asked for or as memory allows.
    #[must_use]
    pub fn prefetch(&self) -> usize {
        self.prefetch
    }

    /// Where the time has gone so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let counters = &self.context.counters;
        Statistics {
            elapsed: self.begun.elapsed(),
            latents: counters.latents.get(),
            planner_blocked: counters.planner_blocked.get(),
            generator: counters.generator.get(),
            views: counters.views.get(),
            workers_idle: counters.workers_idle.get(),
            consumer_waited: self.consumer_waited,
            samples: self.delivered.0,
            images: self.delivered.1,
            calls: counters.calls.load(Ordering::Relaxed),
            generated: counters.generated.load(Ordering::Relaxed),
            unique: self.unique,
            cache: self.context.replay.as_ref().map(Replay::statistics),
        }
    }

    /// Waits for the oldest batch under way; `None` after the last, and after an error.
    fn wait(&mut self) -> Option<Result<Pending>> {
        let events = self.events.as_ref()?;
        let begun = Instant::now();
        self.held_up = false;
        let result = loop {
            if self.user_stop.is_stopped() {
                break Some(Err(interrupted()));
            }
            if let Some(ready) = self.in_order.ready() {
                break Some(Ok(ready));
            }
            if self.in_order.planned_all && self.in_order.pending.is_empty() {
                break None;
            }
            self.held_up |= events.is_empty();
            match events.recv_timeout(LOOK) {
                Ok(event) => self.in_order.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "the loader's threads ended before the last batch";
                    break Some(Err(Error::new(Kind::Worker, message)));
                }
            }
        };
        self.consumer_waited += begun.elapsed();
        result
    }

    fn hand_out(&mut self, pending: Pending) -> Result<Batch> {
        let Pending { epoch, step, returns, labels, latents, mut parts, error, .. } = pending;
        if let Some((_, error)) = error {
            return Err(error);
        }
        parts.sort_unstable_by_key(|part| part.offset);
        let mut parts = parts.into_iter().map(|part| part.bytes);
        let mut buffers = parts.next().unwrap_or_default();
        for part in parts {
            for (bytes, part) in buffers.iter_mut().zip(part) {
                debug_assert_eq!(
                    bytes.as_ptr().wrapping_add(bytes.len()),
                    part.as_ptr(),
                    "no copy"
                );
                bytes.unsplit(part);
            }
        }
        let samples = step.range.end - step.range.start;
        (self.state.epoch, self.state.next) = self.passes.after(epoch, &step);
        let images = samples * self.context.stream.views() as u64;
        self.delivered = (self.delivered.0 + samples, self.delivered.1 + images);
        self.unique += self.context.stream.first_times(epoch, &step.range);
        let samples_here = usize::try_from(samples).unwrap_or(usize::MAX);
        let groups = buffers.into_iter().zip(&self.context.stream.groups).zip(returns);
        let images = groups.map(|((bytes, group), returns)| {
            Images::new(bytes, group, samples_here, Some(returns))
        });
        let images = images.collect();
        self.context.credits.give(samples);
        if self.held_up {
            self.context.credits.wake();
        }
        let echo = self.context.stream.echo;
        Ok(Batch { index: step.range, epoch, echo, images, labels, latents })
    }

    /// Counts the last step also where nothing of it was left for this rank, so that all ranks say
    /// the same.
    fn finish(&mut self) {
        if let Some(end) = self.passes.end()
            && (self.state.epoch, self.state.next) < end
        {
            (self.state.epoch, self.state.next) = end;
        }
    }

    /// Lets every thread go and waits for it: at most one generator call.
    fn shut_down(&mut self) {
        self.context.stop.stop();
        self.context.credits.close();
        self.events = None;
        for thread in self.threads.drain(..) {
            // A panic was caught and reported where it happened.
            let _ = thread.join();
        }
        self.in_order = InOrder::default();
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.wait().map(|pending| self.hand_out(pending?));
        if batch.is_none() && self.events.is_some() {
            self.finish();
        }
        if !matches!(batch, Some(Ok(_))) {
            self.shut_down();
        }
        batch
    }
}

impl std::iter::FusedIterator for Loader {}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("state", &self.state)
            .field("workers", &self.workers)
            .field("prefetch", &self.prefetch)
            .finish_non_exhaustive()
    }
}
