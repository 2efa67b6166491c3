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

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use genset::codec::{Encoding, Form, Picture, RawForm};
use genset::load::{Batch, Loader, Options};
use genset::shard::{
    Contents, Format, GroupForm, MANIFEST, Manifest, Provenance, SampleRecord, ShardEntry,
    ShardForm, Shards, safetensors,
};
use genset::{Dataset, Result};
use serde_json::{Value, json};

/// Bytes of images in a shard.
const SHARD_BYTES: usize = 256 << 20;

fn main() -> ExitCode {
    let done = match option("--shards") {
        Some(folder) => write_shards(Path::new(&folder)),
        None => serve(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line names, with images of the size that it wants.
fn open() -> Result<Dataset, Box<dyn Error>> {
    let store = std::env::args().nth(1).ok_or("which files?")?;
    let mut options = Options::default();
    // Shards have the size that they were written with, and can then be read as they lie.
    if !Shards::is_there(Path::new(&store)) {
        let size = option("--size").ok_or("--size")?;
        options.settings = vec![format!("source.size={size}"), "source.channels=3".into()];
    }
    Ok(Dataset::open_with(store, options)?)
}

fn serve() -> Result<(), Box<dyn Error>> {
    let number = |name| Ok::<usize, Box<dyn Error>>(option(name).ok_or(name)?.parse()?);
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
    loader.next().expect("a loader over endlessly many epochs")
}

fn write(batch: &Batch, folder: &Path) -> std::io::Result<Value> {
    fs::write(folder.join("label"), bytemuck::cast_slice(batch.labels().unwrap_or_default()))?;
    fs::write(folder.join("images"), batch.images().bytes())?;
    Ok(json!({ "images": batch.images().shape() }))
}

/// Writes the images and labels that there are as raw shards, and the manifest of their folder.
fn write_shards(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let dataset = open()?;
    let ((_, [views, channels, height, width], dtype), end) =
        (dataset.groups().remove(0), dataset.range().end);
    let first = dataset.get(dataset.range().start)?;
    let layout = first.images().layout();
    let form = RawForm { channels, height, width, dtype, layout };
    let group = GroupForm { name: String::new(), views, form };
    let each = (SHARD_BYTES / dataset.sample_bytes()).max(1) as u64;
    let mut manifest = Manifest {
        dataset: dataset.digest(),
        name: "images".into(),
        contents: Contents::Delivered,
        format: Format::Safetensors,
        form: ShardForm {
            groups: vec![group],
            encoding: Encoding::Raw,
            labels: first.labels().is_some(),
            classes: Vec::new(),
            latents: None,
            parameters: false,
        },
        samples: dataset.range(),
        samples_per_shard: each,
        model: None,
        provenance: Provenance {
            genset: env!("CARGO_PKG_VERSION").into(),
            runtime: String::new(),
            providers: Vec::new(),
            precision: String::new(),
            rewrites: Vec::new(),
        },
        recipe: String::new(),
        part: None,
        shards: Vec::new(),
    };
    for number in 0..end.div_ceil(each) {
        let samples = number * each..end.min((number + 1) * each);
        let name = manifest.format.shard_name(&manifest.name, number);
        let path = folder.join(&name);
        let form = &manifest.form;
        let mut writer =
            safetensors::create(File::create(&path)?, form, samples.clone(), &BTreeMap::new())?;
        for batch in dataset.loader().rank(0, 1).range(samples.clone()).build()? {
            let batch = batch?;
            for (at, index) in batch.index().into_iter().enumerate() {
                let pictures: Vec<_> = (0..views)
                    .map(|view| Picture {
                        bytes: batch.images().view_bytes(at, view),
                        form: Form::Raw(form.groups[0].form),
                    })
                    .collect();
                writer.put(&SampleRecord {
                    index,
                    label: batch.labels().map(|labels| labels[at]),
                    latents: None,
                    parameters: None,
                    pictures: &pictures,
                })?;
            }
        }
        writer.finish()?;
        let count = samples.end - samples.start;
        let (bytes, blake3) = (fs::metadata(&path)?.len(), blake3::hash(&fs::read(&path)?));
        manifest.shards.push(ShardEntry { name, first: samples.start, count, bytes, blake3 });
    }
    Ok(fs::write(folder.join(MANIFEST), manifest.to_text())?)
}

/// The value that follows `name` on the command line.
fn option(name: &str) -> Option<String> {
    let words: Vec<String> = std::env::args().collect();
    words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone())
}

fn flag(name: &str) -> bool {
    std::env::args().any(|word| word == name)
}

fn answer(content: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{content}")?;
    out.flush()
}
