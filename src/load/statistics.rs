//! Where the time goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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

/// Time spent since the loader was built, summed over threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
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
}

impl Statistics {
    /// The stage that the others wait for.
    ///
    /// If the planner is held back by the consumer while the consumer hardly waits, it is the
    /// consumer. If workers are idle for most of their time without that, it is the latents.
    /// Otherwise it is what the workers spend more time on.
    #[must_use]
    pub fn limiting_stage(&self) -> Stage {
        let busy = self.generator + self.views;
        if self.workers_idle > busy {
            let held = self.planner_blocked > self.latents;
            return if held { Stage::Consumer } else { Stage::Latents };
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
