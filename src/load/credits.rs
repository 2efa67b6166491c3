//! What the consumer has taken, for the planner to make anew.
//!
//! A sum and not a channel: batches at the end of a pass may be short, so one window can hold many
//! more of them than full ones, and the consumer must never wait for the planner to read.
//!
//! Waking a thread may cost the waker its core for a whole time slice. A consumer that found its
//! batch ready is in the middle of its training step and must not pay that, so it only adds to the
//! sum, and the planner looks after a nap; what it would make is not needed soon. A consumer that
//! had to wait wakes the planner at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

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

    /// Ends the planner's nap.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Lets the planner go.
    pub fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until there are some, and takes them all; `None` once closed.
    ///
    /// A wake-up that comes before the nap begins is lost and costs one nap.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_taken_at_once_and_closing_ends_the_wait() {
        let credits = Credits::default();
        (0..1000).for_each(|_| credits.give(3));
        assert_eq!(credits.take(), Some(3000));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| credits.take());
            credits.close();
            assert_eq!(waiter.join().unwrap(), None);
        });
    }

    #[test]
    fn what_is_given_in_silence_is_found_after_a_nap() {
        let credits = Credits::default();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| credits.take());
            std::thread::sleep(Duration::from_millis(20));
            credits.give(7);
            assert_eq!(waiter.join().unwrap(), Some(7));
        });
    }
}
