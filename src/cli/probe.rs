//! `genset probe`: what a trained encoder is worth.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::common::{
    EngineArgs, InputArgs, on_interrupt, percent, points, print, print_json, progress, thousands,
};
use crate::error::Result;
use crate::evaluate::{Accuracy, Outcome, Probe, Progress, Regularisation, Report, Step};
use crate::graph::Model;
use crate::load::{Dataset, Options};

/// How well real classes can be told from an encoder's features
///
/// Runs the encoder over the training and the test images as it is, then learns the classes from
/// the features of the training images in two ways: a linear classifier (logistic regression,
/// regularisation chosen on a tenth of the training images) and the k nearest neighbours by cosine
/// similarity. Raw pixels and the same encoder with random parameters are probed in the same way, for
/// an encoder that does not beat them has learnt nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
DATA is a folder of images with a folder for each class, a tar of them, IDX (MNIST), .npy, .npz,
CIFAR's .bin files, shards or a recipe; a folder of MNIST's files stands for its training images:

  genset probe encoder.onnx --train mnist/ --test mnist/t10k-images-idx3-ubyte")]
pub(super) struct ProbeArgs {
    /// The encoder: an ONNX model from images [N, C, H, W] to features [N, D], or [N, D, H, W],
    /// which are averaged over H and W
    #[arg(value_name = "ENCODER.onnx")]
    encoder: PathBuf,
    /// Images with labels, to learn the classes from
    #[arg(long, value_name = "DATA")]
    train: PathBuf,
    /// Other images with labels, to be told
    #[arg(long, value_name = "DATA")]
    test: PathBuf,
    /// The output that features are read from [default: the first]
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    #[command(flatten)]
    input: InputArgs,
    /// Neighbours that vote
    #[arg(long, value_name = "N", default_value_t = crate::evaluate::NEIGHBOURS)]
    k: usize,
    /// Regularisation of the linear probe: half of it times the squared weights is added to the mean
    /// loss [default: chosen on a tenth of the training images]
    #[arg(long, value_name = "X")]
    l2: Option<f64>,
    /// Learn from the first N training images only
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Tell the first N test images only
    #[arg(long, value_name = "N")]
    test_limit: Option<u64>,
    /// Draws the held-out tenth and the random encoder
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Leave out raw pixels and the random encoder
    #[arg(long)]
    no_baselines: bool,
    /// Images a call of the encoder, where its file does not fix that
    #[arg(long, value_name = "N", default_value_t = 256)]
    batch: usize,
    /// Encoder sessions, each on its own thread; changes no result [default: one a core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// MiB that the features of all images may take
    #[arg(long, value_name = "MIB", default_value_t = crate::evaluate::FEATURE_MEMORY >> 20)]
    memory: u64,
    /// Threads inside one call of the encoder; may change low bits of the features
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Engine")]
    threads: u16,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &ProbeArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let probe = Probe {
        input: args.input.input()?,
        output: args.output.clone(),
        linear: Some(args.l2.map_or(Regularisation::Chosen, Regularisation::Fixed)),
        neighbours: Some(args.k),
        baselines: !args.no_baselines,
        limit: args.limit,
        test_limit: args.test_limit,
        seed: args.seed,
        batch: args.batch,
        workers: args.workers,
        memory: args.memory.saturating_mul(1 << 20),
    };
    let encoder = Model::read(&args.encoder)?;
    let options = args.engine.options();
    let open = |path: &PathBuf| Dataset::open_with(path, options.clone());
    let (train, test) = (open(&args.train)?, open(&args.test)?);
    // A generator that makes images runs as it always does.
    let options = Options { threads: Some(args.threads.into()), ..options };
    let bar = progress(0, "");
    let mut told = None;
    let report = probe.run(&encoder, [&train, &test], &options, &stop, &mut |now: Progress| {
        let Progress { of, step, done, total } = now;
        if told.replace((of, step)) != Some((of, step)) {
            bar.set_length(total);
            bar.reset();
            bar.set_message(format!("{of}: {}", name(step)));
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report?;
    if json { print_json(&report) } else { print(&text(&report)) }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Train => "training images",
        Step::Test => "test images",
        Step::Neighbours => "nearest neighbours",
        Step::Linear => "linear probe",
    }
}

fn text(report: &Report) -> String {
    let count = |images: usize| thousands(images as f64);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} features from `{}`, {}\n\
         learnt from {} images of {}, tested on {} of {}; {} classes; [ ]: 95 % interval\n",
        report.encoder,
        report.features.dimensions,
        report.output,
        report.input,
        count(report.train.images),
        report.train.name,
        count(report.test.images),
        report.test.name,
        report.classes.len(),
    );
    let k = report.features.knn.as_ref().map_or(0, |knn| knn.k);
    let _ = writeln!(text, "{:26}  {:26}{k} nearest neighbours", "", "linear");
    let accuracies = |outcome: &Outcome| {
        [outcome.linear.as_ref().map(|l| l.accuracy), outcome.knn.as_ref().map(|k| k.accuracy)]
            .map(|accuracy| accuracy.map_or_else(String::new, percent))
    };
    let mut line = |name: &str, [linear, knn]: [String; 2]| {
        let _ = writeln!(text, "{}", format!("{name:26}  {linear:26}{knn}").trim_end());
    };
    line("encoder", accuracies(&report.features));
    for baseline in &report.baselines {
        line(baseline.name, accuracies(&baseline.outcome));
    }
    for baseline in &report.baselines {
        let difference = &baseline.difference;
        let values = [difference.linear, difference.knn];
        let values = values.map(|value| value.map_or_else(String::new, |value| points(&value)));
        line(&format!("encoder - {}", baseline.name), values);
    }
    classes(&mut text, report);
    regularisation(&mut text, report);
    for baseline in report.baselines.iter().filter(|baseline| !baseline.kept.is_empty()) {
        let _ = writeln!(
            text,
            "{}: not drawn anew, as no known layer reads them: {}",
            baseline.name,
            baseline.kept.join(", ")
        );
    }
    text
}

