//! The step graph: one training step as an ordinary ONNX model.
//!
//! Delivered images, labels and latents go in beside every [`Variable`]; the loss and the variables
//! as they are after the step come out. Between them stand the encoder in training form, the head,
//! the loss, their gradients, clipping, and the optimizer. All sizes are fixed.

use std::collections::HashMap;

use super::encoder::Encoder;
use super::head::Head;
use super::objective::{Embedded, Objective, unit};
use super::optimizer::{Optimizer, Rates};
use super::values::{element, seen};
use super::variable::{Initial, Variable, Variables};
use crate::error::{Error, Kind, Result};
use crate::graph::compose::{Composer, Statistics, Tensor};
use crate::graph::{Element, EncoderInput, Model};
use crate::load::GroupForm;
use crate::recipe::Layout;

/// Inputs that are fed at every step, beside images.
pub(super) const LABEL: &str = "label";
pub(super) const LATENT: &str = "latent";
pub(super) const SOURCE: &str = "source";
pub(super) const RATE: &str = "learning_rate";
pub(super) const STEP: &str = "step";
pub(super) const KEEP: &str = "target_momentum";
/// Outputs beside the variables.
pub(super) const LOSS: &str = "loss";
pub(super) const NORM: &str = "gradient_norm";
pub(super) const SPREAD: &str = "spread";
/// What the name of a variable after the step begins with.
pub(super) const NEXT: &str = "next/";
const TARGET: &str = "target/";
const SUM: &str = "sum/";

/// What a step is made of.
#[derive(Debug)]
pub(super) struct Design<'a> {
    pub encoder: &'a Encoder,
    pub groups: &'a [GroupForm],
    /// What is still to be done to intensities; `None` if it was done already.
    pub input: Option<EncoderInput>,
    /// Samples a step.
    pub batch: usize,
    pub objective: Objective,
    /// Widths of the layers between features and embedding.
    pub head: Vec<usize>,
    pub optimizer: Optimizer,
    /// The largest norm of all gradients together.
    pub clip: Option<f32>,
    /// Classes that labels count.
    pub classes: usize,
    /// Numbers in a latent.
    pub latent: usize,
    /// Whether several samples may be made from one.
    pub has_sources: bool,
    /// Batches whose gradients are summed before the parameters move.
    pub accumulate: u64,
    /// Whether the session has genset's own kernels.
    pub own_kernels: bool,
}

/// Which part of a step a graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: one batch.
    Whole,
    /// A batch whose gradients are put by.
    Gather,
    /// The last batch: all gradients together move the parameters.
    Apply,
}

/// A step as a model.
#[derive(Debug)]
pub(super) struct StepGraph {
    pub model: Model,
    /// All there are, whichever part this is.
    pub variables: Vec<Variable>,
    /// The places in `variables` of those that it changes, in the order of its outputs.
    pub changed: Vec<usize>,
}

/// The name of the input for the images of a group.
pub(super) fn images_name(group: &GroupForm) -> String {
    if group.name.is_empty() { "images".into() } else { format!("images/{}", group.name) }
}

/// The sizes of that input.
pub(super) fn images_dims(group: &GroupForm, batch: usize) -> [usize; 5] {
    let form = &group.form;
    match form.layout {
        Layout::Nchw => [batch, group.views, form.channels, form.height, form.width],
        Layout::Nhwc => [batch, group.views, form.height, form.width, form.channels],
    }
}

/// What becomes of the views of a batch.
struct Forward {
    /// View by view, `[B, D]`.
    views: Vec<Tensor>,
    statistics: Vec<Statistics>,
}

