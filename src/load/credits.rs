//! What the consumer has taken, for the planner to make anew.
//!
//! A sum and not a channel: batches at the end of a pass may be short, so one window can hold many
//! more of them than full ones, and the consumer must never wait for the planner to read.
//!
//! Waking a thread may cost the waker its core for a whole time slice. A consumer that found its
//! batch ready is in the middle of its training step and must not pay that, so it only adds to the
//! sum, and the planner looks after a nap; what it would make is not needed soon. A consumer that
//! had to wait wakes the planner at once.

use std::time::Duration;

use super::sync::{AtomicU64, Condvar, Mutex, Ordering, PoisonError};

/// The planner's first nap, and the longest, to which they double.
const NAPS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));

#[derive(Debug, Default)]
pub(super) struct Credits {
    samples: AtomicU64,
    /// Whether the planner may go home.
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Credits {
    /// Gives samples back. Neither waits nor wakes.
    pub fn give(&self, samples: u64) {
        self.samples.fetch_add(samples, Ordering::AcqRel);
    }

    /// Ends the planner's nap. The lock is held by a planner that has looked and does not sleep
    /// yet: it must not miss this.
    pub fn wake(&self) {
        drop(self.closed.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// Lets the planner go.
    pub fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until there are some, and takes them all; `None` once closed.
    pub fn take(&self) -> Option<u64> {
        let (mut nap, longest) = NAPS;
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if *closed {
                return None;
            }
            match self.samples.swap(0, Ordering::AcqRel) {
                0 => {
                    let woken = self.changed.wait_timeout(closed, nap);
                    closed = woken.unwrap_or_else(PoisonError::into_inner).0;
                    nap = longest.min(nap * 2);
                }
                samples => return Some(samples),
            }
        }
    }
}
