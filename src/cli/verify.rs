//! `genset verify`: whether a folder of shards is what it says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::common::{ExecutionArgs, bytes, on_interrupt, print, print_json, progress, thousands};
use crate::error::Result;
use crate::load::Dataset;
use crate::shard::{Difference, Manifest, Shards, Verified, Verify, embedded_recipe};

/// Check a folder of shards: every hash, every index once, every picture decodes
///
/// Lists what is wrong and ends with 1 if anything is. With --regenerate some samples are made anew
/// and compared: byte by byte, or measured where bytes need not be equal, after JPEG or on another
/// provider or version.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// A folder that `genset export` made
    folder: PathBuf,
    /// Make this many samples anew, evenly spread, and compare
    #[arg(long, default_value_t = 0, value_name = "K")]
    regenerate: u64,
    /// Choose other samples to make anew
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// The recipe to make them by, where the generator is a file [default: the manifest's]
    #[arg(long, value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    #[command(flatten)]
    execution: ExecutionArgs,
}

pub(super) fn run(args: &VerifyArgs, json: bool) -> Result<ExitCode> {
    let stop = on_interrupt();
    let shards = Shards::open(&args.folder)?;
    let dataset = match args.regenerate {
        0 => None,
        _ => Some(dataset(args, shards.manifest())?),
    };
    let verify = Verify { regenerate: args.regenerate, seed: args.seed, stop };
    let bar = progress(shards.manifest().there(), "samples");
    let verified = verify.run(&args.folder, dataset.as_ref(), &|done| bar.set_position(done));
    bar.finish_and_clear();
    let verified = verified?;
    if json {
        print_json(&json!({
            "folder": args.folder,
            "dataset": shards.manifest().dataset.to_string(),
            "good": verified.is_good(),
            "verified": verified,
        }))?;
    } else {
        print(&said(&verified, &args.folder))?;
    }
    Ok(if verified.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn dataset(args: &VerifyArgs, manifest: &Manifest) -> Result<Dataset> {
    match &args.recipe {
        Some(recipe) => args.execution.open(recipe),
        None => Dataset::from_recipe(embedded_recipe(manifest)?, args.execution.options()),
    }
}

#[allow(clippy::cast_precision_loss)]
fn said(verified: &Verified, folder: &Path) -> String {
    let Verified { shards, samples, pictures, faults, faults_in_all, regenerated, .. } = verified;
    let mut text = String::new();
    for fault in faults {
        let sample = fault.sample.map_or_else(String::new, |sample| format!(", sample {sample}"));
        text += &format!("{}{sample}: {}\n", fault.shard, fault.what);
    }
    if *faults_in_all > faults.len() as u64 {
        text += &format!("… and {} more\n", faults_in_all - faults.len() as u64);
    }
    text += &format!(
        "{}: {shards} shards, {} samples, {} pictures, {}: {}\n",
        folder.display(),
        thousands(*samples as f64),
        thousands(*pictures as f64),
        bytes(verified.bytes),
        match faults_in_all {
            0 => "all as exported".to_owned(),
            1 => "1 fault".to_owned(),
            n => format!("{n} faults"),
        }
    );
    if let Some(difference) = regenerated {
        text += &measured(difference);
    }
    text
}

fn measured(difference: &Difference) -> String {
    let Difference { samples, pictures, equal, exact, max, mean, psnr } = difference;
    let mut text = format!("{samples} samples made anew: {equal} of {pictures} pictures equal");
    if let Some(psnr) = psnr {
        text +=
            &format!("; differences of at most {max:.4}, {mean:.6} on average ({psnr:.1} dB PSNR)");
        if !exact {
            text +=
                "; they need not be equal after JPEG, or on another version, provider or rewrite";
        }
    }
    text.push('\n');
    text
}
