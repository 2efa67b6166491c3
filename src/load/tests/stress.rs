//! Thousands of short loaders with random settings and random delays.

use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::load::Stop;

/// Long enough for a few thousand loaders, short enough to run every time.
const TIME: Duration = Duration::from_secs(8);
const LOADERS: u64 = 4000;

/// SplitMix64 (Steele, Lea and Flood, 2014): a run can be repeated from its number.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `1..=n`, small ones more often.
    fn up_to(&mut self, n: u64) -> u64 {
        let top = 1 + self.next() % n;
        1 + self.next() % top
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    /// Nothing, a switch of threads, or a short sleep.
    fn pause(&mut self) {
        match self.next() % 16 {
            0..10 => {}
            10..14 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(self.next() % 300)),
        }
    }
}

#[test]
fn short_loaders_with_random_settings_deliver_everything_in_order() {
    let now = Arc::new(Mutex::new(String::new()));
    let dog = watchdog(Duration::from_secs(60), {
        let now = Arc::clone(&now);
        move || now.lock().map(|now| now.clone()).unwrap_or_default()
    });
    let begun = Instant::now();
    let mut runs = 0;
    while runs < LOADERS && begun.elapsed() < TIME {
        one_run(runs, &now);
        dog.fed();
        runs += 1;
    }
    println!("{runs} runs");
}

fn one_run(run: u64, now: &Mutex<String>) {
    let mut random = Random(run);
    let samples = random.up_to(300);
    let kind = if random.one_in(3) { grouped } else { stream };
    let stream = kind(samples, u32::try_from(random.up_to(40)).unwrap());
    let start = (random.next() % samples) * u64::from(random.one_in(3));
    let world = random.up_to(4);
    let stop = Stop::new();
    let mut settings = Settings {
        prefetch: random.up_to(6) as usize,
        start: Some(start),
        epochs: Some(random.up_to(3)),
        drop_last: random.one_in(4),
        view_threads: (random.next() % 3) as usize,
        stop: stop.clone(),
        ..settings(random.up_to(80) as usize)
    };
    let workers = random.up_to(6) as usize;
    if random.one_in(3) {
        settings.memory = super::least_memory(&settings, &stream, workers);
    }
    *now.lock().unwrap() = format!("run {run}: {workers} workers, world {world}, {settings:?}");
    // Some leave early, some throw the switch.
    let leave = random.one_in(4).then(|| random.next() % 20);
    let throw = random.one_in(2);

    let mut delivered = Vec::new();
    for rank in 0..world {
        let settings = Settings { rank: Some((rank, world)), ..settings.clone() };
        let noise = Mutex::new(Random(run ^ rank << 32));
        let mut stand_in = StandIn::new(&stream, move |_, _| {
            let mut mine = noise.lock().map(|mut noise| Random(noise.next())).unwrap();
            mine.pause();
            Ok(())
        });
        stand_in.rows_a_call = random.up_to(80) as usize;
        let mut loader = super::start(settings, &stream, &stand_in, workers);
        let mut last = None;
        for taken in 0.. {
            if leave == Some(taken) {
                if throw {
                    stop.stop();
                    assert!(loader.next().is_none_or(|batch| batch.is_err()), "stopped");
                    assert!(loader.next().is_none(), "final");
                }
                break;
            }
            let Some(batch) = loader.next() else { break };
            let batch = batch.unwrap();
            let place = (loader.state().epoch, loader.state().next);
            assert!(last < Some(place), "state goes on");
            last = Some(place);
            check_batch(&stream, &batch);
            delivered.extend(batch.index());
            random.pause();
        }
        drop(loader);
        drop(stand_in);
        assert_no_thread_left(&stream);
        if stop.is_stopped() {
            return;
        }
    }
    if leave.is_none() {
        delivered.sort_unstable();
        let epochs = settings.epochs.unwrap();
        let step = world * settings.batch as u64;
        let end =
            if settings.drop_last { start + (samples - start) / step * step } else { samples };
        let wanted = (start..end).flat_map(|i| (0..epochs).map(move |_| i)).collect::<Vec<_>>();
        assert_eq!(delivered, wanted, "run {run}");
    }
}
