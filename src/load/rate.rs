//! Images a second over the last few seconds.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

/// A quarter of a second, in nanoseconds.
const TICK: u64 = 250_000_000;
/// Ticks that count as recent: five seconds.
const RECENT: u64 = 20;
/// The recent ones, the one that is going on, and some for readers that are late.
const SLOTS: usize = 32;
/// Bits of a slot that hold images; those above hold the tick that they belong to.
const IMAGE_BITS: u32 = 40;

/// Images by the tick in which they were delivered, the last few ticks only.
///
/// A slot holds its tick and its images in one word, so that no reader takes those of one tick for
/// those of another. One thread writes.
#[derive(Debug)]
pub(super) struct Recent {
    slots: [AtomicU64; SLOTS],
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Recent {
    /// Counts images at `now`, in nanoseconds.
    pub fn add(&self, now: u64, images: u64) {
        let slot = &self.slots[place(now / TICK)];
        let mark = mark(now / TICK);
        let before = slot.load(Ordering::Relaxed);
        let there = if before >> IMAGE_BITS == mark { before & IMAGES } else { 0 };
        slot.store(mark << IMAGE_BITS | (there + images).min(IMAGES), Ordering::Relaxed);
    }

    /// Images a second over the recent ticks before `now`, or over all of the time, in which there
    /// were `all` images, until the first tick is over.
    #[allow(clippy::cast_precision_loss)]
    pub fn per_second(&self, now: u64, all: u64) -> f64 {
        let ticks = (now / TICK).min(RECENT);
        if ticks == 0 {
            return if now == 0 { 0.0 } else { all as f64 * 1e9 / now as f64 };
        }
        let of_tick = |tick: u64| {
            let slot = self.slots[place(tick)].load(Ordering::Relaxed);
            if slot >> IMAGE_BITS == mark(tick) { slot & IMAGES } else { 0 }
        };
        let images: u64 = (now / TICK - ticks..now / TICK).map(of_tick).sum();
        images as f64 * 1e9 / (ticks * TICK) as f64
    }
}

const IMAGES: u64 = (1 << IMAGE_BITS) - 1;

/// The name of a tick in its slot: never that of an empty slot, and the same again after 48 days.
fn mark(tick: u64) -> u64 {
    1 + tick % ((1 << (64 - IMAGE_BITS)) - 1)
}

#[allow(clippy::cast_possible_truncation)]
fn place(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let recent = Recent::default();
        // 100 a second for a minute, then 1000 a second, ten times a second each.
        let rate = |tenth: u64| if tenth < 600 { 10 } else { 100 };
        for tenth in 0..700 {
            recent.add(tenth * SECOND / 10, rate(tenth));
        }
        assert_eq!(recent.per_second(70 * SECOND, 0), 1000.0);
        // Nothing for as long as is looked back, and for a round of all slots.
        assert_eq!(recent.per_second(75 * SECOND, 0), 0.0);
        assert_eq!(recent.per_second(70 * SECOND + SLOTS as u64 * TICK, 0), 0.0);
    }

    #[test]
    fn it_starts_with_what_there_is() {
        let recent = Recent::default();
        assert_eq!(recent.per_second(0, 0), 0.0);
        recent.add(TICK / 2, 50);
        assert_eq!(recent.per_second(TICK / 2, 50), 400.0);
        // From the first tick on, the ticks that are over count.
        assert_eq!(recent.per_second(TICK, 50), 200.0);
        recent.add(TICK + 1, 30);
        assert_eq!(recent.per_second(2 * TICK, 80), 160.0);
    }
}
