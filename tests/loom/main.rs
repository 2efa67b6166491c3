//! Proofs of the hand-over: the files of the pipeline that threads meet in, compiled against
//! [loom](https://docs.rs/loom), which runs them through every order of events and every value
//! that the memory model lets a load see.
//!
//! What meets in channels alone is not here: crossbeam proves its own.

#[path = "../../src/load/clock.rs"]
mod clock;
#[path = "../../src/load/credits.rs"]
mod credits;
#[path = "../../src/load/pool.rs"]
mod pool;
mod sync;

/// What `src/load/memory.rs` makes; its pages are nobody's matter here.
mod memory {
    pub(super) fn aligned(len: usize) -> bytes::BytesMut {
        bytes::BytesMut::zeroed(len)
    }
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use clock::Clock;
use credits::Credits;
use pool::Pool;

/// loom's waits have no end but a wake-up, so a nap that was to be ended and is not shows as a
/// deadlock.
#[test]
fn no_credit_and_no_wake_up_is_lost() {
    loom::model(|| {
        let credits = Arc::new(Credits::default());
        let consumer = thread::spawn({
            let credits = Arc::clone(&credits);
            move || {
                for samples in [1, 2] {
                    credits.give(samples);
                    credits.wake();
                }
            }
        });
        let mut taken = 0;
        while taken < 3 {
            taken += credits.take().expect("nobody closed");
        }
        assert_eq!(taken, 3);
        consumer.join().unwrap();
    });
}

#[test]
fn credits_given_from_two_threads_add_up() {
    loom::model(|| {
        let credits = Arc::new(Credits::default());
        let give = |samples| {
            let credits = Arc::clone(&credits);
            move || {
                credits.give(samples);
                credits.wake();
            }
        };
        let givers = [thread::spawn(give(1)), thread::spawn(give(2))];
        let mut taken = 0;
        while taken < 3 {
            taken += credits.take().expect("nobody closed");
        }
        assert_eq!(taken, 3);
        givers.into_iter().for_each(|giver| giver.join().unwrap());
    });
}

#[test]
fn closing_ends_every_wait_whenever_it_comes() {
    loom::model(|| {
        let credits = Arc::new(Credits::default());
        let planner = thread::spawn({
            let credits = Arc::clone(&credits);
            move || while credits.take().is_some() {}
        });
        credits.give(1);
        credits.close();
        planner.join().unwrap();
    });
}

/// The planner takes while two batches are dropped. Whatever comes first, every buffer is where
/// the pool believes it to be, and no more than the limit are kept.
#[test]
fn no_buffer_is_lost_or_kept_beyond_the_limit() {
    loom::model(|| {
        let pool = Pool::new(8, 1);
        let drops = [pool.take(8), pool.take(8)].map(|buffer| {
            let returns = pool.returns();
            thread::spawn(move || returns.give(buffer))
        });
        let third = pool.take(8);
        drops.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(pool.alive(), pool.idle() + 1);
        pool.returns().give(third);
        assert_eq!((pool.alive(), pool.idle()), (1, 1));
    });
}

#[test]
fn a_clock_that_is_read_while_it_runs_only_grows_and_adds_up() {
    loom::model(|| {
        // The time is the number of looks at it. Relaxed, so that looking orders nothing else.
        let time = Arc::new(AtomicU64::new(10));
        let now = move || time.fetch_add(1, Ordering::Relaxed);
        let clock = Arc::new(Clock::<2>::new(0));
        let owner = thread::spawn({
            let (clock, now) = (Arc::clone(&clock), now.clone());
            move || clock.switch(1, now)
        });
        let before = clock.read(&now);
        assert!(before[0] + before[1] < now(), "{before:?}");
        let after = clock.read(&now);
        assert!(before[0] <= after[0] && before[1] <= after[1], "{before:?}, then {after:?}");
        owner.join().unwrap();
        let sums = clock.read(&now);
        assert_eq!(sums[0] + sums[1] + 1, now());
        // Nothing is counted after the end.
        clock.switch(2, &now);
        assert_eq!(clock.read(&now), clock.read(&now));
    });
}
