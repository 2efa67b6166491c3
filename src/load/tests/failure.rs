//! Workers that fail, consumers that leave, and the switch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::*;
use crate::error::{Error, Kind};
use crate::load::Stop;

/// What "at once" means, besides the generator call in flight.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Takes whole batches until the error, and checks that it is the last thing.
pub(super) fn take_until_error(stream: &Stream, loader: &mut Loader) -> (u64, Error) {
    let mut delivered = 0;
    let error = loop {
        match loader.next().expect("an error, not the end") {
            Ok(batch) => {
                assert_eq!(batch.positions().start, delivered);
                check_batch(stream, &batch);
                delivered = batch.positions().end;
            }
            Err(error) => break error,
        }
    };
    assert!(loader.next().is_none() && loader.next().is_none(), "errors are final");
    assert_eq!(loader.state().next, delivered, "what failed was not delivered");
    (delivered, error)
}

#[test]
fn a_worker_that_panics_is_an_error_that_names_the_block() {
    let _dog = no_hang("panic");
    let stream = stream(400, 4);
    for workers in [1, 3, 64] {
        let stand_in = StandIn::new(&stream, |first, _| {
            assert!(first < 120, "cracked");
            Ok(())
        });
        let mut loader = start(settings(3), &stream, &stand_in, workers);
        let (delivered, error) = take_until_error(&stream, &mut loader);
        assert_eq!(delivered, 120, "batches before the broken block");
        assert_eq!(error.kind(), Kind::Worker);
        let message = error.to_string();
        assert!(
            message.starts_with("block of sample 120: a worker panicked: cracked"),
            "{message}"
        );
        drop((loader, stand_in));
        assert_no_thread_left(&stream);
    }
}

#[test]
fn the_first_of_many_failures_in_order_is_the_one_reported() {
    let _dog = no_hang("failures");
    let stream = stream(400, 4);
    for workers in [1, 2, 5] {
        // Later blocks fail sooner.
        let stand_in = StandIn::new(&stream, |first, _| {
            thread::sleep(Duration::from_millis(if first < 100 { 4 } else { 0 }));
            match first {
                0..80 => Ok(()),
                _ => Err(Error::new(Kind::Model, format!("cannot make {first}"))),
            }
        });
        let mut loader = start(settings(10), &stream, &stand_in, workers);
        let (delivered, error) = take_until_error(&stream, &mut loader);
        assert_eq!((delivered, error.summary().as_str()), (80, "cannot make 80"));
    }
}

#[test]
fn a_bad_image_names_sample_and_view() {
    let stream = stream(100, 8);
    // Row 13 of block 16..24 is view 1 of sample 22.
    let stand_in = StandIn::new(&stream, |first, values| {
        if first == 16 {
            values[13 * IMAGE + 2] = f32::NAN;
        }
        Ok(())
    });
    let mut loader = start(settings(5), &stream, &stand_in, 2);
    let (delivered, error) = take_until_error(&stream, &mut loader);
    assert_eq!((error.kind(), error.sample()), (Kind::Sample, Some(22)));
    assert!(error.summary().contains("sample 22, view 1"), "{error}");
    assert!(error.summary().contains("NaN"), "{error}");
    assert_eq!(delivered, 20, "every batch before the one that holds it");
}

#[test]
fn samples_that_nobody_asked_for_may_be_bad() {
    let stream = stream(100, 8);
    let stand_in = StandIn::new(&stream, |_, values| {
        values[..3 * VIEWS * IMAGE].fill(f32::INFINITY);
        Ok(())
    });
    let settings = Settings { start: Some(19), end: Some(24), ..settings(5) };
    let batches: Vec<_> = start(settings, &stream, &stand_in, 1).collect();
    check_batch(&stream, batches[0].as_ref().unwrap());
}

#[test]
fn dropping_a_loader_takes_no_longer_than_the_call_in_flight() {
    let _dog = no_hang("drop");
    let call = Duration::from_millis(100);
    for (block, taken) in [(1, 0), (1, 1), (16, 0), (16, 3)] {
        let stream = stream(100_000, block);
        let stand_in = StandIn::new(&stream, move |_, _| {
            thread::sleep(call);
            Ok(())
        });
        let mut loader = start(settings(2), &stream, &stand_in, 8);
        for _ in 0..taken {
            loader.next().unwrap().unwrap();
        }
        thread::sleep(Duration::from_millis(10));
        let begun = Instant::now();
        drop(loader);
        assert!(begun.elapsed() < call + AT_ONCE, "{:?}", begun.elapsed());
        drop(stand_in);
        assert_no_thread_left(&stream);
    }
}

