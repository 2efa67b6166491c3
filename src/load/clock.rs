//! What one thread spends its time on, readable by others while it runs.
//!
//! The thread says what it does *next*; the time until it says so again is counted for that. So
//! the sums always add up to the whole of its time, also in the middle of a call that takes
//! minutes, and a switch costs one look at the clock.
//!
//! One writer, any number of readers, no lock: a sequence lock (Boehm, "Can seqlocks get along
//! with programming language memory models?", 2012). The writer makes the version odd, changes the
//! values, and makes it even; a reader that has seen an odd or a changed version looks again.
//!
//! Both ask for the time between their looks at the version, behind a full fence. So a reader that
//! saw no change has its time from before the writer's, and no sum that it gives is ever more than
//! what a later one gives: sums only grow.

use super::sync::{AtomicU64, Ordering, fence, spin};

/// How one thread's time is divided over `N` activities.
#[derive(Debug)]
pub(super) struct Clock<const N: usize> {
    /// Odd while the values below do not belong together.
    version: AtomicU64,
    /// What the thread does now; `N` once it has ended.
    activity: AtomicU64,
    /// Since when, in nanoseconds on the common clock.
    since: AtomicU64,
    /// What each activity took before, in nanoseconds.
    sums: [AtomicU64; N],
}

impl<const N: usize> Clock<N> {
    /// A thread that begins at 0 with `activity`.
    pub fn new(activity: usize) -> Self {
        Self {
            version: AtomicU64::new(0),
            activity: AtomicU64::new(activity as u64),
            since: AtomicU64::new(0),
            sums: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// From now on the thread does `activity`; nothing any more if that is `N`. Only ever called by
    /// the one thread whose clock it is.
    pub fn switch(&self, activity: usize, now: impl FnOnce() -> u64) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let now = now();
        let before = self.activity.load(Ordering::Relaxed);
        let took = now.saturating_sub(self.since.load(Ordering::Relaxed));
        if let Some(sum) = usize::try_from(before).ok().and_then(|before| self.sums.get(before)) {
            sum.store(sum.load(Ordering::Relaxed) + took, Ordering::Relaxed);
        }
        self.activity.store(activity as u64, Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// What each activity took until now.
    pub fn read(&self, now: impl Fn() -> u64) -> [u64; N] {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let activity = self.activity.load(Ordering::Relaxed);
            let since = self.since.load(Ordering::Relaxed);
            let mut sums = std::array::from_fn(|i| self.sums[i].load(Ordering::Relaxed));
            let now = now();
            fence(Ordering::SeqCst);
            if version % 2 == 1 || self.version.load(Ordering::Relaxed) != version {
                spin();
                continue;
            }
            if let Some(sum) = usize::try_from(activity).ok().and_then(|i| sums.get_mut(i)) {
                *sum += now.saturating_sub(since);
            }
            return sums;
        }
    }
}
