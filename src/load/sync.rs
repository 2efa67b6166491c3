//! What threads share is built on these, so that a model checker can put its own in their place.
//!
//! `tests/loom/` compiles `clock.rs`, `credits.rs` and `pool.rs` against its own module of this
//! name and runs them through every order in which their threads can meet.

pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
pub(super) use std::sync::{Arc, Condvar, Mutex, PoisonError};

pub(super) use crossbeam::channel::{Receiver, Sender, bounded};

/// Lets the thread that is waited for go on.
pub(super) fn spin() {
    std::hint::spin_loop();
}
