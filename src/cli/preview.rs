//! `genset preview`: a contact sheet.

use std::path::PathBuf;

use serde_json::json;

use super::common::{EngineArgs, on_interrupt, print, print_json, tiles, write_file};
use crate::error::Result;
use crate::view::sheet::contact_sheet;

/// Draw a contact sheet: samples down, views across
#[derive(Debug, clap::Args)]
pub(super) struct PreviewArgs {
    /// A recipe, or builtin:NAME
    recipe: PathBuf,
    /// The PNG file to write
    #[arg(short, long, value_name = "PNG", default_value = "sheet.png")]
    output: PathBuf,
    /// Show this sample alone
    #[arg(long, conflicts_with_all = ["from", "count"])]
    index: Option<u64>,
    /// The first sample
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many samples
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=4096))]
    count: u64,
    /// Columns of samples [default: to make the sheet about square]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    columns: Option<u16>,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &PreviewArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let dataset = args.engine.open_for_eyes(&args.recipe)?;
    let end = dataset.recipe().samples.end();
    let indices: Vec<u64> = match args.index {
        Some(index) => vec![index],
        // One that is beyond the end is kept, for the error that names it.
        None if args.from >= end => vec![args.from],
        None => (args.from..end.min(args.from.saturating_add(args.count))).collect(),
    };
    let samples = tiles(&dataset, &indices, &stop)?;
    let columns = match args.columns {
        Some(columns) => usize::from(columns),
        None => square_columns(indices.len(), dataset.recipe().views.count() as usize),
    };
    let sheet = contact_sheet(&samples, columns)?;
    write_file(&args.output, &sheet.to_png()?)?;
    let labels: Option<Vec<u32>> =
        indices.iter().map(|&i| dataset.plan(i).ok().and_then(|plan| plan.label)).collect();
    let (width, height) = (sheet.width, sheet.height);
    if json {
        return print_json(&json!({
            "file": args.output,
            "width": width,
            "height": height,
            "index": indices,
            "label": labels,
            "views": dataset.recipe().views.count(),
        }));
    }
    let (samples, views) = (indices.len(), dataset.recipe().views.count());
    print(&format!(
        "{}: {samples} sample(s) × {views} view(s), {width}×{height} pixels\n",
        args.output.display()
    ))
}

/// Columns of `views` images each that make a sheet of `samples` about square.
fn square_columns(samples: usize, views: usize) -> usize {
    (1..=samples).find(|c| c * views * c * views >= samples * views).unwrap_or(1)
}
