//! A window on a loader for other threads.

use std::sync::{Arc, Mutex, PoisonError};

use super::counters::Counters;
use super::statistics::Statistics;

/// Shows what a loader does, from any thread and while it runs. Clones show the same.
///
/// Either [`Loader::monitor`](super::Loader::monitor) gives it, or it is made first and handed to
/// [`LoaderBuilder::monitor`](super::LoaderBuilder::monitor): then it shows the loader that was
/// built with it last, and zeros before there is one. It keeps no thread and no memory of the
/// loader's alive but a few counters.
#[derive(Debug, Clone, Default)]
pub struct Monitor(Arc<Mutex<Option<Arc<Counters>>>>);

impl Monitor {
    /// One that shows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn show(&self, counters: &Arc<Counters>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(counters));
    }

    /// What the loader has done so far. Costs a microsecond or so, and the loader nothing.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        counters.map_or_else(Statistics::default, |counters| counters.statistics())
    }
}
