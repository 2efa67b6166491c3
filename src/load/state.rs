//! Where a loader is, and how it is told to stop.

use std::fmt;
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
#[derive(Clone, Default)]
pub struct Stop {
    thrown: Arc<AtomicBool>,
    ask: Option<Arc<Ask>>,
}

/// Whether to stop.
type Ask = dyn Fn() -> bool + Send + Sync;

impl Stop {
    /// A switch that is off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A switch that `ask` may throw too. It is called by whoever looks at the switch, which a thread
    /// that waits does every 50 ms and one that works more often: for programs that find out about
    /// signals by asking, as Python does.
    #[must_use]
    pub fn asking(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { ask: Some(Arc::new(ask)), ..Self::default() }
    }

    /// Asks every loader that has this switch to end with [`Kind::Interrupted`].
    pub fn stop(&self) {
        self.thrown.store(true, Ordering::Relaxed);
    }

    /// Whether [`Stop::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        if !self.thrown.load(Ordering::Relaxed) && self.ask.as_ref().is_some_and(|ask| ask()) {
            self.stop();
        }
        self.thrown.load(Ordering::Relaxed)
    }

    /// An error if [`Stop::stop`] was called.
    ///
    /// # Errors
    /// [`Kind::Interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.is_stopped() { Err(interrupted()) } else { Ok(()) }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("thrown", &self.thrown).finish_non_exhaustive()
    }
}

pub(super) fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted")
}
