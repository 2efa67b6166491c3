//! Does a generator keep its word? Found out by running it.
//!
//! Each check feeds the generator something chosen and looks at what changes: the same input
//! twice, one input exchanged, the rows in another order. What a check finds is a [`Finding`]; a
//! healthy generator has none above [`Severity::Note`].

use std::fmt;

use super::contract::Contract;
use super::infer::is_image;
use super::probe::{Probe, Probed};
use crate::error::{Result, ResultExt};
use crate::graph::{Model, ValueInfo};
use crate::process::resident_bytes;
use crate::recipe::{Recipe, Role, Views};
use crate::runtime::{Runtime, SessionOptions};
use crate::sample::{BlockInputs, Column, Sampler};

/// Samples that the value checks look at.
const SAMPLES: u32 = 256;
/// Samples that the exchange checks look at.
const FEW: u32 = 8;
/// Two runs that differ by less than this, relative to the range of values, count as equal:
/// kernels may add in another order for another batch.
const TOLERANCE: f32 = 1e-4;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The dataset may not be what its user thinks.
    Warning,
    /// The generator cannot be used as it is.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A short name for programs: `latent-ignored`, `not-finite`, …
    pub code: &'static str,
    /// What was seen.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
}

/// What running the generator showed.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Smallest and largest finite value seen, in the generator's own range.
    pub values: Option<[f32; 2]>,
    /// How many samples were looked at.
    pub samples: u32,
    /// Bytes of the images of one generator call.
    pub output_bytes: u64,
    /// Growth of the process's resident memory while loading and making one block, in bytes;
    /// `None` where the system does not say.
    pub block_memory_bytes: Option<u64>,
}

impl Diagnosis {
    /// The worst severity, if anything was found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

struct Patient<'a> {
    recipe: Recipe,
    contract: &'a Contract,
    sampler: Sampler,
    probe: Probe,
    findings: Vec<Finding>,
    scale: f32,
}

/// The finding for which no recipe is a remedy, so that running the model would be in vain.
#[must_use]
pub fn hopeless(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().find(|f| matches!(f.code, "custom-operators" | "not-a-generator"))
}

/// What reading the file alone shows, without running it. `recipe` may leave inputs open.
#[must_use]
pub fn read_only(model: &Model, recipe: &Recipe) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(takes_images(model, recipe));
    let random = model.random_nodes();
    if !random.is_empty() {
        let names: Vec<_> = random.iter().map(ToString::to_string).collect();
        findings.push(Finding {
            severity: Severity::Error,
            code: "hidden-random",
            message: format!("draws random numbers of its own: {}", names.join(", ")),
            help: "export the model with its noise as an input, so that samples can be made again",
        });
    }
    let custom = model.custom_operators();
    if !custom.is_empty() {
        let names: Vec<_> = custom.iter().map(|(domain, op)| format!("{domain}.{op}")).collect();
        findings.push(Finding {
            severity: Severity::Error,
            code: "custom-operators",
            message: format!("needs operators outside the ONNX standard: {}", names.join(", ")),
            help: "export the model with standard operators; genset loads no operator libraries",
        });
    }
    if !model.external_files().is_empty() {
        let names: Vec<_> =
            model.external_files().iter().map(|p| p.display().to_string()).collect();
        findings.push(Finding {
            severity: Severity::Note,
            code: "external-data",
            message: format!("keeps weights in other files: {}", names.join(", ")),
            help: "move them together with the model; they are part of the digest",
        });
    }
    findings
}

/// An encoder or classifier: an input without a role has the shape of images, no output has.
fn takes_images(model: &Model, recipe: &Recipe) -> Option<Finding> {
    let open = |info: &&ValueInfo| recipe.generator.inputs.iter().all(|(n, _)| *n != info.name);
    let image = model.inputs().iter().filter(open).find(|info| is_image(info))?;
    if model.outputs().iter().any(is_image) {
        return None;
    }
    let outputs: Vec<_> = model.outputs().iter().map(ToString::to_string).collect();
    let made = outputs.join(", ");
    Some(Finding {
        severity: Severity::Error,
        code: "not-a-generator",
        message: format!("takes images (input {image}) and makes none (output {made})"),
        help: "a generator makes images from latents; is this an encoder or a classifier?",
    })
}

