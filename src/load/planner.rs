//! The latent stage: cuts batches into pieces, pieces into jobs, and fills in what each job's
//! generator call is fed. One thread, always ahead of the workers, never ahead of its credits.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use crossbeam::channel::{Receiver, Sender};

use super::batch::Indices;
use super::counters::Planning;
use super::echoed::key;
use super::messages::{Context, Event, Job, Known, Origin, Piece};
use super::pool::Pool;
use super::shares::{Passes, Step};
use super::state::State;
use super::views::ViewGroup;
use crate::error::Result;
use crate::sample::{BlockInputs, Order, Source};

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
    /// What is not cut off yet of each group's buffer; none where nothing is copied.
    rest: Vec<BytesMut>,
    /// Its samples.
    index: Indices,
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
        self.plan();
        self.context.counters.planner(Planning::Ended);
    }

    fn plan(&self) {
        let counters = &self.context.counters;
        let mut available = self.window;
        let mut open: Option<Open> = None;
        let mut cuts = self.cuts().peekable();
        while let Some(group) = next_block(&mut cuts, self.context.stream.block) {
            let samples: u64 = group.iter().map(|cut| length(&cut.samples)).sum();
            if available < samples {
                counters.planner(Planning::Blocked);
            }
            while available < samples {
                match self.context.credits.take() {
                    Some(credit) => available += credit,
                    None => return,
                }
            }
            available -= samples;
            counters.planner(Planning::Draw);
            if self.context.stop.is_stopped() {
                return;
            }
            let Some(job) = self.job(group, &mut open) else { return };
            counters.planned(samples);
            counters.planner(Planning::Ahead);
            if self.jobs.send(job).is_err() {
                return;
            }
        }
        // The consumer may be gone already.
        let _ = self.tell(Event::End);
    }

    /// Tells the consumer something; `None` if it is gone.
    fn tell(&self, event: Event) -> Option<()> {
        let counters = &self.context.counters;
        counters.planner(if self.events.is_full() { Planning::Blocked } else { Planning::Draw });
        counters.told();
        self.events.send(event).ok()?;
        counters.planner(Planning::Draw);
        Some(())
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
                let index = self.index(cut.epoch, &cut.step.range);
                let (known, error) = match self.known(&cut, &index, want_latents) {
                    Ok(known) => (known, None),
                    Err(error) => (Known::default(), Some(error)),
                };
                let take = |(pool, group): (&Pool, &ViewGroup)| {
                    pool.take(samples * group.format.sample_bytes())
                };
                let rest = match known.mapped {
                    Some(_) => Vec::new(),
                    None => self.pools.iter().zip(&stream.groups).map(take).collect(),
                };
                *open = Some(Open { sequence: cut.sequence, rest, index: index.clone() });
                self.tell(Event::Opened {
                    epoch: cut.epoch,
                    step: cut.step.clone(),
                    returns: self.pools.iter().map(Pool::returns).collect(),
                    index,
                    known,
                })?;
                if let Some(error) = error {
                    self.tell(Event::Failed { sequence: cut.sequence, offset: 0, error })?;
                }
            }
            let samples = usize::try_from(length(&cut.samples)).ok()?;
            let Open { rest, index, .. } = open.as_mut()?;
            let cut_off = |(rest, group): (&mut BytesMut, &ViewGroup)| {
                let tail = rest.split_off(samples * group.format.sample_bytes());
                std::mem::replace(rest, tail)
            };
            let out = rest.iter_mut().zip(&stream.groups).map(cut_off).collect();
            let offset = usize::try_from(cut.samples.start - cut.step.range.start).ok()?;
            let (sequence, samples) = (cut.sequence, cut.samples);
            let batch = index.clone();
            pieces.push(Piece {
                sequence,
                samples,
                offset,
                out,
                error: None,
                batch,
                skipped: Vec::new(),
            });
        }
        Some(Job { epoch, first, source, origin, pieces })
    }

    /// The samples that stand at the positions of `range`.
    fn index(&self, epoch: u64, range: &Range<u64>) -> Indices {
        let Some(seed) = self.context.shuffle else { return Indices::Run(range.clone()) };
        let Range { start, end } = self.passes.samples;
        let order = Order::new(seed, epoch, end - start);
        Indices::Each(range.clone().map(|at| start + order.get(at - start)).collect())
    }

    /// What the consumer is told of a batch before its images are made.
    fn known(&self, cut: &Cut, index: &Indices, want_latents: bool) -> Result<Known> {
        let stream = &self.context.stream;
        let latents = want_latents.then(|| stream.latents(cut.epoch, index.iter())).transpose()?;
        let mapped = match (&stream.stored, index) {
            (Some(stored), Indices::Run(run)) if self.context.zero_copy => stored.mapped(run)?,
            _ => None,
        };
        Ok(Known { labels: stream.labels(index)?, latents, mapped })
    }

    /// What is to be delivered of `source`: what was kept of it, or what its inputs will give.
    /// Blocks are planned in order, so one that is found here cannot leave before it is delivered.
    fn origin(&self, epoch: u64, source: Source) -> Origin {
        let stream = &self.context.stream;
        if stream.is_stored() {
            return Origin::Stored;
        }
        if let Some(replay) = &self.context.replay
            && let Some(kept) =
                replay.find(key(replay.keep(), epoch, source), stream.echo.is_last(source))
        {
            return Origin::Kept(kept);
        }
        let mut inputs = self.used.try_recv().unwrap_or_default();
        stream.fill(source.index, epoch, &mut inputs);
        Origin::Drawn(inputs)
    }
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
