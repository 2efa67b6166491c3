//! How far an audit has come.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far an audit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The space, from 0.
    pub space: usize,
    /// What is being done.
    pub step: Step,
    /// So many images are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// A step of an audit, for each space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Features of the generated images.
    Generated,
    /// Features of the real images.
    Real,
    /// Features of the held-out images.
    HeldOut,
    /// Distances to the real images.
    Distances,
    /// What is measured of variety.
    Variety,
}

/// Who is told how far an audit has come.
pub(super) type Tell<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Counts rows that several threads finish.
pub(super) struct Counter<'a, 't> {
    done: AtomicUsize,
    tell: Mutex<&'a mut (dyn FnMut(Progress) + Send + 't)>,
    progress: Progress,
}

impl<'a, 't> Counter<'a, 't> {
    pub fn new(
        space: usize,
        step: Step,
        total: u64,
        tell: &'a mut (dyn FnMut(Progress) + Send + 't),
    ) -> Self {
        let progress = Progress { space, step, done: 0, total };
        Self { done: AtomicUsize::new(0), tell: Mutex::new(tell), progress }
    }

    pub fn done(&self, rows: usize) {
        let done = (self.done.fetch_add(rows, Ordering::Relaxed) + rows) as u64;
        if let Ok(mut tell) = self.tell.lock() {
            tell(Progress { done, ..self.progress });
        }
    }
}