impl Design<'_> {
    /// The widths of the head, whose last is what the objective wants.
    fn widths(&self) -> Vec<usize> {
        let mut widths = self.head.clone();
        match self.objective {
            Objective::CrossEntropy => widths.push(self.classes),
            Objective::Inverter => widths.push(self.latent),
            _ => {}
        }
        widths
    }

    /// The graph of `part`.
    ///
    /// # Errors
    /// Those of [`Composer::import`] and [`Composer::gradients`].
    pub fn build(&self, part: Part) -> Result<StepGraph> {
        let mut c = if self.own_kernels { Composer::with_own() } else { Composer::new() };
        let delivered = self.groups.iter().map(|group| {
            let dims = images_dims(group, self.batch);
            c.input(&images_name(group), element(group.form.dtype), &dims)
        });
        let delivered = delivered.collect::<Result<Vec<_>>>()?;
        let width = self.features()?;
        let head = Head { name: "head", from: width, widths: self.widths() };
        let predictor = self.objective.target_momentum().map(|_| Head {
            name: "predictor",
            from: head.width(),
            widths: vec![head.width() * 2, head.width()],
        });
        let (variables, trained) = self.variables(&head, predictor.as_ref());
        let mut known = Variables::default();
        for variable in &variables {
            let tensor = c.input(&variable.name, Element::F32, &variable.dims)?;
            known.0.insert(variable.name.clone(), tensor);
        }
        let rates = Rates {
            rate: c.input(RATE, Element::F32, &[])?,
            step: c.input(STEP, Element::F32, &[])?,
        };
        let mut images = Vec::new();
        for (tensor, form) in delivered.iter().zip(self.groups) {
            images.push(seen(&mut c, tensor, form, self.encoder, self.input.as_ref())?);
        }
        let mut forward = self.forward(&mut c, &images, &head, &known, "")?;
        let targets = match &predictor {
            None => Vec::new(),
            Some(predictor) => {
                let slow = self.forward(&mut c, &images, &head, &known, TARGET)?;
                let all = c.concat(&forward.views, 0)?;
                let (predicted, statistics) = predictor.apply(&mut c, &all, &known, "")?;
                forward.views = self.rows_of_views(&mut c, &predicted, forward.views.len())?;
                forward.statistics.extend(statistics);
                slow.views
            }
        };
        let loss = self.loss(&mut c, &forward.views, &targets)?;
        let spread = spread(&mut c, &forward.views)?;
        let of: Vec<Tensor> = trained
            .iter()
            .map(|&place| known.get(&variables[place].name))
            .collect::<Result<_>>()?;
        let mut gradients = Vec::new();
        let found = c.gradients(&loss, &of, &targets)?;
        for (&place, gradient) in trained.iter().zip(found) {
            gradients.push(gradient.ok_or_else(|| {
                let message = format!("the loss does not depend on `{}`", variables[place].name);
                Error::new(Kind::Model, message)
                    .help("name the output that it leads to, or take it out of the encoder's file")
            })?);
        }
        let mut next: HashMap<String, Tensor> = HashMap::new();
        self.gather(&mut c, part, &variables, &trained, &mut gradients, &known, &mut next)?;
        let norm = self.clip(&mut c, &mut gradients)?;
        move_statistics(&mut c, &forward.statistics, &known, &mut next)?;
        if part != Part::Gather {
            for (&place, gradient) in trained.iter().zip(&gradients) {
                let parameter = &variables[place];
                next.extend(self.optimizer.update(&mut c, parameter, gradient, &known, &rates)?);
            }
            self.follow(&mut c, &variables, &known, &mut next)?;
        }
        c.output(LOSS, &loss)?;
        c.output(NORM, &norm)?;
        c.output(SPREAD, &spread)?;
        let mut changed = Vec::new();
        for (place, variable) in variables.iter().enumerate() {
            if let Some(tensor) = next.get(&variable.name) {
                c.output(&format!("{NEXT}{}", variable.name), tensor)?;
                changed.push(place);
            }
        }
        Ok(StepGraph { model: c.finish("step")?, variables, changed })
    }

    /// How wide the encoder's features are.
    fn features(&self) -> Result<usize> {
        let mut c = Composer::new();
        let form = &self.groups[0].form;
        let dims = [1, self.encoder.channels(), form.height, form.width];
        let image = c.input("image", Element::F32, &dims)?;
        let (features, _) = self.encoder.apply(&mut c, &image, &HashMap::new())?;
        Ok(c.dims(&features)[1])
    }

    /// All variables, and the places of those that the loss is differentiated by.
    fn variables(&self, head: &Head, predictor: Option<&Head>) -> (Vec<Variable>, Vec<usize>) {
        let of_encoder = self.encoder.parameters().iter().map(|parameter| Variable {
            name: parameter.name.clone(),
            dims: parameter.dims.clone(),
            role: parameter.role,
            initial: Initial::Encoder,
        });
        let mut variables: Vec<Variable> = of_encoder.chain(head.variables()).collect();
        // The slow copy normalises by its own batch, so it needs no statistics.
        let copied: Vec<Variable> = match predictor {
            Some(_) => variables
                .iter()
                .filter(|variable| variable.is_parameter())
                .map(|variable| {
                    let initial = Initial::Copy(variable.name.clone());
                    let name = format!("{TARGET}{}", variable.name);
                    Variable::state(name, variable.dims.clone(), initial)
                })
                .collect(),
            None => Vec::new(),
        };
        variables.extend(predictor.iter().flat_map(|predictor| predictor.variables()));
        let trained: Vec<usize> =
            (0..variables.len()).filter(|&place| variables[place].is_parameter()).collect();
        let mut more = copied;
        for &place in &trained {
            more.extend(self.optimizer.memory(&variables[place]));
            if self.accumulate > 1 {
                let variable = &variables[place];
                let name = format!("{SUM}{}", variable.name);
                more.push(Variable::state(name, variable.dims.clone(), Initial::Zeros));
            }
        }
        variables.extend(more);
        (variables, trained)
    }

    /// The embeddings of all views, with the parameters whose names begin with `prefix`.
    fn forward(
        &self,
        c: &mut Composer,
        images: &[Tensor],
        head: &Head,
        known: &Variables,
        prefix: &str,
    ) -> Result<Forward> {
        let parameters: HashMap<String, Tensor> = self
            .encoder
            .parameters()
            .iter()
            .filter_map(|parameter| {
                // The slow copy has no statistics of its own, and needs none.
                let prefix = if parameter.is_trained() { prefix } else { "" };
                let tensor = known.get(&format!("{prefix}{}", parameter.name)).ok()?;
                Some((parameter.name.clone(), tensor))
            })
            .collect();
        let mut forward = Forward { views: Vec::new(), statistics: Vec::new() };
        let mut features = Vec::new();
        for images in images {
            let (rows, imported) = self.encoder.apply(c, images, &parameters)?;
            forward.statistics.extend(imported.statistics);
            features.push(rows);
        }
        // One head over all views of all groups, as one batch.
        let all = c.concat(&features, 0)?;
        let (embedded, statistics) = head.apply(c, &all, known, prefix)?;
        forward.statistics.extend(statistics);
        let mut from = 0;
        for group in self.groups {
            let rows = self.batch * group.views;
            let part = c.slice(&embedded, 0, from, from + rows, 1)?;
            let width = c.dims(&part)[1];
            let apart = c.reshape(&part, &[self.batch, group.views, width])?;
            for view in 0..group.views {
                let one = c.slice(&apart, 1, view, view + 1, 1)?;
                forward.views.push(c.reshape(&one, &[self.batch, width])?);
            }
            from += rows;
        }
        Ok(forward)
    }

    /// `[V · B, D]`, view by view, apart.
    fn rows_of_views(&self, c: &mut Composer, all: &Tensor, views: usize) -> Result<Vec<Tensor>> {
        (0..views)
            .map(|view| c.slice(all, 0, view * self.batch, (view + 1) * self.batch, 1))
            .collect()
    }

    fn loss(&self, c: &mut Composer, views: &[Tensor], targets: &[Tensor]) -> Result<Tensor> {
        let batch = self.batch;
        let label = match self.objective.needs_labels() {
            true => Some(c.input(LABEL, Element::I64, &[batch])?),
            false => None,
        };
        let source = match self.has_sources && matches!(self.objective, Objective::Contrast { .. })
        {
            true => Some(c.input(SOURCE, Element::I64, &[batch])?),
            false => None,
        };
        let mut latents = Vec::new();
        if self.objective.needs_latents() {
            let all = c.input(LATENT, Element::F32, &[batch, views.len(), self.latent])?;
            for view in 0..views.len() {
                let one = c.slice(&all, 1, view, view + 1, 1)?;
                latents.push(c.reshape(&one, &[batch, self.latent])?);
            }
        }
        let embedded = Embedded {
            views,
            targets,
            label: label.as_ref(),
            latents: &latents,
            source: source.as_ref(),
        };
        self.objective.build(c, &embedded)
    }

    /// Puts gradients to those of earlier batches of the step; means over the batches.
    #[allow(clippy::too_many_arguments, reason = "all of a step")]
    fn gather(
        &self,
        c: &mut Composer,
        part: Part,
        variables: &[Variable],
        trained: &[usize],
        gradients: &mut [Tensor],
        known: &Variables,
        next: &mut HashMap<String, Tensor>,
    ) -> Result<()> {
        if part == Part::Whole {
            return Ok(());
        }
        for (&place, gradient) in trained.iter().zip(gradients) {
            let name = format!("{SUM}{}", variables[place].name);
            let share = c.scale(gradient, 1.0 / self.accumulate as f64)?;
            *gradient = c.add2(&known.get(&name)?, &share)?;
            let kept = match part {
                Part::Gather => gradient.clone(),
                _ => {
                    let zero = c.scalar(gradient, 0.0);
                    c.expand(&zero, &variables[place].dims)?
                }
            };
            next.insert(name, kept);
        }
        Ok(())
    }

    /// The norm of all gradients, which are made shorter if it is above the limit.
    fn clip(&self, c: &mut Composer, gradients: &mut [Tensor]) -> Result<Tensor> {
        let mut squares = Vec::new();
        for gradient in gradients.iter() {
            let axes: Vec<usize> = (0..c.dims(gradient).len()).collect();
            let sum = c.reduce("ReduceSumSquare", gradient, &axes, false)?;
            squares.push(c.reshape(&sum, &[1])?);
        }
        let all = c.concat(&squares, 0)?;
        let total = c.sum_all(&all)?;
        let norm = c.unary("Sqrt", &total)?;
        if let Some(limit) = self.clip {
            let safe = c.shift(&norm, 1e-6)?;
            let limit = c.scalar(&norm, limit.into());
            let ratio = c.div(&limit, &safe)?;
            let one = c.scalar(&norm, 1.0);
            let ratio = c.op("Min", &[&ratio, &one], &[])?;
            for gradient in gradients {
                *gradient = c.mul(gradient, &ratio)?;
            }
        }
        Ok(norm)
    }

    /// The slow copy: a share of what it was, and the rest of what the parameters are now.
    fn follow(
        &self,
        c: &mut Composer,
        variables: &[Variable],
        known: &Variables,
        next: &mut HashMap<String, Tensor>,
    ) -> Result<()> {
        if self.objective.target_momentum().is_none() {
            return Ok(());
        }
        let keep = c.input(KEEP, Element::F32, &[])?;
        for variable in variables {
            let Initial::Copy(of) = &variable.initial else { continue };
            let (slow, new) = (known.get(&variable.name)?, next[of].clone());
            // new + keep (slow - new)
            let behind = c.sub(&slow, &new)?;
            let kept = c.mul(&behind, &keep)?;
            next.insert(variable.name.clone(), c.add2(&new, &kept)?);
        }
        Ok(())
    }
}

