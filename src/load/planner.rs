//! The latent stage: cuts batches into pieces, pieces into jobs, and fills in what each job's
//! generator call is fed. One thread, always ahead of the workers, never ahead of its credits.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use crossbeam::channel::{Receiver, Sender};

use super::batch::Latents;
use super::echoed::key;
use super::messages::{Context, Event, Job, Origin, Piece};
use super::pool::Pool;
use super::shares::{Passes, Step};
use super::state::State;
use super::stream::Stream;
use super::views::ViewGroup;
use crate::sample::{BlockInputs, Source};

/// A piece before it has memory.
#[derive(Debug, Clone)]
struct Cut {
    sequence: u64,
    epoch: u64,
    step: Step,
    samples: Range<u64>,
}

/// A batch that has been opened and not yet cut to its end.
#[derive(Debug)]
struct Open {
    sequence: u64,
    /// What is not cut off yet of each group's buffer.
    rest: Vec<BytesMut>,
}

pub(super) struct Planner {
    pub context: Arc<Context>,
    pub passes: Passes,
    /// Where to begin.
    pub state: State,
    /// Samples that may be under way.
    pub window: u64,
    /// One for each group of views.
    pub pools: Vec<Pool>,
    pub jobs: Sender<Job>,
    pub events: Sender<Event>,
    /// Inputs that workers have done with.
    pub used: Receiver<BlockInputs>,
}

impl Planner {
    /// Plans until the dataset ends, the loader is dropped, or it is stopped.
    pub fn run(self) {
        let mut available = self.window;
        let mut open: Option<Open> = None;
        let mut cuts = self.cuts().peekable();
        while let Some(group) = next_block(&mut cuts, self.context.stream.block) {
            let samples: u64 = group.iter().map(|cut| length(&cut.samples)).sum();
            let waiting = Instant::now();
            while available < samples {
                match self.context.credits.take() {
                    Some(credit) => available += credit,
                    None => return,
                }
            }
            available -= samples;
            self.context.counters.planner_blocked.add(waiting.elapsed());
            if self.context.stop.is_stopped() {
                return;
            }
            let Some(job) = self.job(group, &mut open) else { return };
            if self.jobs.send(job).is_err() {
                return;
            }
        }
        // The consumer may be gone already.
        let _ = self.events.send(Event::End);
    }

    /// All pieces of this rank's batches, in order, cut at block boundaries.
    fn cuts(&self) -> impl Iterator<Item = Cut> + use<> {
        let block = u64::from(self.context.stream.block);
        let steps = self.passes.steps(self.state.epoch, self.state.next);
        (0..).zip(steps).flat_map(move |(sequence, (epoch, step))| {
            let range = step.range.clone();
            let mut at = range.start;
            std::iter::from_fn(move || {
                if at >= range.end {
                    return None;
                }
                let samples = at..range.end.min((at / block + 1) * block);
                at = samples.end;
                Some(Cut { sequence, epoch, step: step.clone(), samples })
            })
        })
    }

    /// Opens the batches that begin in `group`, cuts their buffers, and draws the inputs.
    fn job(&self, group: Vec<Cut>, open: &mut Option<Open>) -> Option<Job> {
        let (stream, want_latents) = (&self.context.stream, self.context.want_latents);
        let block = u64::from(stream.block);
        let first = group.first()?.samples.start / block * block;
        let epoch = group.first()?.epoch;
        let source = stream.echo.source(first);
        let origin = self.origin(epoch, source);

        let mut pieces = Vec::with_capacity(group.len());
        for cut in group {
            if open.as_ref().is_none_or(|open| open.sequence != cut.sequence) {
                let samples = usize::try_from(length(&cut.step.range)).ok()?;
                let take = |(pool, group): (&Pool, &ViewGroup)| {
                    pool.take(samples * group.format.sample_bytes())
                };
                let rest = self.pools.iter().zip(&stream.groups).map(take).collect();
                *open = Some(Open { sequence: cut.sequence, rest });
                self.events
                    .send(Event::Opened {
                        epoch: cut.epoch,
                        step: cut.step.clone(),
                        returns: self.pools.iter().map(Pool::returns).collect(),
                        labels: labels(stream, &cut.step.range),
                        latents: want_latents.then(|| latents(stream, cut.epoch, &cut.step.range)),
                    })
                    .ok()?;
            }
            let samples = usize::try_from(length(&cut.samples)).ok()?;
            let rest = &mut open.as_mut()?.rest;
            let cut_off = |(rest, group): (&mut BytesMut, &ViewGroup)| {
                let tail = rest.split_off(samples * group.format.sample_bytes());
                std::mem::replace(rest, tail)
            };
            let out = rest.iter_mut().zip(&stream.groups).map(cut_off).collect();
            let offset = usize::try_from(cut.samples.start - cut.step.range.start).ok()?;
            let (sequence, samples) = (cut.sequence, cut.samples);
            pieces.push(Piece { sequence, samples, offset, out, error: None });
        }
        Some(Job { epoch, first, source, origin, pieces })
    }

    /// What is to be delivered of `source`: what was kept of it, or what its inputs will give.
    /// Blocks are planned in order, so one that is found here cannot leave before it is delivered.
    fn origin(&self, epoch: u64, source: Source) -> Origin {
        let stream = &self.context.stream;
        if let Some(replay) = &self.context.replay
            && let Some(kept) =
                replay.find(key(replay.keep(), epoch, source), stream.echo.is_last(source))
        {
            return Origin::Kept(kept);
        }
        let drawing = Instant::now();
        let mut inputs = self.used.try_recv().unwrap_or_default();
        stream.sampler.fill(source.index, stream.block, epoch, &mut inputs);
        self.context.counters.latents.add(drawing.elapsed());
        Origin::Drawn(inputs)
    }
}

/// The labels of some samples; cheap enough to be drawn again where they are needed.
pub(super) fn labels(stream: &Stream, index: &Range<u64>) -> Option<Vec<i64>> {
    let label = |i| stream.sampler.label(stream.echo.source(i).index);
    index.clone().map(|i| label(i).map(i64::from)).collect()
}

/// The latents of every view of some samples: `[samples, V, Z]`.
pub(super) fn latents(stream: &Stream, epoch: u64, index: &Range<u64>) -> Latents {
    let sampler = &stream.sampler;
    let (views, len) = (sampler.row_of_view().len(), sampler.latent_len());
    let samples = usize::try_from(index.end - index.start).unwrap_or(0);
    let mut values = vec![0.0; samples * views * len];
    let mut block = BlockInputs::default();
    for (sample, out) in index.clone().zip(values.chunks_mut((views * len).max(1))) {
        sampler.fill(stream.echo.source(sample).index, 1, epoch, &mut block);
        for (row, out) in sampler.row_of_view().iter().zip(out.chunks_mut(len.max(1))) {
            sampler.latent_of_row(&block, *row, out);
        }
    }
    Latents { values, shape: [samples, views, len] }
}

/// The next run of cuts that lie in one block of one pass, in rising order.
fn next_block(cuts: &mut Peekable<impl Iterator<Item = Cut>>, block: u32) -> Option<Vec<Cut>> {
    let block = u64::from(block);
    let first = cuts.next()?;
    let (epoch, number) = (first.epoch, first.samples.start / block);
    let mut group = vec![first];
    while let Some(cut) =
        cuts.next_if(|cut| cut.epoch == epoch && cut.samples.start / block == number)
    {
        group.push(cut);
    }
    Some(group)
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}
