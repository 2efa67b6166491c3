//! Trains an encoder, as fast as it can: genset's side of `benches/peers/training.py`.
//!
//! ```text
//! train_throughput RECIPE --encoder NAME --channels 3 --batch 64 --threads 2 [--provider NAME]… \
//!     [--precision f32|bf16] [--set KEY=VALUE]… [--standard]
//! ```
//!
//! Like every contender there, it answers `{"versions": …, "parameters": P}` when ready, then each line
//! `{"seconds": S}` with `{"images": N, "seconds": T, "steps": K, "waited": W}`: images of all views
//! that were learnt from in about that time, and the seconds of it that no data was there.

mod contender;

use std::error::Error;
use std::io::BufRead;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use contender::{answer, end, next, number, option, options, required};
use genset::load::{Loader, Options};
use genset::recipe::Precision;
use genset::runtime::{Runtime, SessionOptions};
use genset::train::{Architecture, Encoder, Objective, Settings, Stepper, Training};
use genset::{Dataset, Result};
use serde_json::{Value, json};

fn main() -> ExitCode {
    end(serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let recipe = std::env::args().nth(1).ok_or("which recipe?")?;
    let (batch, threads, channels) =
        (number("--batch")?, number("--threads")?, number("--channels")?);
    let dataset = Dataset::open_with(
        recipe,
        Options { settings: options("--set").collect(), ..Options::default() },
    )?;
    let architecture: Architecture = required("--encoder")?.parse()?;
    let encoder = Encoder::of(architecture.build(channels, 32, 0)?, None)?;
    let settings = Settings {
        objective: Objective::Contrast { temperature: 0.2 },
        batch,
        ..Settings::default()
    };
    let runtime = Runtime::open(&Options::default().search)?;
    let mut training = Training::new(settings, runtime);
    let precision = option("--precision").unwrap_or_else(|| "f32".into());
    let known = Precision::ALL.into_iter().find(|(name, _)| *name == precision);
    training.session = SessionOptions {
        providers: options("--provider").map(|name| name.parse()).collect::<Result<_>>()?,
        threads,
        precision: known.ok_or("which precision?")?.1,
        ..SessionOptions::default()
    };
    training.own_kernels = !std::env::args().any(|word| word == "--standard");
    let mut stepper = training.stepper(&dataset, &encoder)?;
    let builder = dataset.loader().batch(batch).workers(1).rank(0, 1).epochs(None).drop_last(true);
    let mut loader = builder.build()?;
    steps(&mut stepper, &mut loader, 0.0)?;
    answer(&json!({
        "versions": {"genset": env!("CARGO_PKG_VERSION"), "ONNX Runtime of genset": runtime.version()},
        "parameters": encoder.trained(),
    }))?;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let seconds = request["seconds"].as_f64().ok_or("for how long?")?;
        answer(&steps(&mut stepper, &mut loader, seconds)?)?;
    }
    Ok(())
}

/// Whole steps for about so long, at least one.
fn steps(stepper: &mut Stepper, loader: &mut Loader, seconds: f64) -> Result<Value> {
    let begun = Instant::now();
    let (mut images, mut steps, mut waited) = (0, 0, Duration::ZERO);
    loop {
        let asked = Instant::now();
        let batch = next(loader)?;
        waited += asked.elapsed();
        images += batch.len() * batch.groups().iter().map(|group| group.shape()[1]).sum::<usize>();
        stepper.step(&[batch], 0.01, 0.0)?;
        steps += 1;
        let time = begun.elapsed().as_secs_f64();
        if time >= seconds {
            let waited = waited.as_secs_f64();
            return Ok(
                json!({"images": images, "seconds": time, "steps": steps, "waited": waited}),
            );
        }
    }
}
