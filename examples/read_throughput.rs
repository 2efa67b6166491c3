//! Reads images from disk, as fast as it can: genset's side of `benches/peers/reading.py`.
//!
//! ```text
//! read_throughput STORE --size 224 --batch 256 --workers 2 [--shuffle] [--zero-copy]
//! read_throughput FOLDER --size 32 --shards DIR
//! ```
//!
//! The first reads whatever `Dataset::open` opens, brought to this size. Like every contender there
//! (`benches/peers/reading_worker.py`), it answers `{"versions": …}` when its first batch has come,
//! then each line
//!
//! - `{"seconds": S}` with `{"images": N, "seconds": T}`: what was delivered in about that time,
//! - `{"write": FOLDER}` with `{"images": [B, …]}` after writing the next batch there: `images`, u8,
//!   and `label`, i64, both raw.
//!
//! The second writes what it reads as safetensors shards of raw images.

mod contender;

use std::error::Error;
use std::fs;
use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;

use contender::{answer, end, next, number, option, required, stream};
use genset::Dataset;
use genset::load::{Batch, Options};
use genset::shard::{Export, Shards};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let done = match option("--shards") {
        Some(folder) => write_shards(Path::new(&folder)),
        None => serve(),
    };
    end(done)
}

/// What the command line names, with images of the size that it wants.
fn open() -> Result<Dataset, Box<dyn Error>> {
    let store = std::env::args().nth(1).ok_or("which files?")?;
    let mut options = Options::default();
    // Shards have the size that they were written with, and can then be read as they lie.
    if !Shards::is_there(Path::new(&store)) {
        let size = required("--size")?;
        options.settings = vec![format!("source.size={size}"), "source.channels=3".into()];
        // As most others deliver what they decode.
        options.settings.push("output.layout=NHWC".into());
    }
    Ok(Dataset::open_with(store, options)?)
}

fn serve() -> Result<(), Box<dyn Error>> {
    let (batch, workers) = (number("--batch")?, number("--workers")?.max(1));
    let dataset = open()?;
    let shuffle = flag("--shuffle").then_some(0);
    let builder = dataset.loader().batch(batch).workers(workers).rank(0, 1).drop_last(true);
    let builder = builder.epochs(None).shuffle(shuffle).zero_copy(flag("--zero-copy"));
    let mut loader = builder.build()?;
    next(&mut loader)?;
    answer(&json!({ "versions": { "genset": env!("CARGO_PKG_VERSION") } }))?;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        if let Some(folder) = request["write"].as_str() {
            answer(&write(&next(&mut loader)?, Path::new(folder))?)?;
        } else {
            let seconds = request["seconds"].as_f64().ok_or("for how long?")?;
            answer(&stream(&mut loader, workers, seconds)?)?;
        }
    }
    Ok(())
}

fn write(batch: &Batch, folder: &Path) -> std::io::Result<Value> {
    fs::write(folder.join("label"), bytemuck::cast_slice(batch.labels().unwrap_or_default()))?;
    fs::write(folder.join("images"), batch.images().bytes())?;
    Ok(json!({ "images": batch.images().shape() }))
}

/// Writes the images and labels that there are as raw shards.
fn write_shards(folder: &Path) -> Result<(), Box<dyn Error>> {
    let export = Export { rank: Some((0, 1)), ..Export::default() };
    export.run(&open()?, folder, &|builder| builder, &mut |_| {})?;
    Ok(())
}

fn flag(name: &str) -> bool {
    std::env::args().any(|word| word == name)
}
