//! The `genset` command, one file a verb.

mod runtime;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// A generator where the dataset was.
#[derive(Debug, Parser)]
#[command(name = "genset", version)]
struct Cli {
    /// Print one JSON document on stdout.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Runtime(runtime::RuntimeArgs),
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
    let Verb::Runtime(args) = cli.verb;
    match runtime::run(args, cli.json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(1)
        }
    }
}
