//! What the threads of a loader count as they go. Every thread writes to cache lines of its own;
//! [`Counters::statistics`] reads them all, from any thread, at any time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::utils::CachePadded;

use super::clock::Clock;
use super::rate::Recent;
use super::replay::Replay;
use super::statistics::{Occupancy, Queues, Statistics};
use super::sync::{AtomicU64, Ordering};

/// What the planner does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Planning {
    /// Draws latents, cuts buffers.
    Draw,
    /// Waits for the consumer to take batches.
    Blocked,
    /// Waits for a worker to take a job.
    Ahead,
    Ended,
}

/// What a worker does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Working {
    /// Waits for a job.
    Idle,
    Generator,
    Views,
    /// Hands finished parts on.
    HandOver,
    Ended,
}

/// What the consumer does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Consuming {
    /// Waits for a batch.
    Wait,
    /// Anything else: a training step.
    Elsewhere,
}

#[derive(Debug)]
pub(super) struct Counters {
    begun: Instant,
    planner: CachePadded<PlannerCounters>,
    /// One for each worker, and one for what the consumer does of their work while it waits; of that
    /// one the clock means nothing.
    workers: Box<[CachePadded<WorkerCounters>]>,
    consumer: CachePadded<ConsumerCounters>,
    room: Room,
    /// Counts for itself.
    replay: Option<Arc<Replay>>,
}

/// What fits into each queue.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    pub jobs: usize,
    pub events: usize,
    /// Samples that may be under way.
    pub window: u64,
    /// Samples a batch.
    pub batch: usize,
}

#[derive(Debug)]
struct PlannerCounters {
    clock: Clock<3>,
    /// Samples in jobs.
    planned: AtomicU64,
    jobs: AtomicU64,
    events: AtomicU64,
}

#[derive(Debug)]
struct WorkerCounters {
    clock: Clock<4>,
    jobs: AtomicU64,
    /// Jobs that waited when this worker asked for one, in all.
    jobs_seen: AtomicU64,
    events: AtomicU64,
    /// Samples in finished parts.
    made: AtomicU64,
    calls: AtomicU64,
    /// Rows that the generator made.
    generated: AtomicU64,
}

#[derive(Debug)]
struct ConsumerCounters {
    clock: Clock<2>,
    samples: AtomicU64,
    /// Samples that had not been delivered before.
    unique: AtomicU64,
    images: AtomicU64,
    batches: AtomicU64,
    events: AtomicU64,
    /// Seen by the consumer when it asked for a batch, in all: how often, events, batches that
    /// were made, samples under way.
    looks: AtomicU64,
    events_seen: AtomicU64,
    ready_seen: AtomicU64,
    window_seen: AtomicU64,
    recent: Recent,
}

impl Counters {
    pub fn new(workers: usize, room: Room, replay: Option<Arc<Replay>>) -> Self {
        let zero = AtomicU64::default;
        let worker = |_| {
            CachePadded::new(WorkerCounters {
                clock: Clock::new(Working::Idle as usize),
                jobs: zero(),
                jobs_seen: zero(),
                events: zero(),
                made: zero(),
                calls: zero(),
                generated: zero(),
            })
        };
        Self {
            begun: Instant::now(),
            planner: CachePadded::new(PlannerCounters {
                clock: Clock::new(Planning::Draw as usize),
                planned: zero(),
                jobs: zero(),
                events: zero(),
            }),
            workers: (0..=workers).map(worker).collect(),
            consumer: CachePadded::new(ConsumerCounters {
                clock: Clock::new(Consuming::Elsewhere as usize),
                samples: zero(),
                unique: zero(),
                images: zero(),
                batches: zero(),
                events: zero(),
                looks: zero(),
                events_seen: zero(),
                ready_seen: zero(),
                window_seen: zero(),
                recent: Recent::default(),
            }),
            room,
            replay,
        }
    }

    /// Nanoseconds since the loader began: the common clock.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The planner turns to something else.
    pub fn planner(&self, activity: Planning) {
        self.planner.clock.switch(activity as usize, || self.now());
    }

    /// The planner has handed on a job for `samples`.
    pub fn planned(&self, samples: u64) {
        add(&self.planner.planned, samples);
        add(&self.planner.jobs, 1);
    }

    /// The planner has told the consumer something.
    pub fn told(&self) {
        add(&self.planner.events, 1);
    }

    /// Worker `worker` turns to something else.
    pub fn worker(&self, worker: usize, activity: Working) {
        self.workers[worker].clock.switch(activity as usize, || self.now());
    }

    /// Worker `worker` is about to ask for a job, of which `waiting` are there.
    pub fn asks(&self, worker: usize, waiting: usize) {
        add(&self.workers[worker].jobs_seen, waiting as u64);
    }

    /// Worker `worker` has got one.
    pub fn got(&self, worker: usize) {
        add(&self.workers[worker].jobs, 1);
    }

    /// Worker `worker` has been shown the rows of one generator call.
    pub fn called(&self, worker: usize) {
        add(&self.workers[worker].calls, 1);
    }

