//! Counts what several threads finish, for one listener.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is done, told one thread at a time.
pub(super) struct Counter<F> {
    done: AtomicUsize,
    tell: Mutex<F>,
}

impl<F: FnMut(u64) + Send> Counter<F> {
    pub fn new(tell: F) -> Self {
        Self { done: AtomicUsize::new(0), tell: Mutex::new(tell) }
    }

    /// So much more.
    pub fn done(&self, more: usize) {
        let done = (self.done.fetch_add(more, Ordering::Relaxed) + more) as u64;
        if let Ok(mut tell) = self.tell.lock() {
            tell(done);
        }
    }
}
