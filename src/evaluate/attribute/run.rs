//! An audit of attributes, carried out.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, Axis, concatenate, s};

use super::distribution::{Distribution, quantile, sorted};
use super::report::{AttributeOutcome, Classes, Direct, ProbeOutcome, Probed, Report};
use crate::directions::{Explorer, Measured, samples_used};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::evaluate::encoder::{self, Encoding, Ends};
use crate::evaluate::{
    Accuracy, Difference, FEATURE_MEMORY, Features, NEIGHBOURS, Outcome, Probe, Regularisation,
};
use crate::graph::{EncoderInput, Model};
use crate::load::{Options, Stop};
use crate::recipe::{MAX_SAMPLES, Recipe};
use crate::sample::Walks;

/// Fewer samples say nothing.
const MIN_SAMPLES: u64 = 64;

/// Images of a call of an encoder, where its file does not fix that.
const A_CALL: usize = 256;

/// How attributes of an edited dataset are audited.
#[derive(Debug, Clone)]
pub struct AttributeAudit {
    /// Names of built-in attributes; empty for all that fit the images.
    pub attributes: Vec<String>,
    /// Samples that probes learn from. Default 16,384.
    pub train: u64,
    /// Samples after those, that they tell and that distributions are of. Default 8,192.
    pub test: u64,
    /// The first sample. Default: past those that the directions were found and measured on, as
    /// their files say.
    pub first: Option<u64>,
    /// Draws what regularisation is chosen on. Default 0.
    pub seed: u64,
    /// Neighbours that vote. Default [`NEIGHBOURS`].
    pub neighbours: usize,
    /// Bytes that the images of one dataset may take. Default [`FEATURE_MEMORY`].
    pub memory: u64,
}

impl Default for AttributeAudit {
    fn default() -> Self {
        Self {
            attributes: Vec::new(),
            train: 16_384,
            test: 8192,
            first: None,
            seed: 0,
            neighbours: NEIGHBOURS,
            memory: FEATURE_MEMORY,
        }
    }
}

/// A step of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Images, unedited and edited.
    Images,
    /// Probes.
    Probes,
}

/// What is told how far an audit has come: the step, how much of it is done, and of how much.
pub type Tell<'a> = &'a mut dyn FnMut(Step, u64, u64);

/// An encoder whose features are probed beside raw pixels.
#[derive(Debug, Clone, Copy)]
pub struct Encoder<'a> {
    /// From images `[N, C, H, W]` to features.
    pub model: &'a Model,
    /// What values it expects; `None`: as its file says, or intensities in `[0, 1]`.
    pub input: Option<&'a EncoderInput>,
    /// The output that features are read from; `None`: the first.
    pub output: Option<&'a str>,
}

/// What probes see of all samples, unedited and edited: `[samples, D]` each.
struct Seen {
    features: &'static str,
    sides: [Array2<f32>; 2],
}

/// What carries it out.
struct Run<'a> {
    probe: Probe,
    stop: &'a Stop,
    tell: Tell<'a>,
    done: u64,
    total: u64,
}

impl AttributeAudit {
    /// Audits a recipe that has `[[edit]]`. Images are those of the anchors, one a sample, without
    /// latent and pixel operations. `options` says where generator and encoder run; its settings must
    /// have been put over the recipe already.
    ///
    /// # Errors
    /// [`Kind::Argument`] for a recipe without edits, an attribute that does not exist or that too
    /// few images have, or too few samples; those of making images.
    pub fn run(
        &self,
        recipe: &Recipe,
        encoder: Option<Encoder<'_>>,
        options: &Options,
        stop: &Stop,
        tell: Tell<'_>,
    ) -> Result<Report> {
        if recipe.edits.is_empty() {
            return Err(Error::new(Kind::Argument, "the recipe has no edits: nothing to compare")
                .help("[[edit]] in the recipe takes an attribute out of its images"));
        }
        if self.train < MIN_SAMPLES || self.test < MIN_SAMPLES {
            let message = format!("{} samples to learn from, {} to tell", self.train, self.test);
            return Err(Error::new(Kind::Argument, message)
                .help(format!("use {MIN_SAMPLES} at least, better thousands")));
        }
        // What the files of directions may not be is refused before they are looked at again.
        Walks::read(recipe)?;
        let (used, known) = used(recipe)?;
        let first = self.first.unwrap_or(used);
        let samples = self.train.checked_add(self.test).and_then(|n| n.checked_add(first));
        let Some(end) = samples.filter(|end| *end <= MAX_SAMPLES) else {
            let message = format!("{} and {} samples from {first} on", self.train, self.test);
            return Err(Error::new(Kind::Argument, message)
                .help(format!("the endless stream ends at {MAX_SAMPLES}")));
        };
        let total = 2 * (end - first);
        let mut made = 0;
        let mut measured = |recipe: &Recipe| {
            let mut done = |images: u64| {
                made += images;
                tell(Step::Images, made, total);
            };
            let mut explorer = Explorer::open_to_measure(recipe, options)?;
            explorer.measure(first..end, &self.attributes, self.memory, stop, &mut done)
        };
        let plain = Recipe { edits: Vec::new(), ..recipe.clone() };
        let (mut before, mut after) = (measured(&plain)?, measured(recipe)?);
        let train = usize::try_from(self.train).unwrap_or(usize::MAX);
        let classes = !before.labels.is_empty();
        let probe = Probe {
            linear: Some(Regularisation::Chosen),
            neighbours: Some(self.neighbours),
            seed: self.seed,
            ..Probe::default()
        };
        let seen = seen(encoder, [&mut before, &mut after], options, stop)?;
        let each = 2 * before.names.len() + usize::from(classes);
        let total = (seen.len() * each) as u64;
        let mut run = Run { probe, stop, tell, done: 0, total };
        let attributes = (0..before.names.len())
            .map(|at| {
                let name = &before.names[at];
                run.attribute(at, [&before, &after], &seen, train)
                    .at(|| format!("attribute `{name}`"))
            })
            .collect::<Result<_>>()?;
        let classes = match classes {
            true => seen
                .iter()
                .map(|seen| run.classes(&before.labels, seen, train).at(|| "classes"))
                .collect::<Result<_>>()?,
            false => Vec::new(),
        };
        Ok(Report {
            recipe: recipe.name.clone(),
            edits: recipe.edits.len(),
            learnt: [first, first + self.train],
            told: [first + self.train, end],
            apart: known && first >= used,
            attributes,
            classes,
        })
    }
}

