//! `genset encoder`: an untrained encoder as an ONNX file.

use std::path::PathBuf;

use serde_json::json;

use super::common::{print, print_json, thousands};
use crate::error::Result;
use crate::graph::Weights;
use crate::train::Architecture;

/// Write an untrained encoder, to start a training from
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct EncoderArgs {
    /// What it is: conv-small, resnet-tiny, resnet18-cifar, resnet18, vit-tiny
    architecture: Architecture,
    /// The file to write
    #[arg(short, long, value_name = "FILE.onnx")]
    output: PathBuf,
    /// Channels of the images it is for
    #[arg(long, value_name = "N", default_value_t = 3)]
    channels: usize,
    /// Pixels a side of the images; only vit-tiny is for one size
    #[arg(long, value_name = "N", default_value_t = 32)]
    size: usize,
    /// Draws the parameters
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

fn after_help() -> String {
    let lines = Architecture::ALL.iter().map(|(name, _, what)| format!("  {name:16} {what}\n"));
    lines.collect::<String>()
}

pub(super) fn run(args: &EncoderArgs, json: bool) -> Result<()> {
    let model = args.architecture.build(args.channels, args.size, args.seed)?;
    model.write_to(&args.output, Weights::Inside)?;
    if json {
        return print_json(&json!({
            "encoder": args.output,
            "architecture": args.architecture.name(),
            "parameters": model.parameters(),
        }));
    }
    let (path, parameters) = (args.output.display(), thousands(model.parameters() as f64));
    print(&format!("{path}: {}, {parameters} parameters\n", args.architecture))
}
