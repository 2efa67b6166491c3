//! `genset preview`: a contact sheet.

use std::path::PathBuf;
use std::str::FromStr;

use serde_json::json;

use super::common::{ExecutionArgs, for_eyes, on_interrupt, print, print_json, tiles};
use crate::error::Result;
use crate::load::{Dataset, Stop, read_recipe};
use crate::view::sheet::{Tile, contact_sheet};
use crate::whole_file::write_whole;

/// Draw a contact sheet: samples down, views across
///
/// Below every view stands what was drawn for it: how its latent was moved, what was done to its
/// pixels.
#[derive(Debug, clap::Args)]
pub(super) struct PreviewArgs {
    /// A recipe, builtin:NAME, or a folder of shards or images
    recipe: PathBuf,
    /// The PNG file to write
    #[arg(short, long, value_name = "PNG", default_value = "sheet.png")]
    output: PathBuf,
    /// Show this sample alone
    #[arg(long, conflicts_with_all = ["from", "count"])]
    index: Option<u64>,
    /// The first sample
    #[arg(long, value_name = "A")]
    from: Option<u64>,
    /// How many samples [default: 40, or 8 with parameters below the views]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4096))]
    count: Option<u64>,
    /// Columns of samples [default: to make the sheet about square]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    columns: Option<u16>,
    /// Show the views that samples have in this pass over the dataset
    #[arg(long, default_value_t = 0)]
    epoch: u64,
    /// Leave out the parameters below the views
    #[arg(long)]
    plain: bool,
    /// Show one sample while a view parameter goes through values, as std=0:1.5:6 (first, last, how
    /// many); OP.KEY, as gaussian-blur.sigma=0.1:2:5, means that of one operation
    #[arg(long, value_name = "KEY=A:B:N", conflicts_with_all = ["from", "count", "columns"])]
    sweep: Option<Sweep>,
    #[command(flatten)]
    execution: ExecutionArgs,
}

/// Samples shown with parameters below their views, and without.
const SHOWN: [u64; 2] = [8, 40];

/// A parameter and the values it goes through.
#[derive(Debug, Clone, PartialEq)]
struct Sweep {
    key: String,
    values: Vec<f64>,
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be KEY=FIRST:LAST:HOW-MANY, as std=0:1.5:6".to_owned();
        let (key, range) = text.split_once('=').ok_or_else(wrong)?;
        let parts: Vec<&str> = range.split(':').collect();
        let [first, last, n] = parts[..] else { return Err(wrong()) };
        let number = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
        let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
        let n: u32 = n.parse().map_err(|_| wrong())?;
        if !(1..=64).contains(&n) || key.is_empty() {
            return Err(if key.is_empty() { wrong() } else { "takes 1 to 64 values".into() });
        }
        let step = (last - first) / f64::from(n.max(2) - 1);
        // Rounded, so that 0.1 steps are shown as such.
        let value = |i| ((first + step * f64::from(i)) * 1e6).round() / 1e6;
        Ok(Self { key: key.to_owned(), values: (0..n).map(value).collect() })
    }
}

pub(super) fn run(args: &PreviewArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    match &args.sweep {
        Some(sweep) => swept(args, sweep, json, &stop),
        None => sheet(args, json, &stop),
    }
}

fn sheet(args: &PreviewArgs, json: bool, stop: &Stop) -> Result<()> {
    let dataset = args.execution.open_for_eyes(&args.recipe)?;
    let range = dataset.range();
    let first = args.from.unwrap_or(range.start);
    let drawn = dataset.draws();
    let captions = drawn && !args.plain;
    let count = args.count.unwrap_or(SHOWN[usize::from(!captions)]);
    let indices: Vec<u64> = match args.index {
        Some(index) => vec![index],
        // One that is beyond the end is kept, for the error that names it.
        None if !range.contains(&first) => vec![first],
        None => (first..range.end.min(first.saturating_add(count))).collect(),
    };
    let samples = tiles(&dataset, &indices, args.epoch, captions, stop)?;
    let views = dataset.views();
    let columns = match args.columns {
        Some(columns) => usize::from(columns),
        None => square_columns(indices.len(), views),
    };
    let sheet = contact_sheet(&samples, columns)?;
    write_whole(&args.output, &sheet.to_png()?)?;
    let (width, height) = (sheet.width, sheet.height);
    if json {
        let plans = indices.iter().map(|&i| dataset.plan_in_epoch(i, args.epoch));
        let plans = plans.collect::<Result<Vec<_>>>()?;
        return print_json(&json!({
            "file": args.output,
            "width": width,
            "height": height,
            "index": indices,
            "label": plans.iter().map(|plan| plan.label).collect::<Option<Vec<u32>>>(),
            "views": views,
            "edits": plans.iter().map(|plan| &plan.edits).collect::<Vec<_>>(),
            "drawn": plans.iter().map(|plan| &plan.views).collect::<Vec<_>>(),
        }));
    }
    let samples = indices.len();
    print(&format!(
        "{}: {samples} sample(s) × {views} view(s), {width}×{height} pixels\n",
        args.output.display()
    ))
}

/// One sample, a row for each view, a column for each value.
fn swept(args: &PreviewArgs, sweep: &Sweep, json: bool, stop: &Stop) -> Result<()> {
    let recipe = for_eyes(read_recipe(&args.recipe, &args.execution.engine.settings)?);
    let index = args.index.unwrap_or(0);
    let mut rows: Vec<Vec<Tile>> = Vec::new();
    for &value in &sweep.values {
        let recipe = recipe.with_view_parameter(&sweep.key, value)?;
        let dataset = Dataset::from_recipe(recipe, args.execution.options())?;
        let sample = tiles(&dataset, &[index], args.epoch, false, stop)?.remove(0);
        rows.resize_with(sample.len(), Vec::new);
        for (row, tile) in rows.iter_mut().zip(sample) {
            row.push(tile.with_caption(format!("{} {value}", sweep.key)));
        }
    }
    let sheet = contact_sheet(&rows, 1)?;
    write_whole(&args.output, &sheet.to_png()?)?;
    let (width, height) = (sheet.width, sheet.height);
    if json {
        return print_json(&json!({
            "file": args.output,
            "width": width,
            "height": height,
            "index": index,
            "views": rows.len(),
            "sweep": { "key": sweep.key, "values": sweep.values },
        }));
    }
    print(&format!(
        "{}: sample {index}, {} view(s) down, {} = {} across, {width}×{height} pixels\n",
        args.output.display(),
        rows.len(),
        sweep.key,
        sweep.values.iter().map(f64::to_string).collect::<Vec<_>>().join(", "),
    ))
}

/// Columns of `views` images each that make a sheet of `samples` about square.
fn square_columns(samples: usize, views: usize) -> usize {
    (1..=samples).find(|c| c * views * c * views >= samples * views).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_are_read() {
        let sweep: Sweep = "std=0:1.5:6".parse().unwrap();
        assert_eq!(
            (sweep.key.as_str(), &sweep.values[..]),
            ("std", &[0.0, 0.3, 0.6, 0.9, 1.2, 1.5][..])
        );
        assert_eq!("bits=4:4:1".parse::<Sweep>().unwrap().values, [4.0]);
        for wrong in
            ["std", "std=0:1", "=0:1:2", "std=0:x:2", "std=0:1:0", "std=0:inf:3", "a=0:1:65"]
        {
            assert!(wrong.parse::<Sweep>().is_err(), "{wrong}");
        }
    }
}