impl Run<'_> {
    fn attribute(
        &mut self,
        at: usize,
        [before, after]: [&Measured; 2],
        seen: &[Seen],
        train: usize,
    ) -> Result<AttributeOutcome> {
        let (old, new) = (column(before, at), column(after, at));
        let label = |sample: usize| before.labels.get(sample).copied().unwrap_or(0);
        let medians = medians(&old[..train], label);
        // Above or below; `None` where the unedited image has none, or its class no median.
        let side = |sample: usize| {
            let median = medians.get(&label(sample))?;
            (!old[sample].is_nan()).then_some(i64::from(old[sample] > *median))
        };
        let wanted: Vec<Option<i64>> = (0..old.len()).map(side).collect();
        let probes = seen.iter().map(|seen| self.probed(seen, &wanted, train));
        let probes = probes.collect::<Result<Vec<_>>>()?;
        let (told, edited) = (&old[train..], &new[train..]);
        let all = sorted(&[told, edited].concat());
        let few =
            || Error::new(Kind::Argument, "fewer than two images have it").help("use more samples");
        if all.len() < 2 {
            return Err(few());
        }
        let bars = [quantile(&all, 0.01), quantile(&all, 0.99)];
        // Of values that are all alike every bar is the first.
        let ends = if bars[0] < bars[1] { bars } else { [bars[0], bars[0] + 1.0] };
        let spread = |values: &[f64]| within(values, |sample| label(train + sample));
        let pairs = (train..old.len()).filter(|sample| !new[*sample].is_nan());
        let same: Vec<bool> = pairs
            .filter_map(|sample| {
                let now = i64::from(new[sample] > *medians.get(&label(sample))?);
                Some(wanted[sample]? == now)
            })
            .collect();
        Ok(AttributeOutcome {
            name: before.names[at].clone(),
            formula: before.formulas[at].clone(),
            bars: ends,
            before: Distribution::of(told, ends).ok_or_else(few)?,
            after: Distribution::of(edited, ends).ok_or_else(few)?,
            variance_left: spread(edited) / spread(told),
            same_side: same.iter().filter(|same| **same).count() as f64 / same.len() as f64,
            removed: probes.iter().all(|probed| probed.after.is_chance()),
            probes,
        })
    }

    /// Probes learn `wanted`, where it is known, from some samples of each side and tell it on others.
    fn probed(&mut self, seen: &Seen, wanted: &[Option<i64>], train: usize) -> Result<Probed> {
        let part = |values: &Array2<f32>, samples: Range<usize>| {
            let rows: Vec<usize> = samples.filter(|sample| wanted[*sample].is_some()).collect();
            let labels = rows.iter().filter_map(|row| wanted[*row]).collect();
            Features::new(values.select(Axis(0), &rows), labels)
        };
        let mut told = |values: &Array2<f32>| {
            let (learn, tell) = (part(values, 0..train)?, part(values, train..wanted.len())?);
            Ok::<_, Error>(outcome(&self.judge(learn, tell)?))
        };
        let [before, after] = &seen.sides;
        Ok(Probed { features: seen.features, before: told(before)?, after: told(after)? })
    }

    /// Probes learn from unedited images, and tell both.
    fn classes(&mut self, labels: &[i64], seen: &Seen, train: usize) -> Result<Classes> {
        let [before, after] = &seen.sides;
        let learn = before.slice(s![..train, ..]).to_owned();
        let learn = Features::new(learn, labels[..train].to_vec())?;
        // Both are told at once, so that probes learn once.
        let sides = [before.slice(s![train.., ..]), after.slice(s![train.., ..])];
        let told = concatenate(Axis(0), &sides).expect("as many features");
        let told = self.judge(learn, Features::new(told, labels[train..].repeat(2))?)?;
        let each = labels.len() - train;
        let linear = told.linear.as_ref().expect("asked for").right.split_at(each);
        let knn = told.knn.as_ref().expect("asked for").right.split_at(each);
        let of = |linear, knn| ProbeOutcome {
            linear: Accuracy::of_list(linear),
            knn: Accuracy::of_list(knn),
        };
        Ok(Classes {
            features: seen.features,
            before: of(linear.0, knn.0),
            after: of(linear.1, knn.1),
            difference: Direct {
                linear: Difference::of_lists(linear.1, linear.0),
                knn: Difference::of_lists(knn.1, knn.0),
            },
        })
    }

    fn judge(&mut self, learn: Features, tell: Features) -> Result<Outcome> {
        let outcome = self.probe.judge(learn, tell, self.stop, &mut |_| {})?;
        self.done += 1;
        (self.tell)(Step::Probes, self.done, self.total);
        Ok(outcome)
    }
}

