//! Where a loader is, and how it is told to stop.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::recipe::Digest;

/// Where a loader is: everything that is needed to go on, and nothing else.
///
/// It counts what was delivered, not what was prefetched. Batch size, workers, ranks and machine
/// may all be others when a run goes on. Serialises to JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The dataset, as 64 hexadecimal digits.
    pub digest: String,
    /// Passes completed over a finite dataset.
    pub epoch: u64,
    /// All samples of this pass before this one have been delivered, over all ranks.
    pub next: u64,
}

impl State {
    /// Fails unless this state belongs to the dataset with `digest` and goes on in `samples`.
    pub(super) fn check(&self, digest: Digest, samples: &Range<u64>) -> Result<()> {
        if self.digest != digest.to_string() {
            return Err(Error::new(
                Kind::State,
                format!("the saved state is of dataset {}, not of {digest}", self.digest),
            )
            .help("recipe or model changed since it was saved; go on with those, or start anew"));
        }
        let Range { start, end } = samples;
        if (start..=end).contains(&&self.next) {
            return Ok(());
        }
        Err(Error::new(
            Kind::State,
            format!("the saved state goes on at sample {}, outside of {start}..{end}", self.next),
        )
        .help("go on with the range of samples that it was saved with, or start anew"))
    }
}

/// Tells loaders to stop, from another thread or a signal handler. Clones share one switch.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A switch that is off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every loader that has this switch to end with [`Kind::Interrupted`].
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Stop::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error if [`Stop::stop`] was called.
    ///
    /// # Errors
    /// [`Kind::Interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.is_stopped() { Err(interrupted()) } else { Ok(()) }
    }
}

pub(super) fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted")
}
