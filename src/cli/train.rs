//! `genset train`: an encoder learns from a dataset's views.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::common::{
    ExecutionArgs, InputArgs, on_interrupt, print, print_json, progress, thousands,
};
use crate::error::{Error, Kind, Result};
use crate::evaluate::{Probe, Regularisation};
use crate::graph::{Model, Weights};
use crate::load::{Dataset, LoaderBuilder, Options, Stop};
use crate::process::cores;
use crate::recipe::Precision;
use crate::runtime::{Runtime, SessionOptions};
use crate::train::{
    Backend, DEFAULT_BATCH, DEFAULT_STEPS, Encoder, Line, OBJECTIVES, OPTIMIZERS, Objective,
    Optimizer, Schedule, Settings, Trained, Training,
};

/// Train an ONNX encoder on a dataset's views
///
/// The encoder is an ONNX model as people export it, from images [N, C, H, W] to features [N, D];
/// what comes out is the same model with trained parameters, `DIR/encoder.onnx`. Each step is an ONNX
/// model too, so nothing else is needed. The same command goes on where it was interrupted, to the
/// same bits.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct TrainArgs {
    /// A recipe, builtin:NAME, or stored images with views
    recipe: PathBuf,
    /// The encoder to train
    #[arg(long, value_name = "ENCODER.onnx")]
    encoder: PathBuf,
    /// The folder of the run: encoder.onnx, metrics.jsonl, curves.svg, checkpoints
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// What it learns from, with its numbers: contrast:temperature=0.2
    #[arg(
        long,
        value_name = "NAME[:KEY=X,…]",
        default_value = "contrast",
        help_heading = "Learning"
    )]
    objective: Objective,
    /// Widths of the layers between features and loss; empty for none
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',', default_value = "128,64", num_args = 0..=1, help_heading = "Learning")]
    head: Vec<usize>,
    /// How parameters move, with its numbers: sgd:momentum=0.9,decay=0.0001
    #[arg(long, value_name = "NAME[:KEY=X,…]", default_value = "sgd", help_heading = "Learning")]
    optimizer: Optimizer,
    /// The highest learning rate [default: 0.05 for sgd, 0.001 for adamw, 0.3 for lars]
    #[arg(long, value_name = "X", help_heading = "Learning")]
    learning_rate: Option<f32>,
    /// How it goes down: cosine, linear, constant, or step:FACTOR@SHARE,…
    #[arg(long, value_name = "NAME", default_value = "cosine", help_heading = "Learning")]
    schedule: Schedule,
    /// Steps in which it goes up first [default: a twentieth of them]
    #[arg(long, value_name = "N", help_heading = "Learning")]
    warmup: Option<u64>,
    /// Steps in all
    #[arg(long, value_name = "N", default_value_t = DEFAULT_STEPS, help_heading = "Learning")]
    steps: u64,
    /// Samples a batch, each with all its views
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BATCH, help_heading = "Learning")]
    batch: usize,
    /// Batches a step, whose gradients are averaged
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Learning")]
    accumulate: u64,
    /// Make all gradients together no longer than this
    #[arg(long, value_name = "NORM", help_heading = "Learning")]
    clip: Option<f32>,
    /// Draws the head, and the order of stored images
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Learning")]
    seed: u64,
    /// Begin with parameters drawn anew, not with those in the file
    #[arg(long, help_heading = "Learning")]
    restart: bool,
    /// The encoder's output that features are read from [default: the first]
    #[arg(long = "features", value_name = "NAME", help_heading = "Learning")]
    features: Option<String>,
    #[command(flatten)]
    input: InputArgs,
    /// Labelled images that a linear probe learns from, on the way and at the end
    #[arg(long, value_name = "DATA", requires = "probe_test", help_heading = "Probe")]
    probe_train: Option<PathBuf>,
    /// Other labelled images, that it tells
    #[arg(long, value_name = "DATA", requires = "probe_train", help_heading = "Probe")]
    probe_test: Option<PathBuf>,
    /// Steps between probes; 0 for one at the end
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Probe")]
    probe_every: u64,
    /// Steps between lines of metrics.jsonl
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Run")]
    log_every: u64,
    /// Steps between checkpoints
    #[arg(long, value_name = "N", default_value_t = 200, help_heading = "Run")]
    save_every: u64,
    /// Checkpoints that stay
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Run")]
    keep: usize,
    /// What steps are computed in, where the provider can: f32, bf16 or f16
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = precision, help_heading = "Run")]
    precision: Precision,
    /// Threads of a training step [default: one a core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    step_threads: Option<usize>,
    /// Generator sessions, or threads that read stored images
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Loader")]
    workers: usize,
    /// Batches made ahead
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = "Loader")]
    prefetch: usize,
    /// MiB that batches under way may take
    #[arg(long, value_name = "MIB", default_value_t = 512, help_heading = "Loader")]
    memory: u64,
    /// Steps in standard operators alone, without genset's own kernels for the CPU
    #[arg(long, help_heading = "Run")]
    standard_operators: bool,
    /// Write one step as an ONNX model, and train nothing; for ort-training, the loss alone
    #[arg(long, value_name = "FILE.onnx", help_heading = "Run")]
    step_graph: Option<PathBuf>,
    /// What makes the steps: the step graph, or ONNX Runtime's training API
    #[arg(long, value_name = "NAME", default_value = "step-graph", value_parser = ["step-graph", "ort-training"], help_heading = "Run")]
    backend: String,
    /// A Python with onnx/requirements-training.txt, for ort-training [default: the active one]
    #[arg(long, value_name = "PATH", help_heading = "Run")]
    training_python: Option<PathBuf>,
    #[command(flatten)]
    execution: ExecutionArgs,
}