/// Runs `model` as `recipe` (resolved to `contract`) says and reports what is wrong with it.
///
/// # Errors
/// Those of loading and running the model; a finding is not an error.
pub fn examine(
    runtime: &Runtime,
    model: &Model,
    recipe: &Recipe,
    contract: &Contract,
) -> Result<Diagnosis> {
    let before = resident_bytes();
    let mut one_view = recipe.clone();
    one_view.views = Views::default();
    let mut patient = Patient {
        sampler: Sampler::new(&one_view, &contract.input_shapes())?,
        recipe: one_view,
        probe: Probe::open(
            runtime,
            model,
            &contract.inputs,
            contract.batch,
            &contract.output,
            &SessionOptions::default(),
        )?,
        contract,
        findings: Vec::new(),
        scale: 1.0,
    };
    let rows = recipe.generator.block * recipe.views.rows();
    let block_memory_bytes =
        patient.run(0, rows).map(|_| Some(resident_bytes()?.saturating_sub(before?)));
    let block_memory_bytes = block_memory_bytes.at(|| model.name().to_owned())?;

    let values = patient.check_values()?;
    // Checks of change mean nothing on images that are not numbers.
    if let Some([low, high]) = values {
        patient.scale = (high - low).max(f32::MIN_POSITIVE);
        let constant = patient.check_constant()?;
        let random = patient.check_repeats()?;
        if !constant && !random {
            patient.check_inputs_matter()?;
            patient.check_batch()?;
        }
        patient.check_range(low, high);
    }
    let mut findings = read_only(model, recipe);
    for finding in patient.findings {
        if !findings.iter().any(|known| known.code == finding.code)
            || finding.code.contains("ignored")
        {
            findings.push(finding);
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let rows_a_call = contract.batch.rows_a_call(rows as usize);
    let element_bytes = contract.element.size_of().unwrap_or(1);
    Ok(Diagnosis {
        findings,
        values,
        samples: SAMPLES,
        output_bytes: (rows_a_call * contract.image.len() * element_bytes) as u64,
        block_memory_bytes,
    })
}

impl Patient<'_> {
    fn inputs(&self, first: u64, samples: u32) -> BlockInputs {
        let mut block = BlockInputs::default();
        self.sampler.fill(first, samples, 0, &mut block);
        block
    }

    fn run(&mut self, first: u64, samples: u32) -> Result<Probed> {
        let block = self.inputs(first, samples);
        self.probe.run(&block)
    }

    fn found(
        &mut self,
        severity: Severity,
        code: &'static str,
        message: String,
        help: &'static str,
    ) {
        self.findings.push(Finding { severity, code, message, help });
    }

    /// Relative difference of two sets of images: the largest over all values.
    fn difference(&self, a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max) / self.scale
    }

    fn check_values(&mut self) -> Result<Option<[f32; 2]>> {
        let mut bad = Vec::new();
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for first in (0..SAMPLES).step_by(32) {
            let probed = self.run(u64::from(first), 32)?;
            for (index, row) in (u64::from(first)..).zip(&probed.rows) {
                if row.iter().any(|x| !x.is_finite()) {
                    bad.push(index);
                    continue;
                }
                low = row.iter().copied().fold(low, f32::min);
                high = row.iter().copied().fold(high, f32::max);
            }
        }
        if let Some(first) = bad.first() {
            let message = format!(
                "{} of {SAMPLES} images have values that are NaN or infinite, first sample {first}",
                bad.len()
            );
            let help = "such a sample stops the stream; repair the model, or draw its latents \
                        truncated";
            self.found(Severity::Error, "not-finite", message, help);
        }
        Ok((low <= high).then_some([low, high]))
    }

    fn check_constant(&mut self) -> Result<bool> {
        let images = self.run(0, FEW)?.rows;
        let finite: Vec<_> =
            images.into_iter().filter(|row| row.iter().all(|x| x.is_finite())).collect();
        let constant = finite.len() > 1
            && finite
                .iter()
                .all(|row| self.difference(&finite[..1], std::slice::from_ref(row)) <= TOLERANCE);
        if constant {
            let message = format!("makes the same image for all of {FEW} samples");
            let help = "the model does not use its inputs; export the one that was trained";
            self.found(Severity::Error, "constant-output", message, help);
        }
        Ok(constant)
    }

    fn check_repeats(&mut self) -> Result<bool> {
        let (once, again) = (self.run(0, FEW)?, self.run(0, FEW)?);
        let difference = self.difference(&once.rows, &again.rows);
        if difference > TOLERANCE {
            let message = format!(
                "makes other images from the same inputs (difference {difference:.1e} of the range)"
            );
            let help = "export the model with its noise as an input, so that samples can be made \
                        again";
            self.found(Severity::Error, "hidden-random", message, help);
            return Ok(true);
        }
        if difference > 0.0 {
            let message = format!("repeats itself only up to {difference:.1e} of the range");
            let help = "equal digests on every run need kernels that add in a fixed order";
            self.found(Severity::Warning, "not-deterministic", message, help);
        }
        Ok(false)
    }

    /// Exchanges one input at a time for that of other samples.
    fn check_inputs_matter(&mut self) -> Result<()> {
        let base = self.inputs(0, FEW);
        let other = self.inputs(u64::from(FEW), FEW);
        let images = self.probe.run(&base)?;
        for ordinal in 0..base.columns.len() {
            let (name, role) = self.recipe.generator.inputs[ordinal].clone();
            let mut changed = base.clone();
            match &role {
                Role::Latent(_) | Role::Noise(_) => {
                    changed.columns[ordinal] = other.columns[ordinal].clone();
                }
                // Drawn labels may be equal by chance: turn the classes by one.
                Role::Class(class) => turn_classes(&mut changed.columns[ordinal], class.classes),
                Role::Truncation(_) => match &mut changed.columns[ordinal] {
                    Column::Float(values) => values.iter_mut().for_each(|v| *v *= 0.5),
                    Column::Integer(_) => continue,
                },
                // A constant says nothing of what another would do.
                Role::Constant(_) => continue,
            }
            if changed.columns[ordinal] == base.columns[ordinal] {
                continue;
            }
            let other_images = self.probe.run(&changed)?;
            let difference = self.difference(&images.rows, &other_images.rows);
            if difference <= TOLERANCE {
                let (severity, code) = match role {
                    Role::Latent(_) => (Severity::Error, "latent-ignored"),
                    Role::Class(_) => (Severity::Error, "class-ignored"),
                    Role::Noise(_) => (Severity::Note, "noise-ignored"),
                    _ => (Severity::Note, "truncation-ignored"),
                };
                let message = format!("input `{name}` changes nothing in the image");
                let help = "export the model that uses it, or give it the role \"constant\"";
                self.found(severity, code, message, help);
            }
        }
        Ok(())
    }

    /// The same samples in another order, and among other samples.
    fn check_batch(&mut self) -> Result<()> {
        if self.contract.batch.rows_a_call(2) < 2 {
            return Ok(());
        }
        let base = self.inputs(0, FEW);
        let images = self.probe.run(&base)?.rows;
        let order: Vec<usize> = (0..FEW as usize).rev().collect();
        let mut turned = self.probe.run(&pick(&base, &base, &order))?.rows;
        turned.reverse();
        let position = self.difference(&images, &turned);

        // The first half stays in place, the second is exchanged.
        let half = FEW as usize / 2;
        let other = self.inputs(1000, FEW);
        let keep: Vec<usize> = (0..FEW as usize).collect();
        let mut mixed = pick(&other, &base, &keep);
        for (mixed, base) in mixed.columns.iter_mut().zip(&base.columns) {
            keep_head(mixed, base, half, FEW as usize);
        }
        let among = self.probe.run(&mixed)?.rows;
        let neighbours = self.difference(&images[..half], &among[..half]);
        let worst = position.max(neighbours);
        if worst > TOLERANCE {
            let what = if neighbours > TOLERANCE {
                "the other samples of its batch"
            } else {
                "its position in the batch"
            };
            let message = format!("an image changes with {what} ({worst:.1e} of the range)");
            let help = "export the model in evaluation mode; until then every sample depends on \
                        generator.block";
            self.found(Severity::Warning, "batch-dependent", message, help);
        }
        Ok(())
    }

    fn check_range(&mut self, low: f32, high: f32) {
        let [a, b] = self.contract.image.range;
        let (black, white) = (a.min(b), a.max(b));
        let width = white - black;
        let beyond = (black - f64::from(low)).max(f64::from(high) - white) / width;
        let covered = (f64::from(high) - f64::from(low)) / width;
        if beyond > 0.02 {
            let message = format!(
                "values from {low:.3} to {high:.3} go beyond the range [{black}, {white}] and are \
                 clamped"
            );
            let help = "check generator.output.range";
            self.found(Severity::Warning, "beyond-range", message, help);
        } else if covered < 0.3 {
            let message = format!(
                "values from {low:.3} to {high:.3} use little of the range [{black}, {white}]"
            );
            let help = "check generator.output.range: is it [0, 1] rather than [0, 255]?";
            self.found(Severity::Warning, "narrow-range", message, help);
        }
    }
}

