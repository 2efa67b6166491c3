//! The ordered hand-over: collects the parts of batches and gives them out in order.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use tracing::field::Empty;

use super::batch::{Batch, Images, Indices, Memory};
use super::counters::Counters;
use super::memory::joined;
use super::messages::{Context, Event, Known};
use super::monitor::Monitor;
use super::pool::Returns;
use super::settings::Checked;
use super::shares::{Passes, Step};
use super::state::{State, Stop, interrupted};
use super::statistics::Statistics;
use super::worker::Worker;
use crate::error::{Error, Kind, Result};
use crate::recipe::Digest;

/// How often a waiting consumer looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The part of a window that is given back before the planner is woken: of many small batches, it is
/// not woken for each. Until then the rest is under way, and its own naps are short.
const REFILL: u64 = 4;

/// A batch that is being made.
#[derive(Debug)]
struct Pending {
    epoch: u64,
    step: Step,
    returns: Vec<Returns>,
    index: Indices,
    known: Known,
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
    skipped: Vec<(u64, Error)>,
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
    /// What makes jobs on the consumer's thread while that would wait, if anything does.
    helper: Option<Worker>,
    in_order: InOrder,
    passes: Passes,
    state: State,
    workers: usize,
    prefetch: usize,
    /// Whether the last batch was not ready when it was asked for.
    held_up: bool,
    /// Samples that were given back since the planner was last woken.
    owed: u64,
    /// So many are worth waking it.
    refill: u64,
    skipped: Skipped,
}

/// Samples that were left out because they could not be read.
#[derive(Debug, Default)]
pub struct Skipped {
    /// How many there were.
    pub count: u64,
    /// The errors of the first few, which name file and sample.
    pub first: Vec<Error>,
}

