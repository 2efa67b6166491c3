//! Statistics while a loader runs: times that add up, queues that are as full as they must be,
//! and the verdict on pipelines that are slow on purpose.

use std::time::Instant;

use super::*;
use crate::load::{Monitor, Stage, Statistics};

fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// Takes `batches` from a loader of 2 workers whose generator takes `call`, with a consumer that
/// takes `step` for each, and a window of `prefetch` batches.
fn after(batches: usize, call: u64, step: u64, prefetch: usize) -> Statistics {
    let stream = stream(1_000_000, 8);
    let stand_in = StandIn::new(&stream, move |_, _| {
        pause(call);
        Ok(())
    });
    let mut loader = start(Settings { prefetch, ..settings(8) }, &stream, &stand_in, 2);
    loader.next().unwrap().unwrap();
    let begun = loader.statistics();
    for _ in 0..batches {
        pause(step);
        loader.next().unwrap().unwrap();
    }
    loader.statistics().since(&begun)
}

#[test]
fn a_slow_generator_and_a_slow_consumer_are_told_apart() {
    let slow_generator = after(20, 10, 0, 4);
    assert_eq!(slow_generator.limiting_stage(), Stage::Generator, "{slow_generator:?}");
    let slow_consumer = after(20, 1, 10, 4);
    assert_eq!(slow_consumer.limiting_stage(), Stage::Consumer, "{slow_consumer:?}");
    // Its batches wait for it.
    assert!(slow_consumer.queues.ready.mean() >= 1.0, "{slow_consumer:?}");
    assert!(slow_generator.queues.ready.mean() < 1.0, "{slow_generator:?}");
}

/// Eight workers, and a window in which few of them find a block: memory allows no more.
#[test]
fn a_window_that_keeps_workers_idle_is_named() {
    let stream = stream(1_000_000, 64);
    let stand_in = StandIn::new(&stream, |_, _| {
        pause(5);
        Ok(())
    });
    let mut settings = settings(64);
    settings.memory = super::least_memory(&settings, &stream, 8);
    let mut loader = start(settings, &stream, &stand_in, 8);
    loader.by_ref().take(20).for_each(|batch| drop(batch.unwrap()));
    let statistics = loader.statistics();
    assert_eq!(statistics.limiting_stage(), Stage::Window, "{statistics:?}");
}

#[test]
fn every_thread_s_time_adds_up_while_it_runs_and_after() {
    let stream = stream(4000, 8);
    let stand_in = StandIn::new(&stream, |_, _| {
        pause(1);
        Ok(())
    });
    let mut loader = start(settings(16), &stream, &stand_in, 3);
    let monitor = loader.monitor();
    let mut before = Statistics::default();
    let mut grows = move |now: Statistics| {
        for (was, is) in [
            (before.latents, now.latents),
            (before.generator, now.generator),
            (before.views, now.views),
            (before.workers_idle, now.workers_idle),
            (before.consumer_waited, now.consumer_waited),
        ] {
            assert!(was <= is, "{before:?}, then {now:?}");
        }
        before = now;
    };
    for _ in 0..20 {
        drop(loader.next().unwrap().unwrap());
        let least = monitor.statistics().elapsed;
        let s = monitor.statistics();
        grows(s);
        let planner = s.latents + s.planner_blocked + s.planner_ahead;
        let workers = s.generator + s.views + s.handing_over + s.workers_idle;
        assert!(least <= planner && planner <= s.elapsed, "{s:?}");
        assert!(least * 3 <= workers && workers <= s.elapsed * 3, "{s:?}");
        assert_eq!(s.samples, loader.state().next);
        for (name, queue) in s.queues.named() {
            // One more where a sender waits with it in its hands.
            assert!(queue.now <= queue.room + 3, "{name}: {queue:?}");
        }
    }
    loader.by_ref().for_each(|batch| drop(batch.unwrap()));
    drop(loader);
    // What has ended takes no more time, and leaves nothing under way.
    let s = monitor.statistics();
    pause(20);
    let later = monitor.statistics();
    grows(s);
    assert_eq!((s.generator, s.workers_idle, s.latents), {
        (later.generator, later.workers_idle, later.latents)
    });
    assert_eq!((s.samples, s.images, s.batches, s.calls), (4000, 8000, 250, 500));
    assert_eq!((s.queues.window.now, s.queues.ready.now, s.queues.jobs.now), (0, 0, 0));
    assert_no_thread_left(&stream);
}

/// Not only once it has ended: one that waits for minutes must be seen to wait.
#[test]
fn a_wait_counts_while_it_lasts() {
    let stream = stream(100, 8);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let stand_in = StandIn::new(&stream, move |_, _| {
        let _ = held.lock().unwrap().recv();
        Ok(())
    });
    let monitor = Monitor::new();
    let settings = Settings { monitor: Some(monitor.clone()), ..settings(8) };
    assert_eq!(monitor.statistics(), Statistics::default());
    let mut loader = start(settings, &stream, &stand_in, 1);
    let consumer = thread::spawn(move || loader.next().unwrap().unwrap().len());
    let begun = Instant::now();
    loop {
        let s = monitor.statistics();
        let long = Duration::from_millis(50);
        if s.generator > long && s.consumer_waited > long {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{s:?}");
        pause(5);
    }
    drop(hold);
    assert_eq!(consumer.join().unwrap(), 8);
}

#[test]
fn what_happened_since_is_a_difference() {
    let stream = stream(100, 8);
    let mut loader = start(settings(8), &stream, &StandIn::willing(&stream), 1);
    loader.by_ref().take(3).for_each(|batch| drop(batch.unwrap()));
    let earlier = loader.statistics();
    let nothing = earlier.since(&earlier);
    assert_eq!((nothing.samples, nothing.elapsed), (0, Duration::ZERO));
    assert_eq!(nothing.queues.ready.mean(), 0.0);
    assert_eq!(nothing.queues.ready.room, earlier.queues.ready.room);
    assert_eq!(earlier.since(&Statistics::default()), earlier);
}
