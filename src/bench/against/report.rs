//! What a comparison says.

use std::path::PathBuf;

use serde::Serialize;

use super::break_even::{BreakEven, Costs};
use super::exports::Absent;
use super::rival::Origin;
use super::turn::{Runner, Turn};
use crate::bench::report::{Report, median};

/// A stream's throughput, and where there was one, its comparison with others: one document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Beside its ceiling.
    #[serde(flatten)]
    pub report: Report,
    /// Beside what is stored.
    #[serde(flatten)]
    pub comparison: Option<Comparison>,
}

/// A stream, and what it was measured against, in one process, in turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The stream.
    pub live: Contender,
    /// The others.
    pub against: Vec<Contender>,
    /// Who could not take part.
    pub absent: Vec<Absent>,
    /// The most memory that the process had, where the system says: with all contenders in it, one
    /// cannot be told from the other.
    #[serde(skip)]
    pub peak_rss_bytes: Option<u64>,
}

/// A dataset as it was measured. Figures are medians over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contender {
    /// What it is called.
    pub name: String,
    /// Where it is; `None` for the stream itself.
    pub path: Option<PathBuf>,
    /// Where its images come from.
    pub origin: Origin,
    /// How many samples it has; `None` if there is no end.
    pub samples: Option<u64>,
    /// Images of a sample.
    pub views: usize,
    /// `[C, H, W]` of an image of the first group of views.
    pub image: [usize; 3],
    /// One batch after the other, copied to buffers of the loader's.
    #[serde(flatten)]
    pub speed: Speed,
    /// In an order that is drawn anew for each epoch; of stored datasets.
    pub shuffled: Option<Speed>,
    /// As it lies in a memory map, without a copy; of raw shards that allow it.
    pub without_copy: Option<Speed>,
    /// How long it took to open it; `None` for the stream, which was open.
    pub open_ms: Option<f64>,
    /// From building a loader to its first batch.
    pub first_batch_ms: f64,
    /// Bytes of its files; of a generated one, of model and recipe.
    pub bytes_on_disk: Option<u64>,
    /// Bytes on disk of a sample; of a generated one, as it is delivered.
    pub bytes_a_sample: Option<f64>,
    /// So many samples take as many bytes as model and recipe of the stream.
    pub samples_in_generator: Option<f64>,
    /// What it took to generate, encode and write an image, where that was measured.
    pub store_microseconds_an_image: Option<f64>,
    /// In how many epochs generating each time costs less than storing, once, and reading.
    /// `None` where it is not known what writing took, and where the stream itself is read, or
    /// this one generated.
    pub break_even: Option<BreakEven>,
}

/// How fast a dataset is in one order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// Images (samples × views) a second.
    pub images_per_second: f64,
    /// The same, round by round.
    pub rounds: Vec<f64>,
    /// By the stream's, round by round.
    pub ratio_to_live: f64,
    /// Microseconds that all threads of the process worked for an image, where the system says.
    pub cpu_microseconds_an_image: Option<f64>,
}

impl Speed {
    pub(super) fn of(runner: &Runner<'_>, live: &Runner<'_>) -> Self {
        let rounds = runner.rates();
        let mut ratios: Vec<_> =
            rounds.iter().zip(live.rates()).map(|(own, of)| own / of).collect();
        Self {
            images_per_second: median(&mut rounds.clone()),
            rounds,
            ratio_to_live: median(&mut ratios),
            cpu_microseconds_an_image: median_of(&runner.turns, |turn| turn.work)
                .map(|seconds| seconds * 1e6),
        }
    }
}

/// The median of what all turns have.
pub(super) fn median_of(turns: &[Turn], of: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
    let values: Option<Vec<f64>> = turns.iter().map(of).collect();
    values.filter(|values| !values.is_empty()).map(|mut values| median(&mut values))
}

impl Contender {
    /// Fills in what follows from the stream's own figures: `generator` are its bytes, `generate`
    /// the seconds that it takes to make an image, `None` where the stream itself is read. `stored`:
    /// whether this one is read.
    pub(super) fn weigh(&mut self, stored: bool, generator: Option<u64>, generate: Option<f64>) {
        #[allow(clippy::cast_precision_loss)]
        let bytes = generator.map(|bytes| bytes as f64);
        self.samples_in_generator = bytes.zip(self.bytes_a_sample).map(|(all, one)| all / one);
        let read = 1.0 / self.speed.images_per_second;
        let store = match self.origin {
            Origin::Export => self.store_microseconds_an_image.map(|time| time / 1e6),
            // What was there before cost nothing now. Another generator is not read.
            Origin::Dataset => stored.then_some(0.0),
            Origin::Live => None,
        };
        self.break_even = store
            .zip(generate)
            .map(|(store, generate)| Costs { store, read, generate }.break_even());
    }
}
