//! What `src/load/sync.rs` names, of loom.

use std::collections::VecDeque;

pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
pub(super) use loom::sync::{Arc, Condvar, Mutex};
pub(super) use std::sync::PoisonError;

/// Lets the thread that is waited for go on.
pub(super) fn spin() {
    loom::thread::yield_now();
}

/// A bounded channel that nobody waits for, as pools use it.
pub(super) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Mutex::new(VecDeque::new()));
    (Sender { queue: Arc::clone(&queue), room }, Receiver { queue })
}

#[derive(Debug)]
pub(super) struct Sender<T> {
    queue: Arc<Mutex<VecDeque<T>>>,
    room: usize,
}

#[derive(Debug)]
pub(super) struct Receiver<T> {
    queue: Arc<Mutex<VecDeque<T>>>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), room: self.room }
    }
}

impl<T> Sender<T> {
    /// Gives the value back if there is no room.
    pub fn try_send(&self, value: T) -> Result<(), T> {
        let mut queue = self.queue.lock().unwrap();
        if queue.len() >= self.room {
            return Err(value);
        }
        queue.push_back(value);
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub fn try_recv(&self) -> Result<T, ()> {
        self.queue.lock().unwrap().pop_front().ok_or(())
    }

    pub fn len(&self) -> usize {
        self.queue.lock().unwrap().len()
    }
}
