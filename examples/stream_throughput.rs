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

mod contender;

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use contender::{answer, end, next, number, option, options, stream};
use genset::bench::{self, Settings};
use genset::load::{Batch, LoaderBuilder, Options, Stop};
use genset::{Dataset, Result};
use serde_json::{Value, json};

fn main() -> ExitCode {
    end(serve())
}

fn serve() -> Result<(), Box<dyn Error>> {
    let recipe = std::env::args().nth(1).ok_or("which recipe?")?;
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

fn write(batch: &Batch, folder: &Path) -> std::io::Result<Value> {
    let latents = batch.latents().expect("they were asked for");
    let raw = bytemuck::cast_slice(latents.as_slice().expect("latents in one piece"));
    std::fs::write(folder.join("latent"), raw)?;
    std::fs::write(folder.join("label"), bytemuck::cast_slice(batch.labels().unwrap_or_default()))?;
    std::fs::write(folder.join("images"), batch.images().bytes())?;
    Ok(json!({"latent": latents.shape(), "images": batch.images().shape()}))
}