fn after_help() -> String {
    let mut text = "Objectives:\n".to_owned();
    for (name, objective, what) in OBJECTIVES {
        text += &format!("  {name:14} {what}\n  {:14} {objective}\n", "");
    }
    text += "\nOptimizers:\n";
    for (_, optimizer) in OPTIMIZERS {
        text += &format!("  {optimizer}\n");
    }
    text
}

fn precision(text: &str) -> Result<Precision, String> {
    let found = Precision::ALL.iter().find(|(name, _)| *name == text);
    found.map(|(_, precision)| *precision).ok_or_else(|| "is not f32, bf16 or f16".to_owned())
}

pub(super) fn run(args: &TrainArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let options = args.execution.options();
    let dataset = args.execution.open(&args.recipe)?;
    let encoder = Encoder::read(&args.encoder, args.features.as_deref())?;
    let runtime = Runtime::open(&options.search)?;
    let mut training = Training::new(settings(args)?, runtime);
    training.session = SessionOptions {
        precision: args.precision,
        ..options.session(args.step_threads.unwrap_or_else(cores))
    };
    training.backend = backend(args)?;
    if let Some(path) = &args.step_graph {
        training.step_graph(&dataset, &encoder)?.write_to(path, Weights::Inside)?;
        return if json { print_json(&json!({ "step_graph": path })) } else { Ok(()) };
    }
    training.log_every = args.log_every;
    training.save_every = args.save_every;
    training.keep = args.keep;
    training.own_kernels = !args.standard_operators;
    training.stop = stop.clone();
    training.loader = Box::new(|builder: LoaderBuilder| {
        let memory = args.memory.saturating_mul(1 << 20);
        builder.workers(args.workers).prefetch(args.prefetch).memory(memory)
    });
    if let (Some(train), Some(test)) = (&args.probe_train, &args.probe_test) {
        training.probe_every = args.probe_every;
        training.probe = Some(probe(args, [train, test], &options, &stop)?);
    }
    let bar = progress(args.steps, "steps");
    let trained = training.run(&dataset, &encoder, &args.output, &mut |line| {
        bar.set_position(line.step);
        bar.set_message(said(line));
    });
    bar.finish_and_clear();
    let trained = trained?;
    if json {
        return print_json(&json!({
            "encoder": trained.path,
            "steps": trained.steps,
            "resumed": trained.resumed,
            "parameters": trained.parameters,
            "seconds": trained.time.as_secs_f64(),
            "step_seconds": trained.step_seconds,
            "data_wait": trained.data_wait,
            "last": trained.lines.last(),
        }));
    }
    print(&summary(&trained))
}

