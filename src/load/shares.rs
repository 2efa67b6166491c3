//! Which samples a rank delivers, step by step and pass by pass.
//!
//! In step `s` the world takes the next `world × batch` samples, and rank `r` the `r`-th batch of
//! them. So after any step all ranks together have delivered a prefix of the dataset, and one
//! number says where to go on, whatever batch size or world size comes next. What is left at the
//! end is shared out in contiguous, nearly equal parts, so every sample is delivered once.
//!
//! Several processes may load for one rank, as the workers of PyTorch's `DataLoader` do. A step is
//! then so many batches a rank, and each *lane* has its own. What a rank has of the last step is cut
//! into full batches as far as they go: however many lanes there are, they give the rank as many
//! batches as one alone would.

use std::ops::Range;

use crate::error::{Error, Kind, Result};

/// One lane of one rank of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub rank: u64,
    pub world: u64,
    pub lane: u64,
    /// At least 1.
    pub lanes: u64,
    pub batch: u64,
    pub drop_last: bool,
}

/// One batch to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The samples of the batch; never empty.
    pub range: Range<u64>,
    /// Where the whole world goes on afterwards.
    pub next: u64,
}

impl Share {
    pub fn new(rank: u64, world: u64, batch: u64, drop_last: bool) -> Result<Self> {
        if batch == 0 {
            return wrong("a batch must have at least one sample".into());
        }
        if rank >= world {
            return wrong(format!("rank {rank} is not in a world of {world} (ranks start at 0)"));
        }
        if world.checked_mul(batch).is_none_or(|step| step >= 1 << 40) {
            return wrong(format!("a step of {world} ranks × {batch} samples is too large"));
        }
        Ok(Self { rank, world, lane: 0, lanes: 1, batch, drop_last })
    }

    /// One of several processes that load for the rank.
    pub fn lane(self, lane: u64, lanes: u64) -> Result<Self> {
        if lane >= lanes {
            return wrong(format!("part {lane} is not one of {lanes} (parts start at 0)"));
        }
        let whole = self.world * self.batch;
        if whole.checked_mul(lanes).is_none_or(|step| step >= 1 << 40) {
            return wrong(format!("a step of {lanes} parts × {whole} samples is too large"));
        }
        Ok(Self { lane, lanes, ..self })
    }

    /// This lane's batches over the samples `from..end`.
    pub fn steps(self, from: u64, end: u64) -> impl Iterator<Item = Step> + Send {
        let mut next = from;
        std::iter::from_fn(move || {
            // Where this rank's part of the step lies.
            let (part, after) = self.part(next, end)?;
            next = after;
            let first = part.start + self.lane * self.batch;
            let range = first..part.end.min(first.saturating_add(self.batch));
            (!range.is_empty()).then_some(Step { range, next })
        })
    }

    /// What this rank has of the step that begins at `next`, and where the step ends.
    fn part(self, next: u64, end: u64) -> Option<(Range<u64>, u64)> {
        let left = end.saturating_sub(next);
        let round = self.world * self.batch;
        // Full batches a rank, of which each lane has at most one.
        let full = (left / round).min(self.lanes);
        if full == self.lanes || self.drop_last {
            let own = full * self.batch;
            let first = next + self.rank * own;
            return (full > 0).then_some((first..first + own, next + full * round));
        }
        // `left` is less than 2^40 and `world` too.
        let cut = |rank: u64| {
            let before = u128::from(left) * u128::from(rank) / u128::from(self.world);
            next + u64::try_from(before).unwrap_or(left)
        };
        Some((cut(self.rank)..cut(self.rank + 1), end))
    }

    /// How many batches [`Share::steps`] gives, and samples in all.
    pub fn count(self, from: u64, end: u64) -> (u64, u64) {
        let whole = self.world * self.lanes * self.batch;
        let left = end.saturating_sub(from);
        let rest = self.steps(end - left % whole, end).next().map(|step| step.range);
        let steps = left / whole;
        let last = rest.as_ref().map_or(0, |range| range.end - range.start);
        (steps + u64::from(rest.is_some()), steps * self.batch + last)
    }
}

