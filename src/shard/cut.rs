//! How a range of samples is cut into shards, and shards are dealt to ranks.
//!
//! Shard `k` is for the samples `k × S .. (k + 1) × S` of the dataset, as far as they are wanted. So
//! where a shard begins depends neither on where an export begins nor on who makes it, and the shard
//! of a sample is found by one division.

use std::ops::Range;

use crate::error::{Error, Kind, Result};

/// Shards that a folder may have: their list fits a manifest.
pub const MAX_SHARDS: u64 = 1 << 18;

/// A range of samples and the length of its shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    samples: Range<u64>,
    per_shard: u64,
}

impl Cut {
    /// Cuts `samples` into shards of `per_shard`.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is nothing to cut, [`Kind::Limit`] if there would be more than
    /// [`MAX_SHARDS`].
    pub fn new(samples: Range<u64>, per_shard: u64) -> Result<Self> {
        if samples.is_empty() {
            let Range { start, end } = samples;
            return Err(Error::new(Kind::Argument, format!("samples {start}..{end} are none")));
        }
        if per_shard == 0 {
            return Err(Error::new(Kind::Argument, "a shard must have at least one sample"));
        }
        let cut = Self { samples, per_shard };
        let shards = cut.numbers().end - cut.numbers().start;
        if shards > MAX_SHARDS {
            return Err(Error::new(
                Kind::Limit,
                format!("{shards} shards are too many: {MAX_SHARDS} are the most in one folder"),
            )
            .help("make shards larger, or export to several folders, a part each"));
        }
        Ok(cut)
    }

    /// The numbers of its shards.
    pub fn numbers(&self) -> Range<u64> {
        self.samples.start / self.per_shard..(self.samples.end - 1) / self.per_shard + 1
    }

    /// The samples of shard `number`.
    pub fn samples_of(&self, number: u64) -> Range<u64> {
        let first = number.saturating_mul(self.per_shard);
        let end = first.saturating_add(self.per_shard);
        first.max(self.samples.start)..end.min(self.samples.end)
    }

    /// The number of the shard that has sample `index`, which is one of `samples`.
    pub fn number_of(&self, index: u64) -> u64 {
        index / self.per_shard
    }
}

/// What rank `rank` of `world` makes of a list of shards: contiguous parts, so that one loader
/// streams each, of lengths that differ by one at most.
pub(crate) fn part<T>(all: &[T], rank: u64, world: u64) -> &[T] {
    let at = |rank: u64| {
        let share = all.len() as u128 * u128::from(rank) / u128::from(world.max(1));
        usize::try_from(share).unwrap_or(all.len()).min(all.len())
    };
    &all[at(rank)..at(rank + 1)]
}

/// The samples of consecutive shards, together: what one loader can stream.
pub(crate) fn runs(cut: &Cut, numbers: &[u64]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        let samples = cut.samples_of(*number);
        match runs.last_mut() {
            Some(run) if run.end == samples.start => run.end = samples.end,
            _ => runs.push(samples),
        }
    }
    runs
}

/// Samples of a shard of `bytes` bytes of images, of `sample` bytes each: whole blocks of the
/// generator, where one fits, so that no block is made for two shards.
pub(crate) fn samples_for_bytes(bytes: u64, sample: u64, block: u64) -> u64 {
    let samples = (bytes / sample.max(1)).max(1);
    if samples >= block { samples / block.max(1) * block.max(1) } else { samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_begin_at_multiples_wherever_an_export_begins() {
        let cut = Cut::new(130..1000, 128).unwrap();
        assert_eq!(cut.numbers(), 1..8);
        assert_eq!(cut.samples_of(1), 130..256);
        assert_eq!(cut.samples_of(2), 256..384);
        assert_eq!(cut.samples_of(7), 896..1000);
        for index in 130..1000 {
            assert!(cut.samples_of(cut.number_of(index)).contains(&index));
        }
    }

    #[test]
    fn the_largest_indices_are_cut_too() {
        let end = crate::recipe::MAX_SAMPLES;
        let cut = Cut::new(end - 10..end, u64::MAX).unwrap();
        assert_eq!((cut.numbers(), cut.samples_of(0)), (0..1, end - 10..end));
        let cut = Cut::new(end - 10..end, 7).unwrap();
        let all: Vec<_> = cut.numbers().flat_map(|number| cut.samples_of(number)).collect();
        assert_eq!(all, (end - 10..end).collect::<Vec<_>>());
    }

    #[test]
    fn more_shards_than_a_manifest_lists_are_refused_before_one_is_made() {
        let error = Cut::new(0..crate::recipe::MAX_SAMPLES, 1).unwrap_err();
        assert!(error.is_limit(), "{error}");
        assert!(Cut::new(5..5, 1).is_err() && Cut::new(0..5, 0).is_err());
    }

    #[test]
    fn ranks_together_make_every_shard_once_in_runs() {
        let cut = Cut::new(0..1000, 10).unwrap();
        let all: Vec<u64> = cut.numbers().collect();
        for world in [1, 2, 3, 7, 200] {
            let parts: Vec<&[u64]> = (0..world).map(|rank| part(&all, rank, world)).collect();
            assert_eq!(parts.concat(), all);
            let most = parts.iter().map(|part| part.len()).max();
            assert!(parts.iter().all(|part| part.len() + 1 >= most.unwrap()));
            assert!(parts.iter().all(|part| runs(&cut, part).len() <= 1));
        }
        assert_eq!(runs(&cut, &[0, 1, 5, 6, 99]), [0..20, 50..70, 990..1000]);
    }

    #[test]
    fn bytes_become_whole_blocks() {
        assert_eq!(samples_for_bytes(100_000, 784, 32), 96);
        assert_eq!(samples_for_bytes(10_000, 784, 32), 12, "less than a block");
        assert_eq!(samples_for_bytes(1, 784, 32), 1);
        assert_eq!(samples_for_bytes(0, 0, 0), 1);
    }
}
