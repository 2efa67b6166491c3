//! `genset inspect`: what a generator is, what is wrong with it, and a recipe for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::common::{
    EngineArgs, ThreadsArgs, bytes, error_document, print, print_json, say, thousands,
};
use super::{inspect_precision, inspect_providers, inspect_rewrites};
use crate::error::{Error, Kind, Result};
use crate::generate::doctor::{self, Diagnosis, Finding, Severity};
use crate::generate::infer::{self, Proposal, Question};
use crate::generate::{Contract, output_shape, resolve};
use crate::graph::Model;
use crate::load::{read_model, read_recipe};
use crate::recipe::{BUILTIN_PREFIX, Notes, Recipe};
use crate::runtime::Runtime;
use crate::whole_file::write_whole;

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

struct Report {
    model: Model,
    proposal: Proposal,
    contract: Option<Contract>,
    diagnosis: Option<Diagnosis>,
    findings: Vec<Finding>,
}

pub(super) fn run(args: &InspectArgs, json: bool) -> Result<ExitCode> {
    let options = || args.threads.over(args.engine.options());
    if args.rewrites {
        let budget = Duration::from_secs_f64(args.seconds);
        return inspect_rewrites::run(&args.target, options(), budget, json);
    }
    if args.precision {
        return inspect_precision::run(&args.target, options(), args.images as usize, json);
    }
    if args.providers {
        inspect_providers::run(&args.target, options(), json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = examine(args)?;
    let failure = failure(&report);
    if let (Some(path), None) = (&args.output, &failure) {
        let recipe = report.proposal.recipe.to_toml(&report.proposal.notes);
        write_whole(path, recipe.as_bytes())?;
    }
    if json {
        print_json(&document(&report, failure.as_ref()))?;
    } else {
        print(&text(&report, args.output.as_deref()))?;
    }
    // Not returned as an error: the document above holds it already.
    Ok(failure.map_or(ExitCode::SUCCESS, |error| say(&error)))
}

/// Why there is no recipe that runs, if there is none.
fn failure(report: &Report) -> Option<Error> {
    let name = report.model.name();
    if let Some(finding) = doctor::hopeless(&report.findings) {
        let message = format!("{name} cannot be used: {}", finding.message);
        return Some(Error::new(Kind::Model, message).help(finding.help));
    }
    if report.proposal.questions.is_empty() {
        return None;
    }
    let settings: Vec<_> = report
        .proposal
        .questions
        .iter()
        .map(|question| format!("--set '{}'", question.setting))
        .collect();
    let message = format!("{name} does not say {}", whats(&report.proposal.questions));
    let help = format!("answer, with the true values, by: {}", settings.join(" "));
    Some(Error::new(Kind::Recipe, message).help(help))
}

fn whats(questions: &[Question]) -> String {
    questions.iter().map(|q| q.what.as_str()).collect::<Vec<_>>().join("; ")
}

fn examine(args: &InspectArgs) -> Result<Report> {
    let (recipe, model) = target(args)?;
    let mut proposal = infer::propose(recipe, &model)?;
    let findings = doctor::read_only(&model, &proposal.recipe);
    if doctor::hopeless(&findings).is_some() {
        proposal.questions.clear();
        return Ok(Report { model, proposal, contract: None, diagnosis: None, findings });
    }
    if !proposal.questions.is_empty() {
        return Ok(Report { model, proposal, contract: None, diagnosis: None, findings });
    }
    let runtime = Runtime::open(&args.engine.options().search)?;
    let contract = resolve(&mut proposal.recipe, &model, &mut |recipe, inputs, batch, output| {
        output_shape(runtime, &model, recipe, inputs, batch, output)
    })?;
    let diagnosis = doctor::examine(runtime, &model, &proposal.recipe, &contract)?;
    let findings = diagnosis.findings.clone();
    Ok(Report { model, proposal, contract: Some(contract), diagnosis: Some(diagnosis), findings })
}

/// The recipe to begin with: the given one, or one that only names the given model.
fn target(args: &InspectArgs) -> Result<(Recipe, Model)> {
    let builtin = args.target.to_str().is_some_and(|text| text.starts_with(BUILTIN_PREFIX));
    let toml = args.target.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    if builtin || toml {
        let recipe = read_recipe(&args.target, &args.engine.settings)?;
        let model = read_model(&recipe)?;
        return Ok((recipe, model));
    }
    let model = Model::read(&args.target)?;
    let (folder, relative) = place(&args.target, args.output.as_deref())?;
    let text = format!("[generator]\nmodel = {}\n", toml_edit::Value::from(relative));
    let stem = args.target.file_stem().unwrap_or_default().to_string_lossy();
    let recipe = Recipe::parse_with(&text, "--set", &stem, &folder, &args.engine.settings)?;
    Ok((recipe, model))
}

/// The folder of the recipe, and the model's path from there. A recipe cannot name a model outside
/// its folder.
fn place(model: &Path, output: Option<&Path>) -> Result<(PathBuf, String)> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let folder = output.map_or_else(|| parent(model), parent);
    let real = |path: &Path| path.canonicalize().map_err(|e| Error::io(path, "find", e));
    let relative = real(model)?.strip_prefix(real(&folder)?).map(Path::to_path_buf);
    match relative {
        Ok(relative) => Ok((folder, relative.to_string_lossy().into_owned())),
        Err(_) => Err(Error::new(
            Kind::Argument,
            format!("a recipe in {} cannot name {}", folder.display(), model.display()),
        )
        .help("write the recipe beside the model, or in a folder above it")),
    }
}

fn text(report: &Report, output: Option<&Path>) -> String {
    let Report { model, proposal, contract, diagnosis, findings } = report;
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
            text + "\n" + &proposal.recipe.to_toml(&proposal.notes)
        }
    }
}

fn document(report: &Report, failure: Option<&Error>) -> Value {
    let Report { model, proposal, contract, diagnosis, findings } = report;
    let port = |info: &crate::graph::ValueInfo| {
        let shape = info
            .shape
            .as_ref()
            .map(|dims| dims.iter().map(ToString::to_string).collect::<Vec<_>>());
        json!({ "name": info.name, "element": info.element.to_string(), "shape": shape })
    };
    let finding = |f: &Finding| json!({ "severity": f.severity.to_string(), "code": f.code, "message": f.message, "help": f.help });
    json!({
        "model": model.name(),
        "parameters": model.parameters(),
        "bytes": model.bytes().len(),
        "opset": model.opset(),
        "producer": model.producer(),
        "inputs": model.inputs().iter().map(port).collect::<Vec<_>>(),
        "outputs": model.outputs().iter().map(port).collect::<Vec<_>>(),
        "image": contract.as_ref().map(|c| json!({
            "channels": c.image.channels,
            "height": c.image.height,
            "width": c.image.width,
            "range": c.image.range,
            "layout": c.layout.name(),
        })),
        "values": diagnosis.as_ref().and_then(|d| d.values),
        "output_bytes": diagnosis.as_ref().map(|d| d.output_bytes),
        "block_memory_bytes": diagnosis.as_ref().and_then(|d| d.block_memory_bytes),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "questions": proposal.questions.iter().map(|q| {
            json!({ "what": q.what, "set": q.setting })
        }).collect::<Vec<_>>(),
        "error": failure.map(error_document),
        "recipe": failure.is_none().then(|| proposal.recipe.to_toml(&Notes::new())),
    })
}
