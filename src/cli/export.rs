//! `genset export`: a dataset, or part of it, as shards on disk.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::common::{ExecutionArgs, LoaderArgs, bytes, on_interrupt, print, print_json, thousands};
use crate::codec::Encoding;
use crate::error::Result;
use crate::recipe::from_units;
use crate::shard::{Contents, DEFAULT_SHARD_BYTES, Export, Exported, Format, Progress, ShardSize};

/// Write samples to disk as shards: safetensors, WebDataset, MDS, or folders of images
///
/// The same command goes on where it was interrupted, and with more --samples it adds to what is
/// there. Ranks that share the work, each with its --rank, make the same files as one alone.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// A recipe, builtin:NAME, or stored images: shards, or a folder of photographs
    recipe: PathBuf,
    /// The folder to write to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// safetensors, webdataset, mds or images
    #[arg(long, default_value = "safetensors", value_name = "FORMAT")]
    format: Format,
    /// How images are written: raw, png, jpeg, jpeg:QUALITY or webp [default: raw in safetensors and
    /// mds, png in webdataset and images]
    #[arg(long, value_name = "ENCODING", value_parser = Encoding::parse)]
    images: Option<Encoding>,
    /// The first sample [default: the first there is]
    #[arg(long, value_name = "A")]
    from: Option<u64>,
    /// How many samples [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// Bytes of images in a shard before they are encoded, such as 64MiB [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_parser = size, conflicts_with = "shard_samples")]
    shard_bytes: Option<u64>,
    /// Samples in a shard
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    shard_samples: Option<u64>,
    /// Write the latents of every view too
    #[arg(long)]
    latents: bool,
    /// Write what was drawn for every view too
    #[arg(long)]
    parameters: bool,
    /// Write what views are made from, before pixel operations, so that views are drawn anew
    /// whenever the shards are read
    #[arg(long)]
    rows: bool,
    /// The part of this rank; ranks together make the folder [default: RANK]
    #[arg(long, requires = "world_size", value_name = "R")]
    rank: Option<u64>,
    /// Ranks that share the work [default: WORLD_SIZE]
    #[arg(long, requires = "rank", value_name = "W", value_parser = clap::value_parser!(u64).range(1..=65536))]
    world_size: Option<u64>,
    #[command(flatten)]
    loader: LoaderArgs,
    #[command(flatten)]
    execution: ExecutionArgs,
}

pub(super) fn run(args: &ExportArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let dataset = args.execution.open(&args.recipe)?;
    let size = match (args.shard_samples, args.shard_bytes) {
        (Some(samples), _) => ShardSize::Samples(samples),
        (None, bytes) => ShardSize::Bytes(bytes.unwrap_or(DEFAULT_SHARD_BYTES)),
    };
    let export = Export {
        format: args.format,
        encoding: args.images,
        from: args.from,
        samples: args.samples,
        size,
        latents: args.latents,
        parameters: args.parameters,
        contents: if args.rows { Contents::Rows } else { Contents::Delivered },
        rank: args.rank.zip(args.world_size),
        stop,
    };
    let bar = Bar::new();
    let exported = export.run(
        &dataset,
        &args.output,
        &|builder| args.loader.set_up(builder),
        &mut |progress| bar.show(progress),
    );
    bar.0.finish_and_clear();
    let exported = exported?;
    if json {
        return print_json(&json!({
            "folder": args.output,
            "format": args.format,
            "dataset": dataset.digest().to_string(),
            "export": exported,
        }));
    }
    print(&said(&exported, args))
}

fn said(exported: &Exported, args: &ExportArgs) -> String {
    let Exported { shards, resumed, images, .. } = *exported;
    let folder = args.output.display();
    let mut text = match (shards, resumed) {
        (0, 0) => format!("nothing to make for this rank in {folder}\n"),
        (0, _) => format!("{folder} has all {resumed} shards already\n"),
        _ => {
            let mut text = format!(
                "{shards} shards, {} images, {} in {:.1} s: {} images/s\n",
                grouped(images),
                bytes(exported.bytes),
                exported.time.as_secs_f64(),
                thousands(exported.images_per_second())
            );
            if resumed > 0 {
                text += &format!("{resumed} shards were there before\n");
            }
            text
        }
    };
    text += &match exported.is_complete() {
        true => format!("{folder} is complete: {} samples\n", grouped(exported.there)),
        false => format!(
            "{folder} has {} of {} samples; other ranks make the rest\n",
            grouped(exported.there),
            grouped(exported.wanted)
        ),
    };
    text
}

#[allow(clippy::cast_precision_loss)]
fn grouped(value: u64) -> String {
    thousands(value as f64)
}

/// Samples, images a second, bytes and the time to go, on stderr.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        let template = "{bar:32} {human_pos}/{human_len} samples  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        Self(bar)
    }

    #[allow(clippy::cast_precision_loss)]
    fn show(&self, progress: &Progress) {
        if progress.images == 0 {
            self.0.set_length(progress.of);
            // What was there before says nothing of the time to go.
            self.0.set_position(progress.samples);
            self.0.reset_eta();
            return;
        }
        self.0.set_position(progress.samples);
        let seconds = self.0.elapsed().as_secs_f64().max(1e-3);
        let rate = thousands(progress.images as f64 / seconds);
        self.0.set_message(format!("{rate} images/s  {}", bytes(progress.bytes)));
    }
}

/// Bytes, as a recipe has them: 64MiB, "1 GB", 1000000.
fn size(text: &str) -> Result<u64, String> {
    match text.parse().ok().or_else(|| from_units(text)) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("is not a size, such as 256MiB or 1GB".to_owned()),
    }
}
