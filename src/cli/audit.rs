//! `genset audit`: what a generated dataset must prove.

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::{ExecutionArgs, InputArgs};
use super::{audit_attribute, audit_copies};
use crate::error::{Error, Kind, Result};
use crate::evaluate::attribute::{AttributeAudit, Encoder};
use crate::evaluate::audit::{Audit, NEIGHBOURS};
use crate::graph::Model;

/// What a generated dataset must prove: that it copies no real image, has their variety, and what its
/// edits remove
///
/// With --against: every generated image is compared with the real ones by its relative distance:
/// that to its nearest real image, divided by the mean of those to the next ones. Held-out real
/// images, which the generator did not learn from, say how that is spread where nothing was copied.
/// Copies are found where more generated images than chance allows are closer than 0.1, 1 or 5 % of
/// the held-out ones (exact precedence tests; all alarms of honest datasets together have the
/// probability --level). Beside that: precision, recall, density, coverage, Fréchet distance, Vendi
/// score, duplicates within the stream, and the balance of classes, each with what held-out images
/// come to.
///
/// With --attribute: every sample is made with the recipe's [[edit]] and without. For each attribute:
/// its distribution before and after, and how often probes (logistic regression and nearest
/// neighbours) tell from edited images whether the unedited one lies above the median of its class.
/// An attribute is removed where all probes come to chance. Beside it, how well classes are told.
///
/// Both look at raw pixels, and with --encoder at the features of an encoder too.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).args(["against", "attribute"]),
    after_help = "\
Exit code of --against: 0 if no copies were found, 1 if they were.

  genset audit builtin:digits --against mnist/ --held-out mnist/t10k-images-idx3-ubyte
  genset audit upright.toml --attribute slant"
)]
pub(super) struct AuditArgs {
    /// A recipe, builtin:NAME, or with --against images that were generated
    pub recipe: PathBuf,
    /// The images that the generator learnt from: a folder, tar, IDX, .npy, CIFAR, or shards
    #[arg(long, value_name = "DATA")]
    pub against: Option<PathBuf>,
    /// An attribute that a recipe with [[edit]] changes, such as slant, or `all` that fit the images;
    /// may be given again
    #[arg(long, value_name = "NAME")]
    attribute: Vec<String>,
    /// Look in the features of this ONNX encoder too, from images [N, C, H, W] to [N, D]
    #[arg(long, value_name = "ENCODER.onnx")]
    encoder: Option<PathBuf>,
    /// The encoder's output that features are read from [default: the first]
    #[arg(long, value_name = "NAME", requires = "encoder")]
    output: Option<String>,
    #[command(flatten)]
    input: InputArgs,
    /// Look at the first N samples; probes of attributes learn from twice as many beside
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    samples: u64,
    /// Draws what is held out and chosen
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Real images that the generator did not learn from [default: a sixth of the others]
    #[arg(
        long,
        value_name = "DATA",
        conflicts_with = "attribute",
        help_heading = "With --against"
    )]
    pub held_out: Option<PathBuf>,
    /// Compare with the first N real images only
    #[arg(long, value_name = "N", conflicts_with = "attribute", help_heading = "With --against")]
    limit: Option<u64>,
    /// Real images that each image is compared with: the nearest, and those that say what is usual
    #[arg(long, value_name = "K", default_value_t = NEIGHBOURS, conflicts_with = "attribute", help_heading = "With --against")]
    neighbours: usize,
    /// The probability of an alarm on a dataset without copies
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.01,
        conflicts_with = "attribute",
        help_heading = "With --against"
    )]
    level: f64,
    /// Write a contact sheet of the closest pairs: the generated image, then the real one
    #[arg(long, value_name = "PNG", conflicts_with = "attribute", help_heading = "With --against")]
    pub sheet: Option<PathBuf>,
    /// Images a call of the encoder, where its file does not fix that
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        conflicts_with = "attribute",
        help_heading = "With --against"
    )]
    batch: usize,
    /// Threads that make features; changes no result [default: one a core]
    #[arg(long, value_name = "N", conflicts_with = "attribute", help_heading = "With --against")]
    workers: Option<usize>,
    /// MiB that the features of all images may take
    #[arg(long, value_name = "MIB", default_value_t = crate::evaluate::FEATURE_MEMORY >> 20, conflicts_with = "attribute", help_heading = "With --against")]
    memory: u64,
    /// The first sample [default: past those that the directions were found on]
    #[arg(long, value_name = "A", conflicts_with = "against", help_heading = "With --attribute")]
    from: Option<u64>,
    #[command(flatten)]
    pub execution: ExecutionArgs,
}

pub(super) fn run(args: &AuditArgs, json: bool) -> Result<ExitCode> {
    let input = args.input.input()?;
    if input.is_some() && args.encoder.is_none() {
        let message = "--range, --mean and --std say what an encoder expects, and there is none";
        return Err(Error::new(Kind::Argument, message).help("--encoder ENCODER.onnx names one"));
    }
    let model = args.encoder.as_ref().map(|path| Model::read(path)).transpose()?;
    if let Some(against) = &args.against {
        let audit = Audit {
            samples: args.samples,
            limit: args.limit,
            neighbours: args.neighbours,
            level: args.level,
            seed: args.seed,
            input,
            output: args.output.clone(),
            batch: args.batch,
            workers: args.workers,
            memory: args.memory.saturating_mul(1 << 20),
        };
        return audit_copies::run(args, against, &audit, model.as_ref(), json);
    }
    let all = args.attribute.iter().any(|name| name == "all");
    let audit = AttributeAudit {
        attributes: if all { Vec::new() } else { args.attribute.clone() },
        train: 2 * args.samples,
        test: args.samples,
        first: args.from,
        seed: args.seed,
        ..AttributeAudit::default()
    };
    let encoder = model.as_ref().map(|model| Encoder {
        model,
        input: input.as_ref(),
        output: args.output.as_deref(),
    });
    audit_attribute::run(&args.recipe, &audit, encoder, &args.execution, json)
        .map(|()| ExitCode::SUCCESS)
}
