//! What verbs share: opening a dataset, Ctrl-C, progress, output.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::evaluate::{Accuracy, Difference};
use crate::generate::execution::Rewrites;
use crate::graph::EncoderInput;
use crate::load::{Dataset, Options, Stop};
use crate::open::describe;
use crate::recipe::{Described, Output, PixelKind, Recipe, Views};
use crate::runtime::{Provider, ProviderOption, Search};
use crate::view::sheet::Tile;

/// Exit code that shells give a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Where and how the generator runs.
#[derive(Debug, clap::Args)]
pub(super) struct EngineArgs {
    /// An ONNX Runtime library, or the folder that holds it
    #[arg(long, value_name = "PATH", help_heading = "Engine")]
    pub ort: Option<PathBuf>,
    /// Execution providers in order of preference: cpu, openvino, cuda, tensorrt, tensorrt-rtx, …
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Engine")]
    pub provider: Vec<Provider>,
    /// Set an option of a provider, such as cuda.device_id=1
    #[arg(long = "provider-option", value_name = "PROVIDER.KEY=VALUE", help_heading = "Engine")]
    pub provider_options: Vec<ProviderOption>,
    /// Put a setting over the recipe, such as views.count=4
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "Engine")]
    pub settings: Vec<String>,
}

impl EngineArgs {
    pub fn options(&self) -> Options {
        Options {
            search: Search {
                explicit: self.ort.clone(),
                providers: self.provider.clone(),
                say: |line| {
                    if std::io::stderr().is_terminal() {
                        eprintln!("{line}");
                    }
                },
                ..Search::default()
            },
            providers: self.provider.clone(),
            provider_options: self.provider_options.clone(),
            threads: None,
            rewrites: Rewrites::Auto,
            random_access: 0,
            settings: self.settings.clone(),
        }
    }
}

/// How many threads a generator call has, where that is not to be found out.
#[derive(Debug, clap::Args)]
pub(super) struct ThreadsArgs {
    /// Threads inside one generator call [default: as tuned, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Engine")]
    threads: Option<u16>,
}

impl ThreadsArgs {
    pub fn over(&self, options: Options) -> Options {
        Options { threads: self.threads.map(usize::from), ..options }
    }
}

/// Both, and which edits of its graph it runs with.
#[derive(Debug, clap::Args)]
pub(super) struct ExecutionArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Exact edits of the generator's graph: auto (as tuned, or by rule), none, or a list such as
    /// phases,epilogue; NAME@NODE for one node. `inspect --rewrites` says what fits and pays
    #[arg(long, default_value = "auto", value_name = "auto|none|LIST", help_heading = "Engine")]
    pub rewrites: Rewrites,
}

impl ExecutionArgs {
    pub fn options(&self) -> Options {
        let options = Options { rewrites: self.rewrites.clone(), ..self.engine.options() };
        self.threads.over(options)
    }

    pub fn open(&self, recipe: &Path) -> Result<Dataset> {
        Dataset::open_with(recipe, self.options())
    }

    /// As [`ExecutionArgs::open`], but delivering 8-bit pixels whatever the recipe delivers.
    pub fn open_for_eyes(&self, recipe: &Path) -> Result<Dataset> {
        let described = match describe(recipe, &self.engine.settings)? {
            Described::Generated(recipe) => Described::Generated(Box::new(for_eyes(*recipe))),
            Described::Stored(mut recipe) => {
                recipe.output = recipe.output.map(|_| Output::default());
                if let Some(views) = &mut recipe.views {
                    without_normalise(views);
                }
                Described::Stored(recipe)
            }
        };
        Dataset::of_description(described, self.options())
    }
}

/// The recipe that delivers the same views as 8-bit pixels, without normalisation.
pub(super) fn for_eyes(mut recipe: Recipe) -> Recipe {
    recipe.output = Output::default();
    without_normalise(&mut recipe.views);
    recipe
}

fn without_normalise(views: &mut Views) {
    for group in &mut views.groups {
        group.pixel.retain(|op| !matches!(op.kind, PixelKind::Normalise(_)));
    }
}

/// What values an encoder expects.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// The values of black and white that the encoder expects, such as -1,1 [default: as its
    /// metadata `genset.input` says, or 0,1]
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', num_args = 1, allow_negative_numbers = true, allow_hyphen_values = true, conflicts_with_all = ["mean", "std"])]
    range: Option<Vec<f64>>,
    /// The encoder expects (x - MEAN) / STD: a number for each channel or one for all, x from 0 to 1
    #[arg(
        long,
        value_name = "MEAN",
        value_delimiter = ',',
        num_args = 1,
        allow_hyphen_values = true,
        requires = "std"
    )]
    mean: Option<Vec<f64>>,
    /// See --mean
    #[arg(long, value_name = "STD", value_delimiter = ',', num_args = 1, requires = "mean")]
    std: Option<Vec<f64>>,
}