/// Running statistics moved towards those of the batch.
fn move_statistics(
    c: &mut Composer,
    statistics: &[Statistics],
    known: &Variables,
    next: &mut HashMap<String, Tensor>,
) -> Result<()> {
    for Statistics { names, batch, momentum } in statistics {
        for (name, batch) in names.iter().zip(batch) {
            // An encoder that several sizes of images go through moves them once for each.
            let old = match next.get(name) {
                Some(moved) => moved.clone(),
                None => known.get(name)?,
            };
            let kept = c.scale(&old, f64::from(*momentum))?;
            let new = c.scale(batch, 1.0 - f64::from(*momentum))?;
            next.insert(name.clone(), c.add2(&kept, &new)?);
        }
    }
    Ok(())
}

/// How far embeddings are from all pointing one way: the mean deviation of a coordinate of an
/// embedding of length 1, times √D. 1 if they are spread over the sphere, 0 if they collapsed (Chen
/// and He 2021, section 4.1).
fn spread(c: &mut Composer, views: &[Tensor]) -> Result<Tensor> {
    let width = c.dims(&views[0])[1];
    let unit = unit(c, &views[0])?;
    let mean = c.mean(&unit, &[0], true)?;
    let centred = c.sub(&unit, &mean)?;
    let square = c.square(&centred)?;
    let variance = c.mean(&square, &[0], false)?;
    let deviation = c.unary("Sqrt", &variance)?;
    let mean = c.mean_all(&deviation)?;
    c.scale(&mean, (width as f64).sqrt())
}
