//! Order and completeness, whatever the settings.

use super::*;

#[test]
fn everything_is_delivered_in_order_at_the_edges_of_every_setting() {
    let _dog = no_hang("edges of settings");
    for (samples, block) in [(1, 1), (130, 1), (130, 7), (130, 1024), (2050, 1024)] {
        let stream = stream(samples, block);
        let stand_in = StandIn::willing(&stream);
        for batch in [1, 64, 3000] {
            for workers in [1, 64] {
                for prefetch in [1, 8] {
                    let settings = Settings { prefetch, ..settings(batch) };
                    let mut next = 0;
                    let loader = start(settings, &stream, &stand_in, workers);
                    let monitor = loader.monitor();
                    for batch in loader {
                        let batch = batch.unwrap();
                        assert_eq!(batch.positions().start, next);
                        next = batch.positions().end;
                        check_batch(&stream, &batch);
                        // Slow at first, so that all that may be made is made; then fast.
                        if next < 5 * batch.len() as u64 {
                            thread::sleep(Duration::from_millis(2));
                        }
                        let window = monitor.statistics().queues.window;
                        assert!(window.now <= window.room, "{window:?}");
                    }
                    assert_eq!(next, samples, "block {block}, batch {batch}, workers {workers}");
                }
            }
        }
        assert_no_thread_left(&stream);
    }
}

#[test]
fn calls_that_make_part_of_a_block_fill_every_place() {
    let stream = stream(100, 16);
    for rows_a_call in [1, 3, 5, 31] {
        let stand_in = StandIn { rows_a_call, ..StandIn::willing(&stream) };
        let loader = start(settings(7), &stream, &stand_in, 3);
        loader.for_each(|batch| check_batch(&stream, &batch.unwrap()));
    }
}

/// A window holds far more short batches than full ones, so whatever has room for so many full
/// ones must not be what the consumer or the planner waits for.
#[test]
fn short_passes_without_end_go_on() {
    let _dog = no_hang("short passes");
    for samples in [1, 3, 300] {
        let stream = stream(samples, 4);
        let settings = Settings { epochs: None, ..settings(256) };
        let mut loader = start(settings, &stream, &StandIn::willing(&stream), 2);
        let mut delivered = 0;
        for _ in 0..5000 {
            let batch = loader.next().unwrap().unwrap();
            assert_eq!(batch.positions().start, delivered % samples);
            delivered += batch.len() as u64;
            if delivered < 1000 {
                check_batch(&stream, &batch);
                // The planner runs as far ahead as it can.
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(loader.state().epoch, delivered / samples);
        }
        drop(loader);
        assert_no_thread_left(&stream);
    }
}

#[test]
fn every_pass_over_a_range_is_over_that_range() {
    let stream = stream(100, 8);
    let settings = Settings { start: Some(30), end: Some(50), epochs: Some(3), ..settings(7) };
    let mut loader = start(settings, &stream, &StandIn::willing(&stream), 2);
    let indices: Vec<u64> = loader.by_ref().flat_map(|batch| batch.unwrap().index()).collect();
    assert_eq!(indices, (0..3).flat_map(|_| 30..50).collect::<Vec<_>>());
    assert_eq!((loader.state().epoch, loader.state().next), (2, 50));
}

#[test]
fn passes_without_a_batch_end_at_once() {
    let _dog = no_hang("empty passes");
    let stream = stream(10, 8);
    let stand_in = StandIn::willing(&stream);
    for settings in [
        Settings { drop_last: true, epochs: None, ..settings(256) },
        Settings { rank: Some((0, 20)), epochs: None, ..settings(256) },
        Settings { start: Some(10), end: Some(10), epochs: None, ..settings(4) },
    ] {
        assert!(start(settings, &stream, &stand_in, 2).next().is_none());
    }
    assert_no_thread_left(&stream);
}
