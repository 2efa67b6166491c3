//! `genset demo`: the whole story on the generators that ship with genset.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::common::{on_interrupt, print, print_json, progress, thousands, tiles};
use crate::bench::{self, Report, Settings};
use crate::error::{Error, Result};
use crate::evaluate::Probe;
use crate::generate::builtins;
use crate::graph::Model;
use crate::load::{Dataset, Options, SampleDigests, Stop};
use crate::process::cores;
use crate::recipe::BUILTIN_PREFIX;
use crate::runtime::{Runtime, Search, SessionOptions};
use crate::shard::Export;
use crate::train::{Architecture, Encoder, Settings as Learning, Training};
use crate::view::sheet::contact_sheet;
use crate::whole_file::write_whole;

/// Samples on a contact sheet: as many of each class.
const SHEET: usize = 80;
/// Columns of samples: a class each.
const CLASSES: usize = 10;
/// Samples of which two loaders must deliver the same bytes.
const COMPARED: u64 = 2_000;

/// Steps that the encoder learns for, and samples a step: enough to see that it learns.
const STEPS: u64 = 150;
const BATCH: usize = 64;
/// Labelled images that the probe learns from, and others that it tells.
const LEARNT: u64 = 4_000;
const TOLD: u64 = 2_000;

/// Show what genset does, on the generators that ship with it, in about a minute
///
/// Installs ONNX Runtime if there is none, draws contact sheets, streams both generators, checks that
/// another number of workers delivers the same bytes and that exported shards hold them, and trains an
/// encoder on the views of one.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// The folder for contact sheets, shards and the encoder
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

/// An encoder that learnt from generated views.
#[derive(Serialize)]
struct Learnt {
    encoder: PathBuf,
    steps: u64,
    seconds: f64,
    /// Shares of other generated images whose class a linear probe tells: from the encoder's features,
    /// from raw pixels, and from those of an encoder with random parameters.
    accuracy: f64,
    raw_pixels: f64,
    random_encoder: f64,
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
    let learnt = learn(&options, &args.output.join("digits-encoder"), &stop)?;
    if json {
        let entry = |s: &Shown| json!({ "sheet": s.sheet, "blake3": s.blake3, "bench": s.report });
        return print_json(&json!({
            "seconds": begun.elapsed().as_secs_f64(),
            "generators": shown.iter().map(entry).collect::<Vec<_>>(),
            "learnt": learnt,
        }));
    }
    print(&story(&shown, &learnt, begun.elapsed()))
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
    let folder = args.output.join(format!("{name}-shards"));
    let export = Export {
        samples: Some(COMPARED),
        rank: Some((0, 1)),
        stop: stop.clone(),
        ..Export::default()
    };
    export.run(&dataset, &folder, &|builder| builder, &mut |_| {})?;
    let stored = Dataset::open_with(&folder, options.clone())?;
    let read = digest(&stored, 2, 128, stop)?;
    if blake3 != read {
        let message = format!("{name}: shards hold other bytes than the stream: {read}, {blake3}");
        return Err(Error::new(crate::Kind::Sample, message).help("please report this"));
    }
    Ok(Shown { sheet, report, blake3 })
}

/// Trains an encoder on the views of the digits in `folder`, and probes it on other generated ones: real
/// images are not to be had without asking for them.
fn learn(options: &Options, folder: &Path, stop: &Stop) -> Result<Learnt> {
    let recipe = format!("{BUILTIN_PREFIX}digits");
    let dataset = Dataset::open_with(&recipe, options.clone())?;
    let encoder = Encoder::of(Architecture::ConvSmall.build(1, 28, 0)?, None)?;
    let settings = Learning { steps: STEPS, batch: BATCH, ..Learning::default() };
    let mut training = Training::new(settings, Runtime::open(&options.search)?);
    training.session = SessionOptions { threads: cores(), ..SessionOptions::default() };
    training.stop = stop.clone();
    let bar = progress(STEPS, "steps");
    bar.set_message("an encoder learns");
    let trained = training.run(&dataset, &encoder, folder, &mut |line| bar.set_position(line.step));
    bar.finish_and_clear();
    let trained = trained?;
    let open = |seed: u64| {
        let settings = vec![format!("seed={seed}"), "views.count=1".into()];
        Dataset::open_with(&recipe, Options { settings, ..options.clone() })
    };
    let (train, test) = (open(1)?, open(2)?);
    let probe =
        Probe { limit: Some(LEARNT), test_limit: Some(TOLD), neighbours: None, ..Probe::default() };
    let model = Model::read(&trained.path)?;
    let found = probe.run(&model, [&train, &test], options, stop, &mut |_| {})?;
    let linear = |outcome: &crate::evaluate::Outcome| {
        outcome.linear.as_ref().map_or(f64::NAN, |linear| linear.accuracy.value)
    };
    let baseline = |at: usize| found.baselines.get(at).map_or(f64::NAN, |one| linear(&one.outcome));
    Ok(Learnt {
        encoder: trained.path,
        steps: trained.resumed + trained.steps,
        seconds: trained.time.as_secs_f64(),
        accuracy: linear(&found.features),
        raw_pixels: baseline(0),
        random_encoder: baseline(1),
    })
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

fn story(shown: &[Shown], learnt: &Learnt, took: Duration) -> String {
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
The ceiling is the bare generator in a tight loop. 1 and 3 workers delivered the same bytes, and
shards hold them. An encoder that learnt for {} steps from two views of each digit, no label seen,
lets a linear probe tell {:.1} % of other generated digits; raw pixels {:.1} %, without learning {:.1} %.

It took {:.0} s. Next:

  {genset} preview builtin:{first} -o sheet.png
      look at samples and their views
  {genset} bench builtin:{first}
      measure this machine
  {genset} digest builtin:{first} --count 5000
      the same on every run, whatever the loader
  {genset} train builtin:{first} --encoder {encoder} -o run
      learn for longer; docs/training.md has real test images
  {genset} inspect YOUR-MODEL.onnx -o recipe.toml
      a recipe for your own generator
",
        learnt.steps,
        100.0 * learnt.accuracy,
        100.0 * learnt.raw_pixels,
        100.0 * learnt.random_encoder,
        took.as_secs_f64(),
        encoder = learnt.encoder.display(),
        genset = std::env::args().next().unwrap_or_else(|| "genset".into()),
    );
    text
}
