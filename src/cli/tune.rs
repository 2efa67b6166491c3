//! `genset tune`: how a generator runs best on this machine, and why.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::common::{EngineArgs, on_interrupt, print, print_json, progress, thousands};
use super::inspect_rewrites;
use crate::bench::{Trial, Tuning, tune};
use crate::error::{Error, Kind, Result};
use crate::load::read_recipe;
use crate::runtime::{Provider, installed};

/// Find how a generator runs best on this machine
///
/// Measures which rewrites of its graph pay, how to divide the cores between sessions and threads,
/// and what other block sizes and precisions would gain. What wins is stored for this model,
/// provider, ONNX Runtime and processor, and followed by every verb and loader from then on. With
/// neither --provider nor --ort, every provider that is installed is tuned, each in a process of its
/// own.
#[derive(Debug, clap::Args)]
pub(super) struct TuneArgs {
    /// A recipe, or builtin:NAME
    recipe: PathBuf,
    /// Seconds to measure for each provider
    #[arg(long, default_value_t = 40.0, value_parser = super::bench::positive, value_name = "S")]
    budget: f64,
    /// Store nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// What a provider reached.
#[derive(Debug, Serialize)]
struct Reached {
    provider: &'static str,
    /// Generated images a second; `None` if it cannot run.
    images_per_second: Option<f64>,
    /// The setting of the recipe that would gain most, and what it reached, if one is faster.
    suggestion: Option<(String, f64)>,
    /// Why it cannot run.
    error: Option<String>,
}

pub(super) fn run(args: &TuneArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let options = args.engine.options();
    let recipe = read_recipe(&args.recipe, &options.settings)?;
    let budget = Duration::from_secs_f64(args.budget);
    let bar = progress(0, "");
    bar.set_style(
        indicatif::ProgressStyle::with_template("{spinner} {elapsed}  {msg}")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_spinner()),
    );
    let mut tell = |what: &str| bar.set_message(format!("measuring {what}"));
    let tuning = tune(&recipe, &options, budget, &stop, &mut tell)?;
    let mut reached = vec![Reached {
        provider: options.providers.first().copied().unwrap_or_default().name(),
        images_per_second: best(&tuning.shapes),
        suggestion: suggestion(&tuning.suggestions),
        error: None,
    }];
    // A library that was named is used, whatever the provider: it has the one that was tuned.
    if options.providers.is_empty() && options.search.explicit.is_none() {
        for provider in others() {
            stop.check()?;
            bar.set_message(format!("measuring provider {provider}"));
            reached.push(in_a_process_of_its_own(args, provider));
        }
    }
    bar.finish_and_clear();
    stop.check()?;
    let stored = if args.dry_run { None } else { Some(tuning.profile.store()?) };
    if json {
        let mut document = serde_json::to_value(&tuning)
            .map_err(|error| Error::new(Kind::Io, format!("cannot write JSON: {error}")))?;
        document["providers"] = json!(reached);
        document["stored"] = json!(stored);
        return print_json(&document);
    }
    print(&text(&tuning, &reached, stored.as_ref()))
}

/// The providers that are installed beside the CPU's.
fn others() -> impl Iterator<Item = Provider> {
    let all = Provider::ALL.iter().map(|(_, provider)| *provider);
    all.filter(|provider| {
        *provider != Provider::Cpu
            && provider.package().is_some_and(|package| installed(package).is_some())
    })
}

/// Tunes for another provider. A process holds one ONNX Runtime, and providers have their own.
fn in_a_process_of_its_own(args: &TuneArgs, provider: Provider) -> Reached {
    let run = || -> std::result::Result<Value, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(["--json", "tune", "--provider", provider.name()]);
        command.args(["--budget", &args.budget.to_string()]);
        if args.dry_run {
            command.arg("--dry-run");
        }
        for setting in &args.engine.settings {
            command.args(["--set", setting]);
        }
        command.arg("--").arg(&args.recipe).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().map_err(|error| error.to_string())?;
        let document: Value =
            serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        if let Some(message) = document["error"]["message"].as_str() {
            return Err(message.to_owned());
        }
        Ok(document["providers"][0].clone())
    };
    let (answer, error) = match run() {
        Ok(answer) => (answer, None),
        Err(error) => (Value::Null, Some(error)),
    };
    let suggestion = &answer["suggestion"];
    Reached {
        provider: provider.name(),
        images_per_second: answer["images_per_second"].as_f64(),
        suggestion: suggestion[0].as_str().map(str::to_owned).zip(suggestion[1].as_f64()),
        error,
    }
}

/// What the best of other settings reached, unless that is how it is.
fn suggestion(trials: &[Trial]) -> Option<(String, f64)> {
    let best = trials.iter().skip(1).find(|trial| trial.best)?;
    Some((best.what.clone(), best.images_per_second))
}

fn best(trials: &[Trial]) -> Option<f64> {
    trials.iter().find(|trial| trial.best).map(|trial| trial.images_per_second)
}

fn text(tuning: &Tuning, reached: &[Reached], stored: Option<&PathBuf>) -> String {
    let key = &tuning.profile.key;
    let mut text = format!(
        "{} on {}, {}, ONNX Runtime {}, {}\n\nrewrites, one session\n",
        tuning.recipe,
        key.providers.join(", "),
        key.precision,
        key.runtime,
        key.cpu
    );
    text += &inspect_rewrites::rows(&tuning.rewrites);
    text += "\nsessions and threads, with the rewrites taken\n";
    text += &rows(&tuning.shapes);
    if !tuning.suggestions.is_empty() {
        text += "\nother settings of the recipe: each is another dataset, so none is changed\n";
        text += &rows(&tuning.suggestions);
    }
    if reached.len() > 1 {
        text += "\nproviders, each at its best\n";
        let first = reached[0].images_per_second.unwrap_or(f64::NAN);
        for Reached { provider, images_per_second, suggestion, error } in reached {
            let _ = match (images_per_second, error) {
                (Some(rate), _) => {
                    let gain = format!("{:.2}×", rate / first);
                    let with = suggestion.as_ref().map_or_else(String::new, |(what, rate)| {
                        format!("  {} with {what}", thousands(*rate))
                    });
                    writeln!(text, "{provider:<34} {:>10} {gain:>7}{with}", thousands(*rate))
                }
                (None, error) => {
                    let error = error.as_deref().unwrap_or("cannot run");
                    writeln!(text, "{provider:<34} {:>10}         {error}", "-")
                }
            };
        }
    }
    let profile = &tuning.profile;
    let _ = writeln!(
        text,
        "\nfastest   {} session(s) × {} thread(s), rewrites {}",
        profile.sessions,
        profile.threads,
        inspect_rewrites::summary(&profile.rewrites)
    );
    let _ = match stored {
        Some(path) => writeln!(text, "stored    {}", path.display()),
        None => writeln!(text, "stored    nothing (--dry-run)"),
    };
    text
}

fn rows(trials: &[Trial]) -> String {
    let mut text = String::new();
    for Trial { what, images_per_second, gain, rounds, best } in trials {
        let _ = writeln!(
            text,
            "{what:<34} {:>10} {:>7}  {rounds:>2} rounds{}",
            thousands(*images_per_second),
            format!("{gain:.2}×"),
            if *best { "  best" } else { "" }
        );
    }
    text
}
