//! The bare generator in a tight loop.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::generate::Generator;
use crate::load::{Dataset, Stop};

/// Sessions that have been fed once and are ready to run again and again.
pub(super) struct Ceiling {
    generators: Vec<Generator>,
}

impl Ceiling {
    pub fn new(dataset: &Dataset, workers: usize) -> Result<Self> {
        let generated = dataset.generated()?;
        let inputs = dataset.block_inputs(0);
        let one = |_| {
            let mut generator = generated.generator()?;
            generator.run(&inputs, &mut |_, _| Ok(()))?;
            Ok(generator)
        };
        Ok(Self { generators: (0..workers).map(one).collect::<Result<_>>()? })
    }

    /// Images a second over all sessions at once.
    pub fn measure(&mut self, time: Duration, stop: &Stop) -> Result<f64> {
        let barrier = Barrier::new(self.generators.len());
        let done = AtomicBool::new(false);
        let run = |generator: &mut Generator| {
            barrier.wait();
            let begun = Instant::now();
            let mut images = 0;
            // All sessions load the machine until the slowest has had its time.
            while !done.load(Ordering::Relaxed) && !stop.is_stopped() {
                images += generator.run_again()?;
                if begun.elapsed() >= time {
                    done.store(true, Ordering::Relaxed);
                }
            }
            #[allow(clippy::cast_precision_loss)]
            let rate = images as f64 / begun.elapsed().as_secs_f64();
            Ok(rate)
        };
        let rates = thread::scope(|scope| {
            let run = &run;
            let spawn = |generator| scope.spawn(move || run(generator));
            let threads: Vec<_> = self.generators.iter_mut().map(spawn).collect();
            let joined = threads.into_iter().map(|thread| match thread.join() {
                Ok(rate) => rate,
                Err(_) => Err(Error::new(Kind::Worker, "a session panicked")),
            });
            joined.collect::<Result<Vec<f64>>>()
        })?;
        stop.check()?;
        Ok(rates.iter().sum())
    }
}