    /// The generator of worker `worker` has made `rows` rows.
    pub fn generated(&self, worker: usize, rows: usize) {
        add(&self.workers[worker].generated, rows as u64);
    }

    /// Worker `worker` has handed on a part with `samples`.
    pub fn made(&self, worker: usize, samples: usize) {
        add(&self.workers[worker].made, samples as u64);
        add(&self.workers[worker].events, 1);
    }

    /// The consumer asks for a batch, while `events` wait to be read.
    pub fn consumer_asks(&self, events: usize) {
        self.consumer.clock.switch(Consuming::Wait as usize, || self.now());
        let taken = self.consumer.samples.load(Ordering::Relaxed);
        add(&self.consumer.looks, 1);
        add(&self.consumer.events_seen, events as u64);
        let made: u64 = self.workers.iter().map(|w| w.made.load(Ordering::Relaxed)).sum();
        add(&self.consumer.ready_seen, made.saturating_sub(taken) / self.room.batch.max(1) as u64);
        let planned = self.planner.planned.load(Ordering::Relaxed);
        add(&self.consumer.window_seen, planned.saturating_sub(taken));
    }

    /// The consumer has read an event.
    pub fn read(&self) {
        add(&self.consumer.events, 1);
    }

    /// The consumer goes, with or without a batch.
    pub fn consumer_goes(&self) {
        self.consumer.clock.switch(Consuming::Elsewhere as usize, || self.now());
    }

    /// The consumer has got a batch; `unique` of its samples had not been delivered before.
    pub fn delivered(&self, samples: u64, unique: u64, images: u64) {
        add(&self.consumer.samples, samples);
        add(&self.consumer.unique, unique);
        add(&self.consumer.images, images);
        add(&self.consumer.batches, 1);
        self.consumer.recent.add(self.now(), images);
    }

    /// Everything, now.
    pub fn statistics(&self) -> Statistics {
        let now = || self.now();
        let (planner, consumer, room) = (&self.planner, &self.consumer, &self.room);
        let [latents, planner_blocked, planner_ahead] = planner.clock.read(now);
        let threads = &self.workers[..self.workers.len() - 1];
        let workers = threads.iter().map(|worker| worker.clock.read(now));
        let [workers_idle, generator, views, handing_over] =
            workers.fold([0; 4], |sum, one| std::array::from_fn(|i| sum[i] + one[i]));
        let [consumer_waited, _] = consumer.clock.read(now);
        // What was taken from a queue is read before what was put in, so that a queue may look
        // fuller by what happens in between, but never less than empty.
        let of_all = |one: fn(&WorkerCounters) -> &AtomicU64| {
            self.workers.iter().map(|worker| one(worker).load(Ordering::Relaxed)).sum::<u64>()
        };
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (samples, images, batches) =
            (of(&consumer.samples), of(&consumer.images), of(&consumer.batches));
        let (looks, events_read) = (of(&consumer.looks), of(&consumer.events));
        let (made, jobs_got) = (of_all(|w| &w.made), of_all(|w| &w.jobs));
        let events_sent = of_all(|w| &w.events) + of(&planner.events);
        let (planned, jobs_sent) = (of(&planner.planned), of(&planner.jobs));
        let batch = room.batch.max(1) as u64;
        let occupancy = |now: u64, seen, looks, room| Occupancy { now, seen, looks, room };
        let elapsed = self.now();
        Statistics {
            elapsed: Duration::from_nanos(elapsed),
            workers: threads.len(),
            latents: Duration::from_nanos(latents),
            planner_blocked: Duration::from_nanos(planner_blocked),
            planner_ahead: Duration::from_nanos(planner_ahead),
            generator: Duration::from_nanos(generator),
            views: Duration::from_nanos(views),
            handing_over: Duration::from_nanos(handing_over),
            workers_idle: Duration::from_nanos(workers_idle),
            consumer_waited: Duration::from_nanos(consumer_waited),
            samples,
            images,
            batches,
            calls: of_all(|w| &w.calls),
            generated: of_all(|w| &w.generated),
            unique: of(&consumer.unique),
            cache: self.replay.as_deref().map(Replay::statistics),
            recent_images_per_second: consumer.recent.per_second(elapsed, images),
            queues: Queues {
                jobs: occupancy(
                    jobs_sent.saturating_sub(jobs_got),
                    of_all(|w| &w.jobs_seen),
                    jobs_got,
                    room.jobs as u64,
                ),
                events: occupancy(
                    events_sent.saturating_sub(events_read),
                    of(&consumer.events_seen),
                    looks,
                    room.events as u64,
                ),
                ready: occupancy(
                    made.saturating_sub(samples) / batch,
                    of(&consumer.ready_seen),
                    looks,
                    room.window / batch,
                ),
                window: occupancy(
                    planned.saturating_sub(samples),
                    of(&consumer.window_seen),
                    looks,
                    room.window,
                ),
            },
        }
    }
}

/// Adds to a counter that only this thread writes: no locked instruction.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}
