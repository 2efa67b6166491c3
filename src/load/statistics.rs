//! Where the time goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Drawing latents and labels.
    Latents,
    /// Generator calls.
    Generator,
    /// Turning what the generator made into what is delivered.
    Views,
    /// The consumer of the batches.
    Consumer,
}

impl Stage {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Latents => "latents",
            Self::Generator => "generator",
            Self::Views => "views",
            Self::Consumer => "consumer",
        }
    }
}

/// Where the time has gone since the loader was built; of stages summed over their threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Since the loader was built, on the clock.
    pub elapsed: Duration,
    /// Drawing latents and labels (planner).
    pub latents: Duration,
    /// The planner waiting for the consumer to take batches.
    pub planner_blocked: Duration,
    /// Generator calls (workers).
    pub generator: Duration,
    /// Range, type and layout of delivered images (workers).
    pub views: Duration,
    /// Workers waiting for something to do.
    pub workers_idle: Duration,
    /// The consumer waiting for a batch.
    pub consumer_waited: Duration,
    /// Samples delivered by this loader.
    pub samples: u64,
    /// Images delivered by this loader: samples × views.
    pub images: u64,
    /// Generator calls.
    pub calls: u64,
    /// Images that the generator has made. Fewer than are delivered where views share one, or where
    /// samples come again; more by those that are under way.
    pub generated: u64,
    /// Delivered samples that had not been delivered before: [`Statistics::samples`] less echoes,
    /// and less later epochs that show the same generated images. Summed over ranks and restarts it
    /// is the number of different samples.
    pub unique: u64,
    /// Of a recipe with `[cache]`.
    pub cache: Option<CacheStatistics>,
}

/// What has come of keeping generated blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheStatistics {
    /// Blocks delivered from what was kept.
    pub hits: u64,
    /// Those of them that were read from the temporary file.
    pub hits_on_disk: u64,
    /// Blocks that the generator made.
    pub misses: u64,
    /// Those of them that it had to make again: echoes of what this loader did not have, because it
    /// went on in the middle, or another rank had it.
    pub regenerated: u64,
    /// Bytes of the blocks that are in memory.
    pub memory_bytes: u64,
    /// Bytes of the blocks that are in the temporary file.
    pub disk_bytes: u64,
}

impl CacheStatistics {
    /// What has happened since `earlier` statistics of the same cache; bytes are those of now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(earlier.hits),
            hits_on_disk: self.hits_on_disk.saturating_sub(earlier.hits_on_disk),
            misses: self.misses.saturating_sub(earlier.misses),
            regenerated: self.regenerated.saturating_sub(earlier.regenerated),
            ..*self
        }
    }
}

impl Statistics {
    /// The part of the delivered samples that had not been delivered before, 0 to 1. 1 before the
    /// first batch.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn unique_ratio(&self) -> f64 {
        if self.samples == 0 { 1.0 } else { self.unique as f64 / self.samples as f64 }
    }

    /// Images that the generator made a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn generated_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.generated as f64 / seconds } else { 0.0 }
    }

    /// What has happened since `earlier` statistics of the same loader.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
            latents: self.latents.saturating_sub(earlier.latents),
            planner_blocked: self.planner_blocked.saturating_sub(earlier.planner_blocked),
            generator: self.generator.saturating_sub(earlier.generator),
            views: self.views.saturating_sub(earlier.views),
            workers_idle: self.workers_idle.saturating_sub(earlier.workers_idle),
            consumer_waited: self.consumer_waited.saturating_sub(earlier.consumer_waited),
            samples: self.samples.saturating_sub(earlier.samples),
            images: self.images.saturating_sub(earlier.images),
            calls: self.calls.saturating_sub(earlier.calls),
            generated: self.generated.saturating_sub(earlier.generated),
            unique: self.unique.saturating_sub(earlier.unique),
            cache: self.cache.map(|cache| cache.since(&earlier.cache.unwrap_or_default())),
        }
    }

    /// The stage that the others wait for.
    ///
    /// It is the consumer if it waits for less than a tenth of its time. Otherwise it is the
    /// latents if workers are idle for most of theirs, or else what workers spend more time on.
    #[must_use]
    pub fn limiting_stage(&self) -> Stage {
        if self.consumer_waited * 10 < self.elapsed {
            return Stage::Consumer;
        }
        if self.workers_idle > self.generator + self.views {
            return Stage::Latents;
        }
        if self.views > self.generator { Stage::Views } else { Stage::Generator }
    }
}

/// The counters behind [`Statistics`]. Relaxed: they are sums, read at leisure.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub latents: Nanoseconds,
    pub planner_blocked: Nanoseconds,
    pub generator: Nanoseconds,
    pub views: Nanoseconds,
    pub workers_idle: Nanoseconds,
    pub calls: AtomicU64,
    pub generated: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Nanoseconds(AtomicU64);

impl Nanoseconds {
    pub fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limiting_stage_is_the_one_that_is_waited_for() {
        let s = Duration::from_secs;
        let fast = Statistics { elapsed: s(10), consumer_waited: s(9), ..Statistics::default() };
        let busy = Statistics { generator: s(18), views: s(1), workers_idle: s(1), ..fast };
        for (statistics, stage) in [
            (busy, Stage::Generator),
            (Statistics { views: s(19), ..busy }, Stage::Views),
            (Statistics { generator: s(1), workers_idle: s(18), ..busy }, Stage::Latents),
            (Statistics { consumer_waited: Duration::from_millis(10), ..busy }, Stage::Consumer),
        ] {
            assert_eq!(statistics.limiting_stage(), stage, "{statistics:?}");
        }
    }
}