fn turn_classes(column: &mut Column, classes: u32) {
    match column {
        Column::Integer(labels) => {
            labels.iter_mut().for_each(|label| *label = (*label + 1) % i64::from(classes));
        }
        Column::Float(one_hot) if one_hot.len() % classes as usize == 0 && classes > 1 => {
            one_hot.chunks_mut(classes as usize).for_each(|row| row.rotate_right(1));
        }
        Column::Float(labels) => {
            #[allow(clippy::cast_precision_loss)]
            let classes = classes as f32;
            labels.iter_mut().for_each(|label| *label = (*label + 1.0) % classes);
        }
    }
}

/// The rows of `from` in another order, with the labels of `labels`.
fn pick(from: &BlockInputs, labels: &BlockInputs, order: &[usize]) -> BlockInputs {
    let rows = from.rows;
    let columns = from.columns.iter().map(|column| match column {
        Column::Float(values) => {
            let len = values.len() / rows;
            let row = |r: &usize| values[r * len..][..len].iter().copied();
            Column::Float(order.iter().flat_map(row).collect())
        }
        Column::Integer(values) => Column::Integer(order.iter().map(|r| values[*r]).collect()),
    });
    BlockInputs { rows, columns: columns.collect(), labels: labels.labels.clone() }
}

/// Puts the first `half` rows of `base` over those of `column`.
fn keep_head(column: &mut Column, base: &Column, half: usize, rows: usize) {
    match (column, base) {
        (Column::Float(column), Column::Float(base)) => {
            let len = base.len() / rows * half;
            column[..len].copy_from_slice(&base[..len]);
        }
        (Column::Integer(column), Column::Integer(base)) => {
            column[..half].copy_from_slice(&base[..half]);
        }
        _ => unreachable!("both come from one sampler"),
    }
}
