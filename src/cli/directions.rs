//! `genset directions`: directions in latent space, with what they do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::common::{ExecutionArgs, on_interrupt, print, print_json, progress};
use crate::directions::{Direction, Effect, Explorer, Found, Method, Report, Settings};
use crate::error::{Error, Kind, Result};
use crate::load::read_recipe;
use crate::whole_file::write_whole;

/// Find directions in latent space and measure what they do
///
/// No training code is needed. Directions are measured on latents that they were not found on:
/// the table says how much one unit along each changes every attribute, and a strip shows it. The
/// file is for `op = "steer"` in a recipe's views.latent.
#[derive(Debug, clap::Args)]
pub(super) struct DirectionsArgs {
    /// A recipe, or builtin:NAME
    recipe: PathBuf,
    /// How directions are found: from the weights of the first layer (sefa), from an activation
    /// (pca), one for each attribute (regress), or several (gradient)
    #[arg(long, value_enum, default_value_t = MethodName::Regress)]
    method: MethodName,
    /// The file of directions to write
    #[arg(short, long, value_name = "SAFETENSORS", default_value = "dirs.safetensors")]
    output: PathBuf,
    /// The folder for a PNG a direction [default: the output's name, with -strips]
    #[arg(long, value_name = "DIR")]
    strips: Option<PathBuf>,
    /// Directions that sefa and pca look for; for each attribute, that gradient does
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// Samples to find directions on [default: 8192, or 1024 for gradient, which makes two images
    /// of each for every element of the latent]
    #[arg(long, value_name = "N")]
    samples: Option<u64>,
    /// Further samples to measure them on
    #[arg(long, value_name = "N", default_value_t = 1024)]
    held_out: u64,
    /// Units that latents are moved by, both ways, to measure
    #[arg(long, value_name = "UNITS", default_value_t = 1.0)]
    step: f64,
    /// An attribute to measure; may be given again [default: all that fit the images]
    #[arg(long, value_name = "NAME")]
    attribute: Vec<String>,
    /// An ONNX model that gives images (N × C × H × W floats from 0 to 1) attributes of your own,
    /// one or K each
    #[arg(long, value_name = "ONNX")]
    scorer: Option<PathBuf>,
    /// The latent input to move, if there are several
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// regress: take the directions of the other attributes out of each
    #[arg(long)]
    conditional: bool,
    /// regress: weight of the squared coefficients
    #[arg(long, value_name = "X", default_value_t = 1e-3)]
    ridge: f64,
    /// pca: the tensor to look at [default: what the first linear layer makes]
    #[arg(long, value_name = "TENSOR")]
    activation: Option<String>,
    /// sefa: layers by number or node name, separated by commas [default: all]
    #[arg(long, value_name = "LAYER", value_delimiter = ',')]
    layers: Vec<String>,
    /// Samples that a strip shows
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=64))]
    strip_samples: u8,
    /// Units that a strip reaches, both ways
    #[arg(long, value_name = "UNITS", default_value_t = 3.0)]
    reach: f64,
    #[command(flatten)]
    execution: ExecutionArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MethodName {
    Sefa,
    Pca,
    Regress,
    Gradient,
}

/// Images across in a strip.
const COLUMNS: usize = 7;

pub(super) fn run(args: &DirectionsArgs, json: bool) -> Result<()> {
    let method = method(args)?;
    let stop = on_interrupt();
    let recipe = read_recipe(&args.recipe, &args.execution.engine.settings)?;
    let mut explorer = Explorer::open(&recipe, &args.execution.options(), args.input.as_deref())
        .map_err(|error| match error.kind() {
            Kind::Recipe | Kind::Limit => error.at(args.recipe.display()),
            _ => error,
        })?;
    let settings = Settings {
        method,
        count: usize::from(args.count),
        samples: args.samples.unwrap_or(match args.method {
            MethodName::Gradient => 1024,
            _ => 8192,
        }),
        held_out: args.held_out,
        step: args.step,
        attributes: args.attribute.clone(),
        scorer: args.scorer.clone(),
    };
    let bar = progress(0, "images");
    let found = explorer.find(&settings, &stop, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let found = found?;
    found.write(&args.output)?;
    let folder = strips_folder(args);
    let strips = write_strips(&mut explorer, &found, &folder, args)?;
    if json {
        let mut document = json!(found.report);
        document["file"] = json!(args.output);
        document["strips"] = json!(strips);
        return print_json(&document);
    }
    print(&text(&found.report, &args.output, &folder))
}

fn method(args: &DirectionsArgs) -> Result<Method> {
    let belongs = [
        (args.conditional, "--conditional", MethodName::Regress),
        (args.activation.is_some(), "--activation", MethodName::Pca),
        (!args.layers.is_empty(), "--layers", MethodName::Sefa),
    ];
    for (given, flag, to) in belongs {
        if given && args.method != to {
            let name = format!("{to:?}").to_lowercase();
            let message = format!("{flag} belongs to --method {name}");
            return Err(Error::new(Kind::Argument, message));
        }
    }
    Ok(match args.method {
        MethodName::Sefa => Method::Sefa { layers: args.layers.clone() },
        MethodName::Pca => Method::Pca { activation: args.activation.clone() },
        MethodName::Regress => Method::Regress { ridge: args.ridge, conditional: args.conditional },
        MethodName::Gradient => Method::Gradient,
    })
}

fn strips_folder(args: &DirectionsArgs) -> PathBuf {
    args.strips.clone().unwrap_or_else(|| {
        let stem = args.output.file_stem().unwrap_or_default().to_string_lossy();
        args.output.with_file_name(format!("{stem}-strips"))
    })
}

/// One PNG a direction: the first held-out samples down, steps across.
fn write_strips(
    explorer: &mut Explorer,
    found: &Found,
    folder: &Path,
    args: &DirectionsArgs,
) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "create", error))?;
    let first = found.report.held_out[0];
    let samples: Vec<u64> = (first..first + u64::from(args.strip_samples)).collect();
    let directions = found.report.directions.iter().zip(&found.vectors);
    directions
        .map(|(direction, vector)| {
            let sheet = explorer.strip(vector, &samples, args.reach, COLUMNS)?;
            let path = folder.join(format!("{}.png", direction.name));
            write_whole(&path, &sheet.to_png()?)?;
            Ok(path)
        })
        .collect()
}