/// Samples left out that are remembered by name.
const MAX_NAMED: usize = 100;

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
            Event::Opened { epoch, step, returns, index, known } => {
                let missing = usize::try_from(step.range.end - step.range.start).unwrap_or(0);
                let parts = Vec::new();
                self.pending.push_back(Pending {
                    epoch,
                    step,
                    returns,
                    index,
                    known,
                    parts,
                    missing,
                    error: None,
                });
            }
            Event::Part { sequence, offset, samples, bytes, skipped } => {
                if let Some(pending) = self.get(sequence) {
                    pending.parts.push(Part { offset, samples, bytes, skipped });
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

    /// The batch `sequence`; `None` if it has failed already.
    fn get(&mut self, sequence: u64) -> Option<&mut Pending> {
        let place = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        debug_assert!(place < self.pending.len(), "a part of batch {sequence} before the batch");
        self.pending.get_mut(place)
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
        helper: Option<Worker>,
        Checked { passes, state, window, prefetch }: Checked,
    ) -> Self {
        Self {
            context,
            user_stop,
            events: Some(events),
            workers: threads.len() - 1,
            threads,
            helper,
            in_order: InOrder::default(),
            passes,
            state,
            prefetch,
            held_up: false,
            owed: 0,
            refill: window / REFILL,
            skipped: Skipped::default(),
        }
    }

    /// What was left out so far, where the recipe says `on-bad = "skip"`.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
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
        self.context.counters.statistics()
    }

    /// The same for other threads, while the loader runs and after it.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        let monitor = Monitor::new();
        monitor.show(&self.context.counters);
        monitor
    }

    /// Waits for the oldest batch under way; `None` after the last, and after an error.
    fn wait(&mut self) -> Option<Result<Pending>> {
        let events = self.events.as_ref()?;
        let counters = &self.context.counters;
        counters.consumer_asks(events.len());
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
            if events.is_empty() {
                self.held_up = true;
                match help(self.helper.as_mut(), events, &mut self.in_order, counters) {
                    Some(true) => continue,
                    Some(false) => self.helper = None,
                    None => {}
                }
            }
            match events.recv_timeout(LOOK) {
                Ok(event) => {
                    counters.read();
                    self.in_order.take(event);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "the loader's threads ended before the last batch";
                    break Some(Err(Error::new(Kind::Worker, message)));
                }
            }
        };
        counters.consumer_goes();
        result
    }

    /// What a consumer does that saw no events, just before some came.
    #[cfg(test)]
    pub(super) fn help_unseeing(&mut self) -> Option<bool> {
        let events = self.events.as_ref()?;
        help(self.helper.as_mut(), events, &mut self.in_order, &self.context.counters)
    }

    fn hand_out(&mut self, pending: Pending) -> Result<Batch> {
        let Pending { epoch, step, returns, index, known, mut parts, error, .. } = pending;
        let Known { labels, latents, mapped } = known;
        if let Some((_, error)) = error {
            return Err(error);
        }
        parts.sort_unstable_by_key(|part| part.offset);
        let skipped = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.skipped)).collect();
        let stream = Arc::clone(&self.context.stream);
        let samples = step.range.end - step.range.start;
        let whole = usize::try_from(samples).unwrap_or(usize::MAX);
        let memories: Vec<Memory> = match mapped {
            Some(mapped) => mapped.into_iter().map(Memory::Mapped).collect(),
            None => joined(parts.into_iter().map(|part| part.bytes))
                .into_iter()
                .map(Memory::Buffer)
                .collect(),
        };
        let groups = memories.into_iter().zip(&stream.groups).zip(returns);
        let images = groups
            .map(|((bytes, group), returns)| Images::new(bytes, group, whole, Some(returns)))
            .collect();
        (self.state.epoch, self.state.next) = self.passes.after(epoch, &step);
        let (positions, echo) = (step.range, stream.echo);
        let mut batch = Batch { index, positions, epoch, echo, images, labels, latents };
        self.leave_out(&mut batch, skipped);
        let left = batch.len() as u64;
        let unique = stream.first_times(epoch, &batch.positions).min(left);
        let images = left * stream.views() as u64;
        self.context.counters.delivered(left, unique, images);
        self.context.credits.give(samples);
        self.owed += samples;
        if self.held_up && self.owed >= self.refill {
            self.owed = 0;
            self.context.credits.wake();
        }
        Ok(batch)
    }

    /// Takes samples that could not be read out of a batch, and remembers which.
    fn leave_out(&mut self, batch: &mut Batch, skipped: Vec<(u64, Error)>) {
        if skipped.is_empty() {
            return;
        }
        let mut places = Vec::with_capacity(skipped.len());
        for (position, error) in skipped {
            tracing::warn!(position, %error, "a sample is left out");
            places.push(usize::try_from(position - batch.positions.start).unwrap_or(usize::MAX));
            self.skipped.count += 1;
            if self.skipped.first.len() < MAX_NAMED {
                self.skipped.first.push(error);
            }
        }
        places.sort_unstable();
        batch.remove(&places);
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
        if self.events.is_some() {
            let State { epoch, next, .. } = self.state;
            tracing::info!(epoch, next, "a loader ends");
        }
        self.context.stop.stop();
        self.context.credits.close();
        self.events = None;
        // It holds the other end of what the planner may wait to send.
        self.helper = None;
        for thread in self.threads.drain(..) {
            // A panic was caught and reported where it happened.
            let _ = thread.join();
        }
        self.in_order = InOrder::default();
    }
}

/// Makes the next job on this thread, if one waits. `None` if there is none, else whether the helper
/// may make another.
///
/// A job is sent after the news that its batches are opened, but that may have come since `events`
/// were last read: it goes first, as it would if a worker had made the job.
fn help(
    helper: Option<&mut Worker>,
    events: &Receiver<Event>,
    in_order: &mut InOrder,
    counters: &Counters,
) -> Option<bool> {
    helper?.help(&mut |made| {
        for event in events.try_iter().chain([made]) {
            counters.read();
            in_order.take(event);
        }
        true
    })
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let span = tracing::debug_span!("batch", start = Empty, end = Empty, epoch = Empty);
        let batch = span.in_scope(|| {
            loop {
                let batch = self.wait().map(|pending| self.hand_out(pending?));
                // Nothing may be left of a batch of samples that cannot be read.
                if !matches!(&batch, Some(Ok(batch)) if batch.is_empty()) {
                    break batch;
                }
            }
        });
        if let Some(Ok(batch)) = &batch {
            let Range { start, end } = batch.positions();
            span.record("start", start).record("end", end).record("epoch", batch.epoch());
        }
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
