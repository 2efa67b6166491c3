//! Where the time goes and what waits where, as plain values. `docs/statistics.md` explains them.

use std::time::Duration;

use serde::Serialize;

use super::limit::{self, Stage};

/// What a loader has done since it was built; times of workers are summed over them.
///
/// Each thread's times add up to all of its time: what is going on is counted as far as it got.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// Since the loader was built, on the clock.
    pub elapsed: Duration,
    /// Generator sessions, each on its thread.
    pub workers: usize,
    /// Drawing latents and labels, cutting buffers (planner).
    pub latents: Duration,
    /// The planner waiting for the consumer to take batches.
    pub planner_blocked: Duration,
    /// The planner waiting for a worker to take a job.
    pub planner_ahead: Duration,
    /// Generator calls (workers).
    pub generator: Duration,
    /// Pixel ops, range, type and layout of delivered images (workers).
    pub views: Duration,
    /// Handing finished parts on (workers).
    pub handing_over: Duration,
    /// Workers waiting for something to do.
    pub workers_idle: Duration,
    /// The consumer waiting for a batch.
    pub consumer_waited: Duration,
    /// Samples delivered by this loader.
    pub samples: u64,
    /// Images delivered by this loader: samples × views.
    pub images: u64,
    /// Batches delivered by this loader.
    pub batches: u64,
    /// Generator calls.
    pub calls: u64,
    /// Images delivered a second, over the last five seconds.
    pub recent_images_per_second: f64,
    /// How full the queues are.
    pub queues: Queues,
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
    fn since(&self, earlier: &Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(earlier.hits),
            hits_on_disk: self.hits_on_disk.saturating_sub(earlier.hits_on_disk),
            misses: self.misses.saturating_sub(earlier.misses),
            regenerated: self.regenerated.saturating_sub(earlier.regenerated),
            ..*self
        }
    }
}

/// The queues of a loader, in the order in which samples go through them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queues {
    /// Blocks that wait for a worker.
    pub jobs: Occupancy,
    /// Messages that wait for the consumer to read them.
    pub events: Occupancy,
    /// Batches' worth of images that are made and not taken.
    pub ready: Occupancy,
    /// Samples under way: planned, being made, or made and not taken. Bounded by prefetch and by
    /// memory.
    pub window: Occupancy,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Now.
    pub now: u64,
    /// What there is room for.
    pub room: u64,
    /// What whoever takes from it found in it, in all.
    pub(super) seen: u64,
    /// How often they looked.
    pub(super) looks: u64,
}

impl Occupancy {
    /// The mean of what whoever takes from the queue finds in it; 0 before anyone looked.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean(&self) -> f64 {
        if self.looks == 0 { 0.0 } else { self.seen as f64 / self.looks as f64 }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            seen: self.seen.saturating_sub(earlier.seen),
            looks: self.looks.saturating_sub(earlier.looks),
            ..*self
        }
    }
}

impl Queues {
    /// Each with its name in reports.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Occupancy); 4] {
        [
            ("jobs", self.jobs),
            ("events", self.events),
            ("ready", self.ready),
            ("window", self.window),
        ]
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

    /// What the rest of the pipeline waits for.
    #[must_use]
    pub fn limiting_stage(&self) -> Stage {
        limit::of(self)
    }

    /// Images delivered a second, over all of the time.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn images_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.images as f64 / seconds } else { 0.0 }
    }

    /// What has happened since `earlier` statistics of the same loader. What is *now* stays so.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let [jobs, events, ready, window] = [
            (self.queues.jobs, earlier.queues.jobs),
            (self.queues.events, earlier.queues.events),
            (self.queues.ready, earlier.queues.ready),
            (self.queues.window, earlier.queues.window),
        ]
        .map(|(now, earlier)| now.since(&earlier));
        Self {
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
            workers: self.workers,
            latents: self.latents.saturating_sub(earlier.latents),
            planner_blocked: self.planner_blocked.saturating_sub(earlier.planner_blocked),
            planner_ahead: self.planner_ahead.saturating_sub(earlier.planner_ahead),
            generator: self.generator.saturating_sub(earlier.generator),
            views: self.views.saturating_sub(earlier.views),
            handing_over: self.handing_over.saturating_sub(earlier.handing_over),
            workers_idle: self.workers_idle.saturating_sub(earlier.workers_idle),
            consumer_waited: self.consumer_waited.saturating_sub(earlier.consumer_waited),
            samples: self.samples.saturating_sub(earlier.samples),
            images: self.images.saturating_sub(earlier.images),
            batches: self.batches.saturating_sub(earlier.batches),
            calls: self.calls.saturating_sub(earlier.calls),
            generated: self.generated.saturating_sub(earlier.generated),
            unique: self.unique.saturating_sub(earlier.unique),
            cache: self.cache.map(|cache| cache.since(&earlier.cache.unwrap_or_default())),
            recent_images_per_second: self.recent_images_per_second,
            queues: Queues { jobs, events, ready, window },
        }
    }
}
