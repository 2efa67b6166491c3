//! The generator and view stages: one session, one thread, one block after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};

use super::messages::{Context, Event, Job, Piece};
use super::state::interrupted;
use crate::error::{Error, Kind, Result};
use crate::generate::Generator;
use crate::runtime::TensorView;
use crate::sample::BlockInputs;
use crate::view::Delivery;

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
            for Piece { sequence, offset, out, error, .. } in job.pieces {
                let event = match error {
                    None => Event::Part { sequence, offset, bytes: out },
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
        let Self { context, maker, .. } = self;
        let begun = Instant::now();
        let mut delivering = Duration::ZERO;
        let (delivery, views) = (&context.stream.delivery, context.stream.format.views);
        maker.make(&job.inputs, &mut |first_row, rows| {
            if context.stop.is_stopped() {
                return Err(interrupted());
            }
            let arrived = Instant::now();
            deliver(delivery, views, job.first, &mut job.pieces, first_row, rows);
            delivering += arrived.elapsed();
            context.counters.calls.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })?;
        context.counters.views.add(delivering);
        context.counters.generator.add(begun.elapsed().saturating_sub(delivering));
        Ok(())
    }
}

/// Writes those of `rows` that belong to `pieces` to their places. `first_row` is the number of
/// the first of `rows` in the block, whose first sample is `first`. An image that may not be
/// delivered spoils its own piece alone.
fn deliver(
    delivery: &Delivery,
    views: usize,
    first: u64,
    pieces: &mut [Piece],
    first_row: usize,
    rows: TensorView<'_>,
) {
    let (image, bytes) = (delivery.format().len(), delivery.image_bytes());
    let here = first_row..first_row + rows.len() / image;
    for piece in pieces {
        let row_of = |sample: u64| usize::try_from(sample - first).unwrap_or(usize::MAX) * views;
        let wanted = row_of(piece.samples.start)..row_of(piece.samples.end);
        let both = here.start.max(wanted.start)..here.end.min(wanted.end);
        if both.is_empty() {
            continue;
        }
        let source = rows.slice((both.start - here.start) * image..(both.end - here.start) * image);
        let target = (both.start - wanted.start) * bytes..(both.end - wanted.start) * bytes;
        if let Err(bad) = delivery.write(source, &mut piece.out[target]) {
            let row = both.start + bad.row;
            let (sample, view) = (first + (row / views) as u64, row % views);
            piece.error.get_or_insert_with(|| bad_sample(sample, view, bad.value));
        }
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