/// How well each class is told.
fn classes(text: &mut String, report: &Report) {
    let widest = report.classes.iter().map(|class| class.name.chars().count()).max();
    let width = widest.unwrap_or(0).clamp(5, 40);
    let _ = writeln!(text, "\n{:width$}  {:>8}  {:>8}  {:>8}", "class", "linear", "kNN", "images");
    for (at, class) in report.classes.iter().enumerate() {
        let linear = report.features.linear.as_ref().and_then(|linear| linear.classes[at]);
        let knn = report.features.knn.as_ref().and_then(|knn| knn.classes[at]);
        let value = |accuracy: Option<Accuracy>| {
            accuracy.map_or("-".to_owned(), |a| format!("{:.2} %", 100.0 * a.value))
        };
        let images = linear.or(knn).map_or(0, |accuracy| accuracy.of);
        let _ = writeln!(
            text,
            "{:width$}  {:>8}  {:>8}  {:>8}",
            class.name,
            value(linear),
            value(knn),
            thousands(images as f64)
        );
    }
    text.push('\n');
}

/// What the linear probes were regularised with.
fn regularisation(text: &mut String, report: &Report) {
    let all = std::iter::once(("encoder", &report.features))
        .chain(report.baselines.iter().map(|baseline| (baseline.name, &baseline.outcome)));
    for (name, outcome) in all {
        let Some(linear) = &outcome.linear else { continue };
        let _ = write!(text, "{name}: l2 {}", linear.l2);
        if linear.held_out > 0 {
            let held = thousands(linear.held_out as f64);
            let _ = write!(text, ", by the accuracy on {held} training images held out");
        }
        let _ = writeln!(text, "; {} passes", linear.passes);
        if !linear.tried.is_empty() {
            let tried: Vec<String> = linear
                .tried
                .iter()
                .map(|tried| format!("{} {:.2} %", tried.l2, 100.0 * tried.accuracy))
                .collect();
            for (at, tried) in tried.chunks(5).enumerate() {
                let _ = writeln!(
                    text,
                    "  {} {}",
                    if at == 0 { "tried:" } else { "      " },
                    tried.join(", ")
                );
            }
        }
        if !linear.converged {
            let _ = writeln!(text, "  the last fit did not come to its end");
        }
        if linear.l2_at_the_end {
            let _ = writeln!(text, "  that is the end of what is tried: --l2 sets another");
        }
    }
}
