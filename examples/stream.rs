//! Streams samples and says how fast and in how much memory, at every power of ten.
//!
//! ```text
//! cargo run --release --example stream -- builtin:digits 10000000
//! ```

use std::time::Instant;

use genset::Dataset;
use genset::load::Options;

fn main() -> genset::Result<()> {
    let mut args = std::env::args().skip(1);
    let recipe = args.next().unwrap_or_else(|| "builtin:digits".into());
    let samples: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(100_000);

    // The shipped recipes end at 60,000 samples; a stream need not.
    let settings = vec!["samples=\"endless\"".to_owned()];
    let dataset = Dataset::open_with(recipe, Options { settings, ..Options::default() })?;
    let begun = Instant::now();
    let (mut seen, mut images, mut milestone) = (0, 0, 1_000);
    let mut mean = 0.0;
    for batch in dataset.loader().range(0..samples).build()? {
        let batch = batch?;
        // A training step would go here; this one looks at a pixel of each batch.
        mean += f64::from(batch.images().bytes()[batch.images().bytes().len() / 2]);
        seen += batch.len() as u64;
        images += batch.len() * batch.images().shape()[1];
        while seen >= milestone {
            let rate = images as f64 / begun.elapsed().as_secs_f64();
            let peak = genset::bench::peak_rss_bytes().unwrap_or(0) >> 10;
            println!("{milestone:>12} samples {rate:>10.0} images/s, peak memory {peak} KiB");
            milestone *= 10;
        }
    }
    println!("{seen:>12} samples in {:.1} s, checksum {mean}", begun.elapsed().as_secs_f64());
    Ok(())
}
