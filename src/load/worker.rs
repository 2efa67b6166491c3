//! The generator and view stages: one session, one thread, one block after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use crossbeam::channel::{Receiver, Sender};

use super::echoed::{Taking, deliver, key};
use super::messages::{Context, Event, Job, Origin, Piece};
use super::state::interrupted;
use super::views::{Rows, ViewThreads, make_views};
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
    pub context: Arc<Context>,
    pub maker: Box<dyn MakeRows>,
    pub jobs: Receiver<Job>,
    pub events: Sender<Event>,
    pub used: Sender<BlockInputs>,
    /// Shared by all workers of a loader, if there are any.
    pub view_threads: Option<Arc<ViewThreads>>,
    /// Where blocks that were kept in a file are read to; empty until then.
    pub scratch: BytesMut,
}

impl Worker {
    /// Works until there are no more jobs, nobody takes the parts, or something fails.
    pub fn run(mut self) {
        loop {
            let idle = Instant::now();
            let Ok(mut job) = self.jobs.recv() else { return };
            self.context.counters.workers_idle.add(idle.elapsed());
            if self.context.stop.is_stopped() {
                return;
            }
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
            if let Some(error) = error {
                if let Some(Piece { sequence, offset, .. }) = job.pieces.first() {
                    let (sequence, offset) = (*sequence, *offset);
                    let _ = self.events.send(Event::Failed { sequence, offset, error });
                }
                // A maker that has failed is not trusted with another block.
                return;
            }
            for Piece { sequence, samples, offset, out, error } in job.pieces {
                let samples = usize::try_from(samples.end - samples.start).unwrap_or(usize::MAX);
                let event = match error {
                    None => Event::Part { sequence, offset, samples, bytes: out },
                    Some(error) => Event::Failed { sequence, offset, error },
                };
                if self.events.send(event).is_err() {
                    return;
                }
            }
            if let Origin::Drawn(inputs) = job.origin {
                let _ = self.used.try_send(inputs);
            }
        }
    }

    fn make(&mut self, job: &mut Job) -> Result<()> {
        if self.deliver_kept(job)? {
            return Ok(());
        }
        let Origin::Drawn(inputs) = &job.origin else { return Ok(()) };
        let Self { context, maker, view_threads, .. } = self;
        let (stream, threads) = (&context.stream, view_threads.as_deref());
        let replay = context.replay.as_ref();
        let mut taking = replay
            .filter(|_| !stream.leaves(job.source))
            .map(|replay| (replay, Taking::new(stream, replay, job)));
        let begun = Instant::now();
        let mut delivering = Duration::ZERO;
        maker.make(inputs, &mut |first_row, rows| {
            if context.stop.is_stopped() {
                return Err(interrupted());
            }
            let arrived = Instant::now();
            let rows = Rows::of_job(stream, job.epoch, job.first, first_row, rows);
            make_views(stream, rows, &mut job.pieces, threads);
            if let Some((replay, taking)) = &mut taking {
                taking.take(stream, replay.keep().form, rows, threads);
            }
            delivering += arrived.elapsed();
            context.counters.calls.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })?;
        context.counters.generated.fetch_add(inputs.rows as u64, Ordering::Relaxed);
        context.counters.views.add(delivering);
        context.counters.generator.add(begun.elapsed().saturating_sub(delivering));
        if let Some(replay) = replay {
            replay.made(stream.first_times(job.epoch, &(job.first..job.first + 1)) == 0);
        }
        if let Some((replay, taking)) = taking {
            let keeping = Instant::now();
            taking.keep(stream, replay, job)?;
            context.counters.views.add(keeping.elapsed());
        }
        Ok(())
    }

    /// Delivers what was kept of the block, also since the job was planned. Says whether there was
    /// anything.
    fn deliver_kept(&mut self, job: &mut Job) -> Result<bool> {
        let Self { context, view_threads, scratch, .. } = self;
        let Some(replay) = &context.replay else { return Ok(false) };
        let (stream, keep) = (&context.stream, replay.keep());
        let kept = match &job.origin {
            Origin::Kept(kept) => Some(kept.clone()),
            Origin::Drawn(_) => {
                replay.find(key(keep, job.epoch, job.source), stream.echo.is_last(job.source))
            }
        };
        let Some(kept) = kept else { return Ok(false) };
        let begun = Instant::now();
        let bytes = replay.read(&kept, scratch)?;
        deliver(stream, keep.form, bytes, job, view_threads.as_deref())?;
        context.counters.views.add(begun.elapsed());
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