/// What makes the steps. A word for the other backend is an error, not passed over.
fn backend(args: &TrainArgs) -> Result<Backend> {
    let python = args.training_python.clone();
    match (args.backend.as_str(), python) {
        ("ort-training", python) => Ok(Backend::OrtTraining { python }),
        (_, None) => Ok(Backend::StepGraph),
        (_, Some(_)) => {
            Err(Error::new(Kind::Argument, "--training-python is for the backend ort-training")
                .help("set --backend ort-training"))
        }
    }
}

fn settings(args: &TrainArgs) -> Result<Settings> {
    Ok(Settings {
        objective: args.objective,
        head: args.head.clone(),
        optimizer: args.optimizer,
        rate: args.learning_rate,
        schedule: args.schedule.clone(),
        warmup: args.warmup,
        steps: args.steps,
        batch: args.batch,
        accumulate: args.accumulate,
        clip: args.clip,
        seed: args.seed,
        restart: args.restart,
        input: args.input.input()?,
    })
}

/// A linear probe of the features, as `genset probe` makes it.
fn probe<'a>(
    args: &'a TrainArgs,
    [train, test]: [&Path; 2],
    options: &Options,
    stop: &Stop,
) -> Result<Box<crate::train::Probe<'a>>> {
    let options = Options { settings: Vec::new(), threads: None, ..options.clone() };
    let open = |path: &Path| Dataset::open_with(path, options.clone());
    let (train, test) = (open(train)?, open(test)?);
    let probe = Probe {
        linear: Some(Regularisation::Chosen),
        neighbours: None,
        baselines: false,
        output: args.features.clone(),
        ..Probe::default()
    };
    let stop = stop.clone();
    Ok(Box::new(move |model: &Model| {
        let report = probe.run(model, [&train, &test], &options, &stop, &mut |_| {})?;
        Ok(report.features.linear.map_or(f64::NAN, |linear| linear.accuracy.value))
    }))
}

fn said(line: &Line) -> String {
    let mut text = format!(
        "loss {:.4}  {} images/s  {:.0} % waiting for data",
        line.loss,
        thousands(line.images_per_second),
        100.0 * line.data_wait
    );
    if let Some(probe) = line.probe {
        text += &format!("  probe {:.2} %", 100.0 * probe);
    }
    text
}

fn summary(trained: &Trained) -> String {
    let path = trained.path.display();
    let parameters = thousands(trained.parameters as f64);
    let mut text = match (trained.steps, trained.resumed) {
        (0, done) => format!("all {done} steps were done before\n"),
        (steps, 0) => format!("{steps} steps of {parameters} parameters"),
        (steps, from) => format!("{steps} steps of {parameters} parameters, after {from} before"),
    };
    if trained.steps > 0 {
        text += &format!(
            " in {:.1} s: {:.1} ms a step, {:.1} % waiting for data\n",
            trained.time.as_secs_f64(),
            1000.0 * trained.step_seconds,
            100.0 * trained.data_wait
        );
    }
    if let Some(last) = trained.lines.last() {
        text += &format!("loss {:.4}, spread {:.3}\n", last.loss, last.spread);
        if let Some(probe) = last.probe {
            text += &format!("linear probe {:.2} %\n", 100.0 * probe);
        }
    }
    text + &format!("{path}\n")
}