/// One past the last sample that directions were found or measured on, and whether every file of an
/// edit says so.
fn used(recipe: &Recipe) -> Result<(u64, bool)> {
    let (mut end, mut known) = (0, true);
    for edit in &recipe.edits {
        match samples_used(&recipe.folder.join(&edit.file))? {
            Some(used) => end = end.max(used),
            None => known = false,
        }
    }
    Ok((end, known))
}

/// Raw pixels, and the encoder's features if there is one.
fn seen(
    encoder: Option<Encoder<'_>>,
    sides: [&mut Measured; 2],
    options: &Options,
    stop: &Stop,
) -> Result<Vec<Seen>> {
    let mut encoded = None;
    if let Some(Encoder { model, input, output }) = encoder {
        let Ends { input, output } = Ends::of(model, input, output)?;
        let encoding = Encoding { model, input: &input, output: &output, batch: A_CALL, options };
        let [before, after] = sides
            .each_ref()
            .map(|side| encoder::of_intensities(&encoding, side.image, &side.images, stop));
        encoded = Some(Seen { features: "encoder", sides: [before?, after?] });
    }
    // The images are not needed otherwise.
    let pixels = sides.map(|measured| {
        let len = measured.image.iter().product::<usize>();
        let images = std::mem::take(&mut measured.images);
        let shape = (images.len() / len.max(1), len);
        Array2::from_shape_vec(shape, images).expect("whole images")
    });
    let pixels = Seen { features: "raw pixels", sides: pixels };
    Ok([Some(pixels), encoded].into_iter().flatten().collect())
}

fn column(measured: &Measured, at: usize) -> Vec<f64> {
    measured.values.iter().skip(at).step_by(measured.names.len()).copied().collect()
}

fn outcome(outcome: &Outcome) -> ProbeOutcome {
    let (linear, knn) = (outcome.linear.as_ref(), outcome.knn.as_ref());
    ProbeOutcome {
        linear: linear.expect("asked for").accuracy,
        knn: knn.expect("asked for").accuracy,
    }
}

/// The values of each class that are defined.
fn by_class(values: &[f64], label: impl Fn(usize) -> i64) -> BTreeMap<i64, Vec<f64>> {
    let mut classes: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (sample, value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
        classes.entry(label(sample)).or_default().push(*value);
    }
    classes
}

fn medians(values: &[f64], label: impl Fn(usize) -> i64) -> BTreeMap<i64, f64> {
    let classes = by_class(values, label).into_iter();
    classes.map(|(label, values)| (label, quantile(&sorted(&values), 0.5))).collect()
}

/// The mean square of what values differ from the mean of their class by.
fn within(values: &[f64], label: impl Fn(usize) -> i64) -> f64 {
    let (mut squares, mut count) = (0.0, 0);
    for values in by_class(values, label).into_values() {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        squares += values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        count += values.len();
    }
    squares / f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spread_are_of_classes() {
        let values = [1.0, 10.0, 3.0, 30.0, 2.0, f64::NAN];
        let label = |sample: usize| (sample % 2) as i64;
        assert_eq!(medians(&values, label), BTreeMap::from([(0, 2.0), (1, 20.0)]));
        assert!((within(&values, label) - (2.0 + 200.0) / 5.0).abs() < 1e-12);
    }

    #[test]
    fn recipes_without_edits_and_too_few_samples_are_refused() {
        let recipe = Recipe::parse("generator.model = \"g\"", "r", ".".as_ref()).unwrap();
        let run = |audit: AttributeAudit, recipe: &Recipe| {
            let stop = Stop::new();
            let error = audit.run(recipe, None, &Options::default(), &stop, &mut |_, _, _| {});
            error.unwrap_err().to_string()
        };
        let error = run(AttributeAudit::default(), &recipe);
        assert!(error.contains("the recipe has no edits"), "{error}");
        let text = "edit = [{ file = 'd', op = 'remove' }]\ngenerator.model = 'g'";
        let recipe = Recipe::parse(text, "r", ".".as_ref()).unwrap();
        let error = run(AttributeAudit { test: 3, ..AttributeAudit::default() }, &recipe);
        assert!(error.contains("3 to tell"), "{error}");
    }
}
