//! The generator and view stages: one session, one thread, one block after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};

use super::messages::{Context, Event, Job, Piece};
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
            let _ = self.used.try_send(job.inputs);
        }
    }

    fn make(&mut self, job: &mut Job) -> Result<()> {
        let Self { context, maker, view_threads, .. } = self;
        let begun = Instant::now();
        let mut delivering = Duration::ZERO;
        maker.make(&job.inputs, &mut |first_row, rows| {
            if context.stop.is_stopped() {
                return Err(interrupted());
            }
            let arrived = Instant::now();
            let rows = Rows { epoch: job.epoch, sample: job.first, first: first_row, values: rows };
            make_views(&context.stream, rows, &mut job.pieces, view_threads.as_deref());
            delivering += arrived.elapsed();
            context.counters.calls.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })?;
        context.counters.views.add(delivering);
        context.counters.generator.add(begun.elapsed().saturating_sub(delivering));
        Ok(())
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
