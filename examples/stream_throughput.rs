//! Streams batches, as fast as it can: genset's side of `benches/peers/throughput.py`.
//!
//! ```text
//! stream_throughput RECIPE --batch 128 --workers 2 --threads 1 [--provider NAME]… \
//!     [--rewrites auto|none|LIST] [--set KEY=VALUE]…
//! ```
//!
//! Like every contender there (`benches/peers/stream_worker.py`), it answers `{"versions": …}` when
//! ready, then each line
//!
//! - `{"seconds": S}` with `{"images": N, "seconds": T}`: what was delivered in about that time,
//! - `{"write": FOLDER}` after writing one batch there: the inputs `latent` (f32) and `label`
//!   (i64), and `images`, all raw,
//! - `{"ceiling": S}` with `{"ceiling": R, "efficiency": E}`: the bare generator's images a second,
//!   and the loader's by it.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use genset::bench::{self, Settings};
use genset::load::{Batch, Loader, LoaderBuilder, Options, Stop};
use genset::{Dataset, Result};
use serde_json::{Value, json};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let recipe = std::env::args().nth(1).ok_or("which recipe?")?;
    let number = |name| Ok::<usize, Box<dyn Error>>(option(name).ok_or(name)?.parse()?);
    let (batch, workers, threads) =
        (number("--batch")?, number("--workers")?, number("--threads")?);
    let options = Options {
        providers: options("--provider").map(|name| name.parse()).collect::<Result<_>>()?,
        threads: Some(threads),
        rewrites: option("--rewrites").unwrap_or_else(|| "auto".into()).parse()?,
        settings: options("--set").collect(),
        ..Options::default()
    };
    let dataset = Dataset::open_with(recipe, options)?;
    let set_up = |builder: LoaderBuilder| builder.batch(batch).workers(workers).rank(0, 1);
    let mut loader = set_up(dataset.loader()).epochs(None).build()?;
    // A provider that prepares on its first call does so now.
    next(&mut loader)?;
    let versions = json!({
        "genset": env!("CARGO_PKG_VERSION"),
        "ONNX Runtime of genset": dataset.generated().unwrap().runtime().version(),
    });
    answer(&json!({ "versions": versions }))?;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        if let Some(folder) = request["write"].as_str() {
            let inputs = set_up(dataset.loader()).range(0..batch as u64).latents(true);
            answer(&write(&next(&mut inputs.build()?)?, Path::new(folder))?)?;
        } else if let Some(seconds) = request["ceiling"].as_f64() {
            let round = Duration::from_secs_f64(seconds);
            let settings = Settings { rounds: 1, round, ..Settings::default() };
            let report = bench::run(&dataset, &set_up, &settings, &Stop::new(), &mut |_, _| {})?;
            answer(&json!({
                "ceiling": report.ceiling_images_per_second,
                "efficiency": report.efficiency,
            }))?;
        } else {
            let seconds = request["seconds"].as_f64().ok_or("for how long?")?;
            answer(&stream(&mut loader, workers, seconds)?)?;
        }
    }
    Ok(())
}

/// Delivers for about so long, from the end of one batch to the end of another. Their number is
/// a multiple of the workers', as batches of workers that go in step come together.
fn stream(loader: &mut Loader, workers: usize, seconds: f64) -> Result<Value> {
    next(loader)?;
    let begun = Instant::now();
    let mut images = 0;
    while begun.elapsed().as_secs_f64() < seconds {
        for _ in 0..workers {
            let batch = next(loader)?;
            images += batch.len() * batch.images().shape()[1];
        }
    }
    Ok(json!({"images": images, "seconds": begun.elapsed().as_secs_f64()}))
}

fn next(loader: &mut Loader) -> Result<Batch> {
    loader.next().expect("a loader over endlessly many epochs, or a batch that there is")
}

fn write(batch: &Batch, folder: &Path) -> std::io::Result<Value> {
    let latents = batch.latents().expect("they were asked for");
    let raw = bytemuck::cast_slice(latents.as_slice().expect("latents in one piece"));
    std::fs::write(folder.join("latent"), raw)?;
    std::fs::write(folder.join("label"), bytemuck::cast_slice(batch.labels().unwrap_or_default()))?;
    std::fs::write(folder.join("images"), batch.images().bytes())?;
    Ok(json!({"latent": latents.shape(), "images": batch.images().shape()}))
}

/// The values that follow `name` on the command line.
fn options(name: &str) -> impl Iterator<Item = String> {
    let words: Vec<String> = std::env::args().collect();
    let pairs: Vec<_> =
        words.windows(2).filter(|pair| pair[0] == name).map(<[_]>::to_vec).collect();
    pairs.into_iter().map(|pair| pair[1].clone())
}

fn option(name: &str) -> Option<String> {
    options(name).next()
}

fn answer(content: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{content}")?;
    out.flush()
}
