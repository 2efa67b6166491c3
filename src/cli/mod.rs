//! The `genset` command, one file a verb.
//!
//! Verbs are thin: each reads its arguments, calls the library, and prints. Results go to stdout
//! (`--json`: one document), progress and errors to stderr.

mod audit;
mod audit_attribute;
mod audit_copies;
mod bench;
mod bench_against;
mod common;
mod demo;
mod digest;
mod directions;
mod encoder;
mod export;
mod inspect;
mod inspect_precision;
mod inspect_providers;
mod inspect_rewrites;
mod log;
mod preview;
mod probe;
mod runtime;
mod shell;
mod train;
mod tune;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use serde_json::json;
use tracing_subscriber::filter::Targets;

use crate::error::Result;

/// A generator where the dataset was.
///
/// Streams images from a pretrained ONNX generator as if they were a dataset. A RECIPE is a TOML
/// file that says what the dataset is, or `builtin:digits`, `builtin:fashion`.
#[derive(Debug, Parser)]
#[command(name = "genset", version, propagate_version = true)]
#[command(
    after_help = "Start with `genset demo`; then `genset inspect YOUR-MODEL.onnx -o recipe.toml`."
)]
struct Cli {
    /// Print one JSON document on stdout
    #[arg(long, global = true, display_order = 100)]
    json: bool,
    /// Say on stderr what goes on: error, warn, info, debug or trace, or as genset::load=debug
    #[arg(long, global = true, display_order = 101, value_name = "LEVEL", env = "GENSET_LOG", value_parser = log::filter)]
    log: Option<Targets>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Demo(demo::DemoArgs),
    Inspect(inspect::InspectArgs),
    Preview(preview::PreviewArgs),
    Digest(digest::DigestArgs),
    Directions(Box<directions::DirectionsArgs>),
    Export(Box<export::ExportArgs>),
    Verify(verify::VerifyArgs),
    Bench(Box<bench::BenchArgs>),
    Tune(tune::TuneArgs),
    Encoder(encoder::EncoderArgs),
    Train(Box<train::TrainArgs>),
    Probe(Box<probe::ProbeArgs>),
    Audit(Box<audit::AuditArgs>),
    Runtime(runtime::RuntimeArgs),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
}

/// Runs the command with `args`, the first of which is its own name.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let started = cli.log.map_or(Ok(()), log::start);
    match started.and_then(|()| dispatch(cli.verb, cli.json)) {
        Ok(code) => code,
        Err(error) => {
            if cli.json {
                let _ = common::print_json(&json!({ "error": error }));
            }
            common::say(&error)
        }
    }
}

fn dispatch(verb: Verb, json: bool) -> Result<ExitCode> {
    match verb {
        Verb::Inspect(args) => return inspect::run(&args, json),
        Verb::Verify(args) => return verify::run(&args, json),
        Verb::Audit(args) => return audit::run(&args, json),
        Verb::Demo(args) => demo::run(&args, json),
        Verb::Preview(args) => preview::run(&args, json),
        Verb::Digest(args) => digest::run(&args, json),
        Verb::Directions(args) => directions::run(&args, json),
        Verb::Export(args) => export::run(&args, json),
        Verb::Bench(args) => bench::run(&args, json),
        Verb::Tune(args) => tune::run(&args, json),
        Verb::Encoder(args) => encoder::run(&args, json),
        Verb::Train(args) => train::run(&args, json),
        Verb::Probe(args) => probe::run(&args, json),
        Verb::Runtime(args) => runtime::run(args, json),
        Verb::Completions(args) => shell::completions(&args, &mut Cli::command(), json),
        Verb::Man(args) => shell::man(&args, Cli::command(), json),
    }
    .map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
