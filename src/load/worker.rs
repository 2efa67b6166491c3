//! The generator and view stages: one session, one thread, one block after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::BytesMut;
use crossbeam::channel::{Receiver, Sender};

use super::counters::Working;
use super::echoed::{Taking, deliver, key};
use super::messages::{Context, Event, Job, Origin, Piece};
use super::state::interrupted;
use super::stored::{Filling, Hand, make_generated};
use super::views::{Rows, ViewThreads};
use crate::error::{Error, Kind, Result};
use crate::generate::Generator;
use crate::runtime::TensorView;
use crate::sample::BlockInputs;

/// Makes the rows of a block; a [`Generator`], or a stand-in that misbehaves in tests.
pub(super) trait MakeRows: Send {
    /// Shows all rows of `inputs` to `sink`, in order, in one or several calls.
    fn make(
        &mut self,
        inputs: &BlockInputs,
        sink: &mut dyn FnMut(usize, TensorView<'_>) -> Result<()>,
    ) -> Result<()>;
}

impl MakeRows for Generator {
    fn make(
        &mut self,
        inputs: &BlockInputs,
        sink: &mut dyn FnMut(usize, TensorView<'_>) -> Result<()>,
    ) -> Result<()> {
        self.run(inputs, sink)
    }
}

pub(super) struct Worker {
    /// From 0; the consumer's own, if it has one, is the last.
    pub number: usize,
    pub context: Arc<Context>,
    /// Of generated samples; a stream has this, or a hand, or both.
    pub maker: Option<Box<dyn MakeRows>>,
    /// Of stored samples.
    pub hand: Option<Hand>,
    pub jobs: Receiver<Job>,
    pub used: Sender<BlockInputs>,
    /// Shared by all workers of a loader, if there are any.
    pub view_threads: Option<Arc<ViewThreads>>,
    /// Where blocks that were kept in a file are read to; empty until then.
    pub scratch: BytesMut,
}

impl Worker {
    /// Works until there are no more jobs, nobody takes the parts, or something fails.
    pub fn run(mut self, events: &Sender<Event>) {
        self.work(events);
        self.context.counters.worker(self.number, Working::Ended);
    }

    fn work(&mut self, events: &Sender<Event>) {
        let (context, number) = (Arc::clone(&self.context), self.number);
        let counters = &context.counters;
        loop {
            counters.worker(number, Working::Idle);
            counters.asks(number, self.jobs.len());
            let Ok(job) = self.jobs.recv() else { return };
            if !self.perform(job, &mut |event| events.send(event).is_ok()) {
                return;
            }
        }
    }

    /// Makes the next job, if one waits: for who has nothing better to do. `None` if there is none,
    /// else whether to go on.
    pub fn help(&mut self, tell: &mut dyn FnMut(Event) -> bool) -> Option<bool> {
        let job = self.jobs.try_recv().ok()?;
        let goes_on = self.perform(job, tell);
        self.context.counters.worker(self.number, Working::Idle);
        Some(goes_on)
    }

    /// Makes a job and tells what has come of it. Says whether to go on: not after a failure, when
    /// nobody listens, or when all is to stop.
    fn perform(&mut self, mut job: Job, tell: &mut dyn FnMut(Event) -> bool) -> bool {
        let (context, number) = (Arc::clone(&self.context), self.number);
        let counters = &context.counters;
        counters.got(number);
        if context.stop.is_stopped() {
            return false;
        }
        let _span = job.span(number).entered();
        let made = catch_unwind(AssertUnwindSafe(|| self.make(&mut job)));
        let error = match made {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(panic) => Some(
                Error::new(Kind::Worker, format!("a worker panicked: {}", reason(&*panic)))
                    .at(format!("block of sample {}", job.first))
                    .help("this is a bug in genset; please report it with the recipe"),
            ),
        };
        counters.worker(number, Working::HandOver);
        if let Some(error) = error {
            if !context.stop.is_stopped() {
                tracing::error!(worker = number, %error, "a worker failed");
            }
            if let Some(Piece { sequence, offset, .. }) = job.pieces.first() {
                let (sequence, offset) = (*sequence, *offset);
                let _ = tell(Event::Failed { sequence, offset, error });
            }
            // A maker that has failed is not trusted with another block.
            return false;
        }
        for Piece { sequence, samples, offset, out, error, skipped, .. } in job.pieces {
            let samples = usize::try_from(samples.end - samples.start).unwrap_or(usize::MAX);
            let event = match error {
                None => Event::Part { sequence, offset, samples, bytes: out, skipped },
                Some(error) => Event::Failed { sequence, offset, error },
            };
            counters.made(number, samples);
            if !tell(event) {
                return false;
            }
        }
        if let Origin::Drawn(inputs) = job.origin {
            let _ = self.used.try_send(inputs);
        }
        true
    }

