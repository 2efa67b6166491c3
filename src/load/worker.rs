//! The generator and view stages: one session, one thread, one block after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};

use super::counters::Working;
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
    /// From 0.
    pub number: usize,
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
        self.work();
        self.context.counters.worker(self.number, Working::Ended);
    }

    fn work(&mut self) {
        let (context, number) = (Arc::clone(&self.context), self.number);
        let counters = &context.counters;
        loop {
            counters.worker(number, Working::Idle);
            counters.asks(number, self.jobs.len());
            let Ok(mut job) = self.jobs.recv() else { return };
            counters.got(number);
            if context.stop.is_stopped() {
                return;
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
                counters.made(number, samples);
                if self.events.send(event).is_err() {
                    return;
                }
            }
            let _ = self.used.try_send(job.inputs);
        }
    }

    fn make(&mut self, job: &mut Job) -> Result<()> {
        let Self { number, context, maker, view_threads, .. } = self;
        let _span = tracing::debug_span!("generator").entered();
        context.counters.worker(*number, Working::Generator);
        maker.make(&job.inputs, &mut |first_row, rows| {
            if context.stop.is_stopped() {
                return Err(interrupted());
            }
            context.counters.worker(*number, Working::Views);
            let _span = tracing::debug_span!("views", first_row).entered();
            let rows = Rows { epoch: job.epoch, sample: job.first, first: first_row, values: rows };
            make_views(&context.stream, rows, &mut job.pieces, view_threads.as_deref());
            context.counters.called(*number);
            context.counters.worker(*number, Working::Generator);
            Ok(())
        })
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
