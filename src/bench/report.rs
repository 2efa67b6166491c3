//! What a benchmark says.

use std::time::Duration;

use serde::Serialize;

use crate::generate::execution::Edit;
use crate::load::{CacheStatistics, Queues, Statistics};

/// The result of [`run`](super::run). Rates are medians over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The recipe's name.
    pub recipe: String,
    /// The dataset's identity.
    pub digest: String,
    /// Images (samples × views) delivered a second.
    pub images_per_second: f64,
    /// Images a second that the generator made of them: fewer where views share one, as those do
    /// that keep the anchor latent. `None`, as all that a generator has, of a stored dataset.
    pub generated_images_per_second: Option<f64>,
    /// Delivered samples that had not been delivered before, 0 to 1: less than 1 with echoes.
    pub unique_ratio: f64,
    /// What came of keeping generated blocks, since every echo was there; of a recipe with `[cache]`.
    pub cache: Option<CacheStatistics>,
    /// Images a second of the bare generator sessions.
    pub ceiling_images_per_second: Option<f64>,
    /// The median over the rounds of generated images by those of the bare generator.
    pub efficiency: Option<f64>,
    /// Bytes delivered a second.
    pub bytes_per_second: f64,
    /// How long the consumer waited for a batch.
    pub wait_ms: WaitMs,
    /// From building the loader to its first batch, loading the sessions included.
    pub first_batch_ms: f64,
    /// What the other stages wait for.
    pub limiting_stage: &'static str,
    /// What the loader's threads did with their time.
    pub shares: Shares,
    /// How full the loader's queues were.
    pub occupancy: Occupancies,
    /// Where each delivered image's time went.
    pub microseconds_an_image: StageTimes,
    /// The most memory that the process has had so far, where the system says.
    pub peak_rss_bytes: Option<u64>,
    /// Samples a batch.
    pub batch: usize,
    /// Views a sample.
    pub views: usize,
    /// Samples a generator call.
    pub block: Option<u32>,
    /// Generator sessions, or threads that read.
    pub workers: usize,
    /// Batches under way.
    pub prefetch: usize,
    /// Rounds of each kind.
    pub rounds: usize,
    /// Length of a round.
    pub round_seconds: f64,
    /// What the consumer slept for each batch.
    pub consumer_ms: f64,
    /// Version of ONNX Runtime.
    pub runtime: Option<String>,
    /// The edits of the generator's graph.
    pub rewrites: Vec<Edit>,
}

/// Parts of their time, 0 to 1, that threads of the loader spent waiting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// The planner, for the consumer to take batches.
    pub planner_blocked: f64,
    /// The planner, for a worker to take a job.
    pub planner_ahead: f64,
    /// The workers, for a job.
    pub workers_idle: f64,
    /// The consumer, for a batch.
    pub consumer_waited: f64,
}

impl Shares {
    pub(super) fn of(statistics: &Statistics) -> Self {
        let s = statistics;
        let all = s.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        #[allow(clippy::cast_precision_loss)]
        let workers = s.workers.max(1) as f64;
        Self {
            planner_blocked: s.planner_blocked.as_secs_f64() / all,
            planner_ahead: s.planner_ahead.as_secs_f64() / all,
            workers_idle: s.workers_idle.as_secs_f64() / (all * workers),
            consumer_waited: s.consumer_waited.as_secs_f64() / all,
        }
    }
}

/// How full the queues of the loader were; see [`Queues`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Occupancies {
    /// Blocks that waited for a worker.
    pub jobs: Occupancy,
    /// Messages that waited for the consumer.
    pub events: Occupancy,
    /// Batches that were made and not taken.
    pub ready: Occupancy,
    /// Samples under way.
    pub window: Occupancy,
}

/// How full a queue was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Occupancy {
    /// The mean of what was found in it.
    pub mean: f64,
    /// What there is room for.
    pub room: u64,
}

impl Occupancies {
    pub(super) fn of(queues: &Queues) -> Self {
        let one =
            |queue: crate::load::Occupancy| Occupancy { mean: queue.mean(), room: queue.room };
        Self {
            jobs: one(queues.jobs),
            events: one(queues.events),
            ready: one(queues.ready),
            window: one(queues.window),
        }
    }
}

/// Thread time that one delivered image takes in each stage, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageTimes {
    /// Drawing latents and labels.
    pub latents: f64,
    /// Generator calls.
    pub generator: f64,
    /// Range, type and layout.
    pub views: f64,
}

impl StageTimes {
    pub(super) fn of(statistics: &Statistics) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let an_image = |time: Duration| time.as_secs_f64() * 1e6 / statistics.images.max(1) as f64;
        Self {
            latents: an_image(statistics.latents),
            generator: an_image(statistics.generator),
            views: an_image(statistics.views),
        }
    }
}

/// Quantiles of the time that a consumer waited for a batch, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WaitMs {
    /// Median.
    pub p50: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %.
    pub p99: f64,
}

impl WaitMs {
    pub(super) fn of(waits: &mut [Duration]) -> Self {
        waits.sort_unstable();
        let at = |share: f64| {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss
            )]
            let place = (share * waits.len() as f64).ceil() as usize;
            waits.get(place.saturating_sub(1)).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
        };
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

/// The median; of an even number the mean of the middle two. 0 of none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// The most resident memory that this process has had, in bytes; `None` where the system does not
/// say.
#[must_use]
pub fn peak_rss_bytes() -> Option<u64> {
    crate::process::peak_resident_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let mut waits: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let waits = WaitMs::of(&mut waits);
        assert_eq!((waits.p50, waits.p95, waits.p99), (100.0, 190.0, 198.0));
        assert_eq!(median(&mut [3.0, 1.0]), 2.0);
        assert_eq!(median(&mut [5.0, 3.0, 1.0]), 3.0);
    }
}
