//! What a step is made of, up to its loss: delivered images brought to what the encoder expects, the
//! encoder in training form, the head, and the objective. All sizes are fixed.

use std::collections::HashMap;

use super::encoder::Encoder;
use super::head::Head;
use super::objective::{Embedded, Objective, unit};
use super::optimizer::Optimizer;
use super::values::{element, seen};
use super::variable::{Initial, Variable, Variables};
use crate::error::Result;
use crate::graph::compose::{Composer, Statistics, Tensor};
use crate::graph::{Element, EncoderInput};
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
pub(super) const SUM: &str = "sum/";

/// What a step is made of.
#[derive(Debug, Clone)]
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

/// A graph up to its loss.
pub(super) struct Begun {
    pub c: Composer,
    pub variables: Vec<Variable>,
    /// Places of those that the loss is differentiated by.
    pub trained: Vec<usize>,
    /// The tensors that they are.
    pub known: Variables,
    pub loss: Tensor,
    pub spread: Tensor,
    pub statistics: Vec<Statistics>,
    /// Embeddings by the slow copy, which no gradient goes into.
    pub targets: Vec<Tensor>,
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

    /// The graph up to the loss; `place` puts each variable into it.
    ///
    /// # Errors
    /// Those of [`Composer::import`].
    pub fn begin(
        &self,
        mut c: Composer,
        mut place: impl FnMut(&mut Composer, &Variable) -> Result<Tensor>,
    ) -> Result<Begun> {
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
            let tensor = place(&mut c, variable)?;
            known.0.insert(variable.name.clone(), tensor);
        }
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
        let statistics = forward.statistics;
        Ok(Begun { c, variables, trained, known, loss, spread, statistics, targets })
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
