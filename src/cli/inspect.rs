//! `genset inspect`: what a generator is, what is wrong with it, and a recipe for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::common::{EngineArgs, ThreadsArgs, bytes, print, print_json, say, thousands};
use super::{inspect_precision, inspect_providers, inspect_rewrites};
use crate::error::Result;
use crate::generate::doctor::{self, Finding, Severity};
use crate::inspect::Inspection;

/// Say what a generator takes and makes, what is wrong with it, and write a recipe for it
///
/// Without -o the report is printed as comments above the recipe, so that the whole output is a
/// recipe. What the file does not say is asked for by name; answer with --set.
#[derive(Debug, clap::Args)]
pub(super) struct InspectArgs {
    /// An ONNX file, a recipe, or builtin:NAME
    #[arg(value_name = "MODEL|RECIPE")]
    target: PathBuf,
    /// Write the recipe to this file
    #[arg(short, long, value_name = "TOML")]
    output: Option<PathBuf>,
    /// Measure which rewrites of the generator's graph pay on this machine, and say what each gains;
    /// the target must be a recipe
    #[arg(long, conflicts_with = "output")]
    rewrites: bool,
    /// Seconds that measuring the rewrites may take
    #[arg(long, default_value_t = 20.0, requires = "rewrites", value_parser = super::bench::positive, value_name = "S")]
    seconds: f64,
    /// Say how far images in the recipe's precision are from those in f32; the target must be a recipe
    #[arg(long, conflicts_with_all = ["output", "rewrites"])]
    precision: bool,
    /// Images to compare in both precisions
    #[arg(long, default_value_t = 1000, requires = "precision", value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    images: u32,
    /// Show which provider runs each node of the graph; the target must be a recipe
    #[arg(long, conflicts_with_all = ["output", "rewrites", "precision"])]
    providers: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
}

pub(super) fn run(args: &InspectArgs, json: bool) -> Result<ExitCode> {
    let (target, engine) = (&args.target, &args.engine);
    let options = || args.threads.over(engine.options());
    let done = |done: Result<()>| done.map(|()| ExitCode::SUCCESS);
    if args.rewrites {
        let budget = Duration::from_secs_f64(args.seconds);
        return done(inspect_rewrites::run(target, options(), budget, json));
    }
    if args.precision {
        return done(inspect_precision::run(target, options(), args.images as usize, json));
    }
    if args.providers {
        return done(inspect_providers::run(target, options(), json));
    }
    let (output, search) = (args.output.as_deref(), engine.options().search);
    let inspection = Inspection::of_path(target, output, &engine.settings, &search)?;
    let failure = inspection.failure();
    if let (Some(path), None) = (output, &failure) {
        inspection.write(path)?;
    }
    if json {
        print_json(&inspection)?;
    } else {
        print(&text(&inspection, output))?;
    }
    // Not returned as an error: the document above holds it already.
    Ok(failure.map_or(ExitCode::SUCCESS, |error| say(&error)))
}

fn text(inspection: &Inspection, output: Option<&Path>) -> String {
    let Inspection { model, proposal, contract, diagnosis, findings } = inspection;
    let mut lines = Vec::new();
    let producer = model.producer();
    let producer = if producer.is_empty() { "unknown producer".into() } else { producer };
    lines.push(format!(
        "{}: {} parameters, {}, opset {}, {producer}",
        model.name(),
        thousands(u32::try_from(model.parameters()).map_or(model.parameters() as f64, f64::from)),
        bytes(model.bytes().len() as u64),
        model.opset().map_or("?".into(), |opset| opset.to_string()),
    ));
    for input in model.inputs() {
        let role = proposal.recipe.generator.inputs.iter().find(|(name, _)| *name == input.name);
        lines.push(format!("input  {input}: {}", role.map_or("?", |(_, role)| role.name())));
    }
    for output in model.outputs() {
        lines.push(format!("output {output}"));
    }
    if let Some(contract) = contract {
        let image = &contract.image;
        lines.push(format!(
            "image  {} channel(s), {}×{} pixels, black {} to white {}",
            image.channels, image.height, image.width, image.range[0], image.range[1]
        ));
    }
    if let Some(diagnosis) = diagnosis {
        if let Some([low, high]) = diagnosis.values {
            lines.push(format!(
                "values from {low:.3} to {high:.3} in {} samples",
                diagnosis.samples
            ));
        }
        let memory = diagnosis.block_memory_bytes.map_or("unknown".into(), bytes);
        lines.push(format!(
            "memory {} of images a call; session and one block took {memory}",
            bytes(diagnosis.output_bytes)
        ));
        if findings.is_empty() {
            lines.push("healthy: nothing found".into());
        }
    }
    for Finding { severity, code, message, help } in findings {
        lines.push(format!("{severity} [{code}]: {message}"));
        if *severity > Severity::Note {
            lines.push(format!("  help: {help}"));
        }
    }
    for question in &proposal.questions {
        lines.push(format!("open: {} (--set '{}')", question.what, question.setting));
    }
    match output {
        Some(path) => {
            if contract.is_some() {
                lines.push(format!("recipe written to {}", path.display()));
            }
            lines.join("\n") + "\n"
        }
        None if doctor::hopeless(findings).is_some() => lines.join("\n") + "\n",
        None => {
            let mut text = String::new();
            for line in lines {
                let _ = writeln!(text, "# {line}");
            }
            text + "\n" + &inspection.recipe_text()
        }
    }
}
