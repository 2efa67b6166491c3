//! What genset's sides of `benches/peers` share: words of the command line, answers as lines of JSON,
//! and batches taken for a while.
#![allow(dead_code, reason = "every example uses its own part")]

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use genset::Result;
use genset::load::{Batch, Loader};
use serde_json::{Value, json};

/// The end of a contender: says what went wrong, if anything did.
pub fn end(done: std::result::Result<(), Box<dyn Error>>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The values that follow `name` on the command line.
pub fn options(name: &str) -> impl Iterator<Item = String> {
    let words: Vec<String> = std::env::args().collect();
    let pairs: Vec<_> =
        words.windows(2).filter(|pair| pair[0] == name).map(<[_]>::to_vec).collect();
    pairs.into_iter().map(|pair| pair[1].clone())
}

/// The first of them.
pub fn option(name: &str) -> Option<String> {
    options(name).next()
}

/// The same, where there must be one.
pub fn required(name: &str) -> std::result::Result<String, String> {
    option(name).ok_or_else(|| format!("{name} is missing"))
}

/// A number that must be there.
pub fn number(name: &str) -> std::result::Result<usize, Box<dyn Error>> {
    Ok(required(name)?.parse()?)
}

/// Says something to who asked.
pub fn answer(content: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{content}")?;
    out.flush()
}

/// Delivers for about so long, from the end of one batch to the end of another. Their number is
/// a multiple of the workers', as batches of workers that go in step come together.
pub fn stream(loader: &mut Loader, workers: usize, seconds: f64) -> Result<Value> {
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

/// The next batch of a loader that has one.
pub fn next(loader: &mut Loader) -> Result<Batch> {
    loader.next().expect("a loader over endlessly many epochs, or a batch that there is")
}
