//! What belongs to one process, and must be made again after a fork.
//!
//! A forked child has a copy of its parent's memory and none of its threads. Sessions, loaders and locks
//! that the parent had are of no use in it, and waiting for one would be for ever. So each is marked with
//! its process: in another one it is made anew, and what was inherited is left alone, never dropped.

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value of this process. No lock: one that another thread held at the fork stays locked in the child.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    /// Null, or from [`Box::into_raw`]. Replaced only by a process that it is not of.
    current: AtomicPtr<Owned<T>>,
}

#[derive(Debug)]
struct Owned<T> {
    process: u32,
    value: T,
}

impl<T> PerProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { current: AtomicPtr::new(Owned::boxed(value)) }
    }

    /// The value, unless it is that of another process.
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: the pointer is from a box that is freed by `drop` alone, which has `&mut self`.
        let owned = unsafe { self.current.load(Ordering::Acquire).as_ref()? };
        (owned.process == process::id()).then_some(&owned.value)
    }

    /// The value, made by `make` if it is that of another process.
    pub(crate) fn get_or_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let inherited = self.current.load(Ordering::Acquire);
        let made = Owned::boxed(make()?);
        let swap =
            self.current.compare_exchange(inherited, made, Ordering::AcqRel, Ordering::Acquire);
        let winner = match swap {
            Ok(_) => made,
            Err(winner) => {
                // SAFETY: another thread was faster, and nobody has seen this one.
                drop(unsafe { Box::from_raw(made) });
                winner
            }
        };
        // SAFETY: as in `get`; what another thread of this process put there is of this process.
        Ok(unsafe { &(*winner).value })
    }
}

impl<T> Owned<T> {
    fn boxed(value: T) -> *mut Self {
        Box::into_raw(Box::new(Self { process: process::id(), value }))
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let current = std::mem::replace(self.current.get_mut(), ptr::null_mut());
        if self_is_owner(current) {
            // SAFETY: it is from a box, and nobody can borrow it any more.
            drop(unsafe { Box::from_raw(current) });
        }
    }
}

fn self_is_owner<T>(owned: *mut Owned<T>) -> bool {
    // SAFETY: null, or from a box that has not been freed.
    unsafe { owned.as_ref() }.is_some_and(|owned| owned.process == process::id())
}
