//! What the consumer has taken, for the planner to make anew.
//!
//! A sum and not a channel: batches at the end of a pass may be short, so one window can hold many
//! more of them than full ones, and the consumer must never wait for the planner to read.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Credits {
    account: Mutex<Account>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Account {
    samples: u64,
    closed: bool,
}

impl Credits {
    /// Gives samples back. Never waits.
    pub fn give(&self, samples: u64) {
        self.lock().samples += samples;
        self.changed.notify_one();
    }

    /// Lets the planner go.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits until there are some, and takes them all; `None` once closed.
    pub fn take(&self) -> Option<u64> {
        let waiting = |account: &mut Account| account.samples == 0 && !account.closed;
        let account = self.changed.wait_while(self.lock(), waiting);
        let mut account = account.unwrap_or_else(PoisonError::into_inner);
        (!account.closed).then(|| std::mem::take(&mut account.samples))
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
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
}