fn text(report: &Report, file: &Path, folder: &Path) -> String {
    let mut text = String::new();
    let shape: Vec<String> = report.shape.iter().map(ToString::to_string).collect();
    let _ = write!(
        text,
        "{}: {} direction(s) of input `{}` [{}] by {}",
        report.model,
        report.directions.len(),
        report.input,
        shape.join(", "),
        report.method
    );
    if !report.source.is_empty() {
        let _ = write!(text, " from {}", report.source.join(", "));
    }
    if report.conditional {
        let _ = write!(text, ", each without the others");
    }
    let [from, to] = report.held_out;
    let fitted = match report.fitted {
        Some([first, end]) => format!("found on samples {first} to {}, ", end - 1),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "\n{fitted}measured on samples {from} to {} at ±{} unit(s)\n\
         σ: standard deviation of the attribute over those samples; 95 %: confidence interval\n",
        to - 1,
        report.step
    );
    let widest = |names: &mut dyn Iterator<Item = &str>| names.map(str::len).max().unwrap_or(0);
    let name = widest(&mut report.directions.iter().map(|d| d.name.as_str())).max(9);
    let moves = widest(&mut report.attributes.iter().map(|a| a.name.as_str())).max(5);
    let regress = report.method == "regress";
    let evidence = if regress { "R²" } else { "share" };
    let effect = if regress { "on itself" } else { "moves" };
    let _ = writeln!(
        text,
        "{:name$}  {evidence:>5}  {effect:moves$}  {:>8}  {:>17}  {:>6}  {}",
        "direction",
        "per unit",
        "95 %",
        "t",
        if regress { "and moves" } else { "and" },
    );
    for direction in &report.directions {
        line(&mut text, report, direction, [name, moves], regress);
    }
    for skipped in &report.skipped {
        let _ = writeln!(text, "no direction for {skipped}");
    }
    let _ = writeln!(text, "\n{}\n{}", file.display(), folder.display());
    text
}

fn line(
    text: &mut String,
    report: &Report,
    direction: &Direction,
    [name, moves]: [usize; 2],
    regress: bool,
) {
    let evidence = direction.r2.or(direction.share);
    let evidence = evidence.map_or("-".into(), |value| format!("{value:.2}"));
    let main = if regress { Some(&direction.name) } else { direction.moves.as_ref() };
    let _ = write!(text, "{:name$}  {evidence:>5}  ", direction.name);
    let Some(effect) = main.and_then(|main| direction.effect(main)) else {
        let _ = writeln!(text, "{:moves$}  nothing that was measured", "");
        return;
    };
    let deviation = report.attributes.iter().find(|a| a.name == effect.attribute);
    let deviation = deviation.map_or(f64::NAN, |attribute| attribute.std);
    let interval = effect.interval.map(|end| format!("{:+.2}", end / deviation));
    let others = direction.moves.iter().chain(&direction.also);
    let others = others
        .filter(|other| **other != effect.attribute)
        .filter_map(|other| direction.effect(other))
        .map(|Effect { attribute, in_std, .. }| format!("{attribute} {in_std:+.2}"))
        .collect::<Vec<_>>();
    let others = if others.is_empty() { "nothing else".into() } else { others.join(", ") };
    let others = match effect.is_significant() {
        true => others,
        false => format!("{others} (itself: not significant)"),
    };
    let _ = writeln!(
        text,
        "{:moves$}  {:>7}σ  {:>17}  {:>6.1}  {others}",
        effect.attribute,
        format!("{:+.2}", effect.in_std),
        format!("[{}]", interval.join(", ")),
        effect.t,
    );
}