#[test]
fn a_block_of_many_calls_is_left_between_two() {
    let stream = stream(100_000, 1024);
    let calls = Arc::new(AtomicU64::new(0));
    struct Slow(Arc<AtomicU64>);
    impl MakeRows for Slow {
        fn make(
            &mut self,
            inputs: &BlockInputs,
            sink: &mut dyn FnMut(usize, TensorView<'_>) -> Result<()>,
        ) -> Result<()> {
            for row in 0..inputs.rows {
                self.0.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
                sink(row, TensorView::F32(&[0.5; IMAGE]))?;
            }
            Ok(())
        }
    }
    let loader = settings(2).start(&stream, vec![Box::new(Slow(Arc::clone(&calls)))]).unwrap();
    while calls.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    let begun = Instant::now();
    drop(loader);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn the_switch_ends_a_waiting_consumer() {
    let _dog = no_hang("stop");
    let stream = stream(100_000, 4);
    let call = Duration::from_millis(30);
    let stand_in = StandIn::new(&stream, move |_, _| {
        thread::sleep(call);
        Ok(())
    });
    let stop = Stop::new();
    // A batch takes more than a second, so the consumer is waiting for the first.
    let settings = Settings { stop: stop.clone(), ..settings(400) };
    let mut loader = start(settings, &stream, &stand_in, 2);
    let switch = thread::spawn(move || {
        thread::sleep(Duration::from_millis(120));
        stop.stop();
        Instant::now()
    });
    let error = loader.next().unwrap().unwrap_err();
    let stopped = switch.join().unwrap();
    assert!(stopped.elapsed() < call + AT_ONCE, "{:?}", stopped.elapsed());
    assert!(error.is_interrupted());
    assert!(loader.next().is_none(), "errors are final, also where the switch stays on");
    drop((loader, stand_in));
    assert_no_thread_left(&stream);
}

#[test]
fn the_switch_thrown_before_or_after() {
    let stream = stream(10, 4);
    let stop = Stop::new();
    let with = || Settings { stop: stop.clone(), ..settings(4) };
    let mut whole = start(with(), &stream, &StandIn::willing(&stream), 2);
    assert_eq!(whole.by_ref().count(), 3);
    stop.stop();
    assert!(whole.next().is_none(), "the end is the end");
    let mut late = start(with(), &stream, &StandIn::willing(&stream), 2);
    assert!(late.next().unwrap().unwrap_err().is_interrupted());
    assert!(late.next().is_none());
}

#[test]
fn a_loader_that_has_ended_has_no_threads() {
    let stream = stream(10, 4);
    let mut loader = start(settings(4), &stream, &StandIn::willing(&stream), 8);
    assert_eq!(loader.by_ref().count(), 3);
    // The loader and the test.
    assert_eq!(Arc::strong_count(&stream), 2);
    assert_eq!(loader.statistics().samples, 10);
}

#[test]
fn a_loader_may_be_dropped_by_another_thread_while_workers_are_inside_a_call() {
    let _dog = no_hang("drop elsewhere");
    let stream = stream(100_000, 4);
    let inside = Arc::new(AtomicBool::new(false));
    let stand_in = StandIn::new(&stream, {
        let inside = Arc::clone(&inside);
        move |_, _| {
            inside.store(true, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(50));
            Ok(())
        }
    });
    let loader = start(settings(64), &stream, &stand_in, 4);
    while !inside.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    thread::spawn(move || drop(loader)).join().unwrap();
    drop(stand_in);
    assert_no_thread_left(&stream);
}

#[test]
fn a_consumer_that_panics_leaves_no_thread() {
    let _dog = no_hang("consumer's panic");
    let stream = stream(100_000, 4);
    let mut loader = start(settings(10), &stream, &StandIn::willing(&stream), 3);
    let consumer = thread::spawn(move || {
        let batch = loader.next().unwrap().unwrap();
        assert!(batch.is_empty(), "as expected by the test");
    });
    assert!(consumer.join().is_err());
    assert_no_thread_left(&stream);
}