fn wrong<T>(message: String) -> Result<T> {
    Err(Error::new(Kind::Argument, message))
}

/// The same samples over and over.
#[derive(Debug, Clone)]
pub(super) struct Passes {
    pub share: Share,
    /// The samples of one pass.
    pub samples: Range<u64>,
    /// How many passes there are; `None`: for ever.
    pub epochs: Option<u64>,
}

impl Passes {
    /// This rank's batches with their pass, from sample `next` of pass `epoch` on.
    pub fn steps(&self, epoch: u64, next: u64) -> impl Iterator<Item = (u64, Step)> + Send + use<> {
        let Self { share, samples: Range { start, end }, epochs } = self.clone();
        // A rank may have nothing in a pass: the dataset is smaller than the world, or than a step
        // of which the rest is dropped. It will not have more in the next.
        let barren = share.steps(start, end).next().is_none();
        let last =
            epochs.unwrap_or(u64::MAX).min(if barren { epoch.saturating_add(1) } else { u64::MAX });
        (epoch..last).flat_map(move |pass| {
            let from = if pass == epoch { next } else { start };
            share.steps(from, end).map(move |step| (pass, step))
        })
    }

    /// Pass and sample to go on with after `step` of pass `epoch`.
    pub fn after(&self, epoch: u64, step: &Step) -> (u64, u64) {
        if step.next >= self.samples.end && self.epochs != Some(epoch + 1) {
            (epoch + 1, self.samples.start)
        } else {
            (epoch, step.next)
        }
    }