impl InputArgs {
    /// What the flags say; `None` if they say nothing.
    pub fn input(&self) -> Result<Option<EncoderInput>> {
        match (&self.range, &self.mean, &self.std) {
            (Some(range), ..) => match range[..] {
                [low, high] => EncoderInput::range(low, high).map(Some),
                _ => {
                    let message = format!("--range has {} numbers, not two", range.len());
                    Err(Error::new(Kind::Argument, message).help("such as --range -1,1"))
                }
            },
            (None, Some(mean), Some(std)) => {
                EncoderInput::normalise(mean.clone(), std.clone()).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// How a loader runs; none of it changes what is delivered.
#[derive(Debug, clap::Args)]
pub(super) struct LoaderArgs {
    /// Samples a batch
    #[arg(long, default_value_t = 256, value_name = "N", help_heading = "Loader")]
    pub batch: usize,
    /// Generator sessions, each on its own thread, or threads that read stored images [default: as
    /// tuned, or one a core]
    #[arg(long, value_name = "N", help_heading = "Loader")]
    pub workers: Option<usize>,
    /// Batches made ahead of the consumer
    #[arg(long, default_value_t = 4, value_name = "N", help_heading = "Loader")]
    pub prefetch: usize,
    /// Threads that share the making of views beside the workers; for generators on a device
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1024), help_heading = "Loader")]
    pub view_threads: u16,
    /// Where the temporary file of a recipe with cache.disk is [default: the system's folder]
    #[arg(long, value_name = "DIR", help_heading = "Loader")]
    pub cache_folder: Option<PathBuf>,
    /// MiB that batches under way may take
    #[arg(long, default_value_t = 512, value_name = "MIB", help_heading = "Loader")]
    pub memory: u64,
}

impl LoaderArgs {
    pub fn set_up(&self, builder: crate::load::LoaderBuilder) -> crate::load::LoaderBuilder {
        let builder = builder
            .batch(self.batch)
            .prefetch(self.prefetch)
            .view_threads(usize::from(self.view_threads))
            .memory(self.memory.saturating_mul(1 << 20));
        let builder = match &self.cache_folder {
            Some(folder) => builder.cache_folder(folder),
            None => builder,
        };
        match self.workers {
            Some(workers) => builder.workers(workers),
            None => builder,
        }
    }
}

/// The switch that Ctrl-C throws. A second Ctrl-C ends the process at once.
pub(super) fn on_interrupt() -> Stop {
    static STOP: OnceLock<Stop> = OnceLock::new();
    let stop = STOP.get_or_init(|| {
        let stop = Stop::new();
        let switch = stop.clone();
        // Without a handler Ctrl-C still ends the process, only less politely.
        let _ = ctrlc::set_handler(move || {
            if switch.is_stopped() {
                std::process::exit(INTERRUPTED.into());
            }
            switch.stop();
        });
        stop
    });
    stop.clone()
}

/// A bar on stderr; hidden when stderr is no terminal.
pub(super) fn progress(total: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = format!(
        "{{bar:32}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Prints a document on stdout.
pub(super) fn print_json(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Error::new(Kind::Io, format!("cannot write JSON: {e}")))?;
    print(&format!("{text}\n"))
}

/// Says an error on stderr, and gives the exit code: 1 for what failed, 2 for arguments that make
/// no sense, 130 as shells have it for Ctrl-C.
pub(super) fn say(error: &Error) -> ExitCode {
    // Nobody may be listening, which is no reason to end in another way.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(match error.kind() {
        Kind::Interrupted => INTERRUPTED,
        Kind::Argument => 2,
        _ => 1,
    })
}

/// Prints on stdout. A reader that has gone away is not an error of ours.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Io, format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Samples as tiles for a contact sheet: all views of each index in an epoch, with what was drawn
/// for each as its caption if that is wanted.
pub(super) fn tiles(
    dataset: &Dataset,
    indices: &[u64],
    epoch: u64,
    captions: bool,
    stop: &Stop,
) -> Result<Vec<Vec<Tile>>> {
    let one = |&index: &u64| {
        stop.check()?;
        let batch = dataset.get_in_epoch(index, epoch)?;
        let mut tiles = Vec::new();
        for images in batch.groups() {
            let [_, views, ..] = images.shape_nchw();
            tiles.extend((0..views).map(|view| images.tile(0, view)));
        }
        if captions {
            let plan = dataset.plan_in_epoch(index, epoch)?;
            let drawn = plan.views.iter().map(|view| view.to_string().replace("; ", "\n"));
            tiles = tiles.into_iter().zip(drawn).map(|(t, drawn)| t.with_caption(drawn)).collect();
        }
        Ok(tiles)
    };
    indices.iter().map(one).collect()
}

/// 12,345,678 as people write it.
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An accuracy with its interval.
pub(super) fn percent(accuracy: Accuracy) -> String {
    let [low, high] = accuracy.interval.map(|end| 100.0 * end);
    format!("{:6.2} % [{low:.2}, {high:.2}]", 100.0 * accuracy.value)
}

/// A difference with its interval, in percentage points.
pub(super) fn points(difference: &Difference) -> String {
    let [low, high] = difference.interval.map(|end| 100.0 * end);
    format!("{:+6.2} % [{low:+.2}, {high:+.2}]", 100.0 * difference.value)
}

/// Bytes in units of 1024.
pub(super) fn bytes(value: u64) -> String {
    indicatif::HumanBytes(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in
            [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(thousands(value), text);
        }
    }
}
