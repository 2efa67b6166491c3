//! Memory is a setting: what is made ahead, what is kept, what is refused.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::error::Kind;

/// A stand-in that counts the samples it has made.
fn counting(stream: &Stream) -> (StandIn, Arc<AtomicU64>) {
    let made = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&made);
    let stand_in = StandIn::new(stream, move |_, values| {
        counter.fetch_add((values.len() / IMAGE / VIEWS) as u64, Ordering::SeqCst);
        Ok(())
    });
    (stand_in, made)
}

/// Waits until a number has not changed for a while.
fn settled(number: &AtomicU64) -> u64 {
    let mut before = number.load(Ordering::SeqCst);
    loop {
        thread::sleep(Duration::from_millis(50));
        let now = number.load(Ordering::SeqCst);
        if now == before {
            return now;
        }
        before = now;
    }
}

#[test]
fn a_slow_consumer_stops_production_at_the_window() {
    let _dog = no_hang("slow consumer");
    for (block, batch, prefetch, workers) in [(8, 5, 4, 2), (32, 1, 1, 3), (1, 64, 2, 1)] {
        let stream = stream(1_000_000, block);
        let (stand_in, made) = counting(&stream);
        let settings = Settings { prefetch, ..settings(batch) };
        let block = u64::from(block);
        let window = (prefetch * batch).max(2 * workers * block as usize) as u64 + block;
        let mut loader = start(settings, &stream, &stand_in, workers);
        let mut taken = 0;
        for _ in 0..5 {
            let ahead = settled(&made) - taken / block * block;
            // The first and the last block may be in the window in part.
            assert!(ahead <= window + 2 * block, "{ahead} ahead, window {window}");
            assert!(ahead + block > window, "{ahead} ahead, window {window}: more would fit");
            taken += loader.next().unwrap().unwrap().len() as u64;
        }
    }
}

#[test]
fn the_memory_setting_bounds_the_window() {
    let stream = stream(1_000_000, 8);
    let (stand_in, made) = counting(&stream);
    // A sample is 2 × 4 floats, and about as much again to keep track of it.
    let settings = Settings { prefetch: 1_000_000, memory: 1 << 20, ..settings(16) };
    let loader = start(settings, &stream, &stand_in, 2);
    let ahead = settled(&made);
    let bytes = ahead * stream.sample_bytes() as u64;
    assert!(bytes < 1 << 20, "{bytes} bytes ahead");
    assert!(ahead > 1000, "{ahead} ahead: more would fit");
    assert!(loader.prefetch() < 1000);
}

#[test]
fn too_little_memory_is_refused_with_the_least_that_suffices() {
    let stream = stream(1_000_000, 64);
    let with = |memory| Settings { memory, ..settings(200_000) }.check(&stream, 4);
    let error = with(1 << 20).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    let message = error.to_string();
    assert!(message.starts_with("1 MiB do not suffice for batches of 200000 samples"), "{message}");
    let (_, least) = message.split_once("bytes: ").unwrap();
    let least: u64 = least.split(' ').next().unwrap().parse().unwrap();
    with(least << 20).unwrap();
    with((least - 1) << 20).unwrap_err();
    assert!(message.contains("make batch, workers or generator.block smaller"), "{message}");
}

#[test]
fn settings_beyond_all_bounds_are_refused_and_allocate_nothing() {
    let stream = stream(1 << 40, 65_536);
    for (settings, kind) in [
        (settings(0), Kind::Argument),
        (settings(usize::MAX), Kind::Argument),
        (settings(1 << 39), Kind::Limit),
        (Settings { memory: 0, ..settings(1) }, Kind::Limit),
        (Settings { rank: Some((1, 1)), ..settings(1) }, Kind::Argument),
        (Settings { rank: Some((0, u64::MAX)), ..settings(2) }, Kind::Argument),
        (Settings { start: Some(2), end: Some(1), ..settings(1) }, Kind::Argument),
        (Settings { end: Some(u64::MAX), ..settings(1) }, Kind::Argument),
        (Settings { workers: Some(0), ..settings(1) }, Kind::Argument),
        (Settings { workers: Some(2000), ..settings(1) }, Kind::Argument),
    ] {
        let result = settings.sessions(1).and_then(|workers| settings.check(&stream, workers));
        assert_eq!(result.unwrap_err().kind(), kind, "{settings:?}");
    }
    // More ahead than memory allows is no error: it is cut down.
    Settings { prefetch: usize::MAX, memory: 1 << 30, ..settings(1) }.check(&stream, 1).unwrap();
}

#[test]
fn a_consumer_that_keeps_everything_gets_everything() {
    let _dog = no_hang("keeper");
    let stream = stream(5000, 8);
    let settings = Settings { prefetch: 1, ..settings(10) };
    let loader = start(settings, &stream, &StandIn::willing(&stream), 2);
    let kept: Vec<_> = loader.map(Result::unwrap).collect();
    assert_eq!(kept.len(), 500);
    kept.iter().for_each(|batch| check_batch(&stream, batch));
}

#[test]
fn batches_outlive_their_loader() {
    let stream = stream(5000, 8);
    let mut loader = start(settings(10), &stream, &StandIn::willing(&stream), 2);
    let kept: Vec<_> = loader.by_ref().take(3).map(Result::unwrap).collect();
    drop(loader);
    assert_no_thread_left(&stream);
    kept.iter().for_each(|batch| check_batch(&stream, batch));
}

#[test]
fn buffers_come_round() {
    let stream = stream(1_000_000, 8);
    let settings = Settings { prefetch: 4, ..settings(16) };
    let mut loader = start(settings, &stream, &StandIn::willing(&stream), 2);
    let mut addresses = HashSet::new();
    for _ in 0..2000 {
        addresses.insert(loader.next().unwrap().unwrap().images().bytes().as_ptr() as usize);
    }
    // Four ahead, one in part, one with the consumer, one on its way back.
    assert!(addresses.len() <= 8, "{} buffers", addresses.len());
}
