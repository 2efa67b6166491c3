//! `genset digest`: BLAKE3 of what is delivered.

use std::path::PathBuf;

use serde_json::json;

use super::common::{ExecutionArgs, LoaderArgs, on_interrupt, print, print_json, progress};
use crate::error::{Error, Kind, Result};
use crate::load::{Generated, SampleDigests};

/// Hash the delivered bytes, sample by sample and together
///
/// The digest of a range depends on the recipe, the model, its rewrites and the runtime alone:
/// batch size, workers, prefetch and ranks do not change it.
#[derive(Debug, clap::Args)]
pub(super) struct DigestArgs {
    /// A recipe, builtin:NAME, or a folder of shards or images
    recipe: PathBuf,
    /// The first sample [default: the first there is]
    #[arg(long, value_name = "A")]
    from: Option<u64>,
    /// How many samples
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Print a line for each sample
    #[arg(long)]
    per_sample: bool,
    /// Only what this rank delivers; without it, all ranks one after the other, put together
    #[arg(long, requires = "world_size", value_name = "R")]
    rank: Option<u64>,
    /// Ranks that share the samples
    #[arg(long, default_value_t = 1, value_name = "W", value_parser = clap::value_parser!(u64).range(1..=65536))]
    world_size: u64,
    #[command(flatten)]
    loader: LoaderArgs,
    #[command(flatten)]
    execution: ExecutionArgs,
}

pub(super) fn run(args: &DigestArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let dataset = args.execution.open(&args.recipe)?;
    let from = args.from.unwrap_or(dataset.range().start);
    let end = from
        .checked_add(args.count)
        .ok_or_else(|| Error::new(Kind::Argument, format!("samples from {from} on: too many")))?;
    let bar = progress(args.count, "samples");
    let mut digests = SampleDigests::new();
    let (mut left_out, mut first) = (0, None);
    let ranks = match args.rank {
        Some(rank) => rank..=rank,
        None => 0..=args.world_size - 1,
    };
    for rank in ranks {
        let builder = args.loader.set_up(dataset.loader()).range(from..end);
        let mut loader = builder.rank(rank, args.world_size).stop(stop.clone()).build()?;
        for batch in loader.by_ref() {
            let batch = batch?;
            digests.add(&batch);
            bar.inc(batch.len() as u64);
        }
        left_out += loader.skipped().count;
        first = first.or_else(|| loader.skipped().first.first().map(ToString::to_string));
    }
    bar.finish_and_clear();
    if let Some(first) = &first {
        eprintln!("left out {left_out} sample(s) that cannot be read; the first: {first}");
    }
    // One rank's samples have gaps, so only its samples' own digests mean something.
    let together = match args.rank {
        Some(_) if args.world_size > 1 => None,
        _ if left_out > 0 => Some(digests.together_with_gaps()),
        _ => Some(digests.together()?),
    };
    let generated = dataset.generated().ok();
    if json {
        return print_json(&json!({
            "dataset": dataset.digest().to_string(),
            "from": from,
            "count": digests.len(),
            "left_out": left_out,
            "blake3": together,
            "samples": digests.iter().collect::<Vec<_>>(),
            "runtime": generated.map(|generated| generated.runtime().version()),
            "rewrites": generated.map(Generated::rewrites),
        }));
    }
    let mut text = String::new();
    if args.per_sample || together.is_none() {
        for sample in digests.iter() {
            text += &format!("{}  {}\n", sample.blake3, sample.index);
        }
    }
    if let Some(together) = together {
        text += &format!("{together}  {from}..{end}\n");
    }
    print(&text)
}
