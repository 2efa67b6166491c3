//! `genset demo`: the whole story on the generators that ship with genset.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::common::{on_interrupt, print, print_json, progress, thousands, tiles};
use crate::bench::{self, Report, Settings};
use crate::error::{Error, Result};
use crate::generate::builtins;
use crate::load::{Dataset, Options, SampleDigests, Stop};
use crate::recipe::BUILTIN_PREFIX;
use crate::runtime::Search;
use crate::view::sheet::contact_sheet;
use crate::whole_file::write_whole;

/// Samples on a contact sheet: as many of each class.
const SHEET: usize = 80;
/// Columns of samples: a class each.
const CLASSES: usize = 10;
/// Samples of which two loaders must deliver the same bytes.
const COMPARED: u64 = 2_000;

/// Show what genset does, on the generators that ship with it, in about half a minute
///
/// Installs ONNX Runtime if there is none, draws contact sheets, streams both generators, and
/// checks that another number of workers delivers the same bytes.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// The folder for the contact sheets
    #[arg(short, long, value_name = "DIR", default_value = "genset-demo")]
    output: PathBuf,
    /// An ONNX Runtime library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    ort: Option<PathBuf>,
}

struct Shown {
    sheet: PathBuf,
    report: Report,
    blake3: String,
}

pub(super) fn run(args: &DemoArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let begun = Instant::now();
    std::fs::create_dir_all(&args.output).map_err(|e| Error::io(&args.output, "make", e))?;
    let search = Search {
        explicit: args.ort.clone(),
        install: true,
        say: |line| eprintln!("{line}"),
        ..Search::default()
    };
    let options = Options { search, ..Options::default() };
    let mut shown = Vec::new();
    for builtin in builtins() {
        shown.push(show(builtin.name, &options, args, &stop)?);
    }
    if json {
        let entry = |s: &Shown| json!({ "sheet": s.sheet, "blake3": s.blake3, "bench": s.report });
        return print_json(&json!({
            "seconds": begun.elapsed().as_secs_f64(),
            "generators": shown.iter().map(entry).collect::<Vec<_>>(),
        }));
    }
    print(&story(&shown, begun.elapsed()))
}

fn show(name: &str, options: &Options, args: &DemoArgs, stop: &Stop) -> Result<Shown> {
    let recipe = format!("{BUILTIN_PREFIX}{name}");
    let dataset = Dataset::open_with(&recipe, options.clone())?;
    let sheet = args.output.join(format!("{name}.png"));
    let samples = tiles(&dataset, &by_class(&dataset)?, 0, false, stop)?;
    write_whole(&sheet, &contact_sheet(&samples, CLASSES)?.to_png()?)?;

    let bar = progress(0, "rounds");
    bar.set_message(recipe);
    let settings = Settings { rounds: 3, round: Duration::from_secs(2), ..Settings::default() };
    let report = bench::run(&dataset, &|b| b, &settings, stop, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let report = report?;

    let blake3 = digest(&dataset, 1, 64, stop)?;
    let other = digest(&dataset, 3, 100, stop)?;
    if blake3 != other {
        let message = format!("{name}: 1 and 3 workers delivered other bytes: {blake3}, {other}");
        return Err(Error::new(crate::Kind::Sample, message).help("please report this"));
    }
    Ok(Shown { sheet, report, blake3 })
}

/// The first samples of each class, class by class.
fn by_class(dataset: &Dataset) -> Result<Vec<u64>> {
    let mut found = vec![Vec::new(); CLASSES];
    let each = SHEET / CLASSES;
    let mut index = 0;
    while found.iter().any(|class| class.len() < each) && index < 10_000 {
        let label = dataset.plan(index)?.label.unwrap_or(0) as usize;
        if let Some(class) = found.get_mut(label)
            && class.len() < each
        {
            class.push(index);
        }
        index += 1;
    }
    Ok(found.concat())
}

fn digest(dataset: &Dataset, workers: usize, batch: usize, stop: &Stop) -> Result<String> {
    let mut digests = SampleDigests::new();
    let builder = dataset.loader().rank(0, 1).workers(workers).batch(batch).stop(stop.clone());
    for batch in builder.range(0..COMPARED).build()? {
        digests.add(&batch?);
    }
    digests.together()
}

fn story(shown: &[Shown], took: Duration) -> String {
    let mut text = format!(
        "{:<10} {:>12} {:>12} {:>11} {:>12}   contact sheet\n",
        "generator", "images/s", "ceiling", "efficiency", "first batch"
    );
    for Shown { sheet, report, .. } in shown {
        text += &format!(
            "{:<10} {:>12} {:>12} {:>9.1} % {:>9.0} ms   {}\n",
            report.recipe,
            thousands(report.images_per_second),
            thousands(report.ceiling_images_per_second.unwrap_or_default()),
            report.efficiency.unwrap_or_default() * 100.0,
            report.first_batch_ms,
            sheet.display(),
        );
    }
    let first = shown.first().map_or("", |s| s.report.recipe.as_str());
    text += &format!(
        "
The ceiling is the bare generator in a tight loop. 1 and 3 workers delivered the same bytes.
It took {:.0} s. Next:

  {genset} preview builtin:{first} -o sheet.png
      look at samples and their views
  {genset} bench builtin:{first}
      measure this machine
  {genset} digest builtin:{first} --count 5000
      the same on every run, whatever the loader
  {genset} inspect YOUR-MODEL.onnx -o recipe.toml
      a recipe for your own generator
",
        took.as_secs_f64(),
        genset = std::env::args().next().unwrap_or_else(|| "genset".into()),
    );
    text
}