    /// Pass and sample where everything has been delivered; `None` if that never comes, or if the
    /// last step is dropped.
    pub fn end(&self) -> Option<(u64, u64)> {
        let last = self.epochs?.checked_sub(1)?;
        (!self.share.drop_last).then_some((last, self.samples.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(share: impl Fn(u64) -> Share, world: u64, from: u64, end: u64) -> Vec<u64> {
        let mut all: Vec<u64> =
            (0..world).flat_map(|r| share(r).steps(from, end).flat_map(|s| s.range)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_sample_is_delivered_exactly_once() {
        for world in 1..6 {
            for batch in [1, 3, 8] {
                for (from, end) in [(0, 50), (7, 50), (49, 50), (50, 50), (0, 1)] {
                    let share = |rank| Share::new(rank, world, batch, false).unwrap();
                    let expected: Vec<u64> = (from..end).collect();
                    for rank in 0..world {
                        let (batches, samples) = share(rank).count(from, end);
                        assert_eq!(batches, share(rank).steps(from, end).count() as u64);
                        let ranges = share(rank).steps(from, end).map(|step| step.range);
                        assert_eq!(
                            samples,
                            ranges.map(|range| range.end - range.start).sum::<u64>()
                        );
                    }
                    assert_eq!(delivered(share, world, from, end), expected);
                }
            }
        }
    }

    #[test]
    fn after_any_step_the_world_has_delivered_a_prefix() {
        let share = |rank| Share::new(rank, 3, 4, false).unwrap();
        let steps: Vec<Vec<Step>> = (0..3).map(|r| share(r).steps(5, 60).collect()).collect();
        for step in 0..steps[0].len() {
            let next = steps[0][step].next;
            let mut taken: Vec<u64> =
                steps.iter().flat_map(|s| &s[..=step]).flat_map(|s| s.range.clone()).collect();
            taken.sort_unstable();
            assert_eq!(taken, (5..next).collect::<Vec<_>>());
        }
    }

    #[test]
    fn dropping_the_last_step_gives_all_ranks_full_batches() {
        for rank in 0..3 {
            let share = Share::new(rank, 3, 4, true).unwrap();
            let lens: Vec<u64> = share.steps(0, 30).map(|s| s.range.end - s.range.start).collect();
            assert_eq!(lens, [4, 4]);
        }
    }

    #[test]
    fn lanes_give_a_rank_as_many_batches_as_one_alone() {
        let length = |range: Range<u64>| range.end - range.start;
        let cases = (1..4).flat_map(|world| (1..5).map(move |lanes| (world, lanes)));
        for ((world, lanes), drop_last) in cases.flat_map(|case| [(case, false), (case, true)]) {
            for (from, end) in [(0, 0), (0, 1), (3, 40), (5, 41), (0, 97), (90, 97)] {
                let (mut all, mut alone) = (Vec::new(), Vec::new());
                for rank in 0..world {
                    let share = Share::new(rank, world, 4, drop_last).unwrap();
                    let (mut batches, mut samples) = (0, 0);
                    for lane in 0..lanes {
                        let lane = share.lane(lane, lanes).unwrap();
                        let steps: Vec<Step> = lane.steps(from, end).collect();
                        let own = steps.iter().map(|step| length(step.range.clone())).sum();
                        assert_eq!(lane.count(from, end), (steps.len() as u64, own));
                        (batches, samples) = (batches + steps.len() as u64, samples + own);
                        // From wherever it was, a lane goes on as it would have.
                        for (done, step) in steps.iter().enumerate() {
                            assert!(lane.steps(step.next, end).eq(steps[done + 1..].to_vec()));
                        }
                        all.extend(steps.into_iter().flat_map(|step| step.range));
                    }
                    assert_eq!((batches, samples), share.count(from, end), "{share:?} {lanes}");
                    alone.extend(share.steps(from, end).flat_map(|step| step.range));
                }
                all.sort_unstable();
                alone.sort_unstable();
                assert_eq!(all, alone, "world {world}, {lanes} lanes, {from}..{end}");
            }
        }
    }

    #[test]
    fn the_largest_indices_do_not_overflow() {
        let end = 1 << 63;
        let share = Share::new(1, 2, 7, false).unwrap();
        let steps: Vec<Step> = share.steps(end - 20, end).collect();
        assert_eq!(steps.last().unwrap().range.end, end);
    }

    #[test]
    fn every_pass_is_over_the_same_samples() {
        let share = Share::new(0, 1, 4, false).unwrap();
        let passes = Passes { share, samples: 10..17, epochs: Some(3) };
        let all: Vec<_> = passes.steps(0, 14).map(|(pass, step)| (pass, step.range)).collect();
        assert_eq!(all, [(0, 14..17), (1, 10..14), (1, 14..17), (2, 10..14), (2, 14..17)]);
        let (mut epoch, mut next) = (0, 14);
        for (pass, range) in all {
            let (of, step) = passes.steps(epoch, next).next().unwrap();
            assert_eq!((of, &step.range), (pass, &range), "resumed");
            (epoch, next) = passes.after(of, &step);
        }
        assert!(passes.steps(epoch, next).next().is_none());
    }

    #[test]
    fn passes_without_a_batch_end() {
        for (rank, world, drop_last) in [(0, 1, true), (0, 20, false)] {
            let share = Share::new(rank, world, 8, drop_last).unwrap();
            let passes = Passes { share, samples: 0..7, epochs: None };
            assert!(passes.steps(0, 0).next().is_none());
            assert!(passes.steps(u64::MAX, 0).next().is_none());
        }
    }

    #[test]
    fn impossible_worlds_are_refused() {
        for (rank, world, batch) in [(0, 1, 0), (2, 2, 1), (0, 0, 1), (0, 1 << 30, 1 << 30)] {
            assert!(Share::new(rank, world, batch, false).is_err());
        }
        let share = Share::new(0, 2, 8, false).unwrap();
        for (lane, lanes) in [(0, 0), (2, 2), (0, 1 << 40)] {
            assert!(share.lane(lane, lanes).is_err());
        }
    }
}