    fn make(&mut self, job: &mut Job) -> Result<()> {
        if self.deliver_kept(job)? {
            return Ok(());
        }
        self.generate(job)?;
        let Self { number, context, hand, view_threads, .. } = self;
        if let (Some(hand), Some(stored)) = (hand, &context.stream.stored) {
            context.counters.worker(*number, Working::Views);
            let _span = tracing::debug_span!("read").entered();
            let (epoch, threads) = (job.epoch, view_threads.as_deref());
            let filling = Filling { stream: &context.stream, stored, epoch, threads };
            job.pieces.iter_mut().for_each(|piece| hand.fill(filling, piece));
        }
        Ok(())
    }

    /// Makes what the generator has to make of a job.
    fn generate(&mut self, job: &mut Job) -> Result<()> {
        let Self { number, context, maker: Some(maker), view_threads, .. } = self else {
            return Ok(());
        };
        let Origin::Drawn(inputs) = &job.origin else { return Ok(()) };
        let (stream, threads) = (&context.stream, view_threads.as_deref());
        let replay = context.replay.as_deref();
        let mut taking = replay
            .filter(|_| !stream.leaves(job.source))
            .map(|replay| (replay, Taking::new(stream, replay, job)));
        let _span = tracing::debug_span!("generator").entered();
        context.counters.worker(*number, Working::Generator);
        maker.make(inputs, &mut |first_row, rows| {
            if context.stop.is_stopped() {
                return Err(interrupted());
            }
            context.counters.worker(*number, Working::Views);
            let _span = tracing::debug_span!("views", first_row).entered();
            let rows = Rows::of_job(stream, job.epoch, job.first, first_row, rows);
            make_generated(stream, rows, &mut job.pieces, threads);
            if let Some((replay, taking)) = &mut taking {
                taking.take(stream, replay.keep().form, rows, threads);
            }
            context.counters.called(*number);
            context.counters.worker(*number, Working::Generator);
            Ok(())
        })?;
        context.counters.generated(*number, inputs.rows);
        if let Some(replay) = replay {
            replay.made(stream.first_times(job.epoch, &(job.first..job.first + 1)) == 0);
        }
        if let Some((replay, taking)) = taking {
            context.counters.worker(*number, Working::Views);
            taking.keep(stream, replay, job)?;
        }
        Ok(())
    }

    /// Delivers what was kept of the block, also since the job was planned. Says whether there was
    /// anything.
    fn deliver_kept(&mut self, job: &mut Job) -> Result<bool> {
        let Self { number, context, view_threads, scratch, .. } = self;
        let Some(replay) = &context.replay else { return Ok(false) };
        let (stream, keep) = (&context.stream, replay.keep());
        let kept = match &job.origin {
            Origin::Kept(kept) => Some(kept.clone()),
            Origin::Stored => None,
            Origin::Drawn(_) => {
                replay.find(key(keep, job.epoch, job.source), stream.echo.is_last(job.source))
            }
        };
        let Some(kept) = kept else { return Ok(false) };
        context.counters.worker(*number, Working::Views);
        let bytes = replay.read(&kept, scratch)?;
        deliver(stream, keep.form, bytes, job, view_threads.as_deref())?;
        Ok(true)
    }
}

pub(super) fn bad_sample(sample: u64, view: usize, value: f32) -> Error {
    Error::new(
        Kind::Sample,
        format!("sample {sample}, view {view}: the generator made an image with the value {value}"),
    )
    .with_sample(sample)
    .help("`genset inspect` says how often this happens; truncated latents often cure it")
}

fn reason(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
