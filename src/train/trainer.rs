//! A step graph that is run: variables that stay bound, and change places from step to step.
//!
//! Every variable has two tensors. A step reads one and writes the other; after it they change
//! places. Nothing is copied or allocated between steps.

use std::collections::{HashMap, HashSet};

use super::kernel::KERNELS;
use super::step::{
    Design, KEEP, LABEL, LATENT, LOSS, NEXT, NORM, Part, RATE, SOURCE, SPREAD, STEP, StepGraph,
    images_dims, images_name,
};
use super::stepper::Measured;
use super::values::element;
use super::variable::{Initial, Variable};
use crate::error::{Error, Kind, Result};
use crate::graph::{Element, uniform};
use crate::load::{Batch, Images};
use crate::runtime::{ModelSource, Operator, Runtime, Session, SessionOptions, Tensor, TensorView};

/// What is fed at every step beside a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The number of the step, from 1.
    pub step: u64,
    /// The learning rate.
    pub rate: f64,
    /// The share of the slow copy that stays.
    pub keep: f64,
}

/// What one batch feeds.
#[derive(Debug, Clone, Default)]
pub(super) struct Feed<'a> {
    /// The images of each group, as they are delivered.
    pub images: Vec<&'a [u8]>,
    /// The class of each sample.
    pub labels: Option<&'a [i64]>,
    /// The generated sample that each is a delivery of.
    pub sources: Vec<i64>,
    /// `[B, V, Z]`.
    pub latents: Option<&'a [f32]>,
}

impl<'a> Feed<'a> {
    /// That of a batch that a loader delivered.
    pub fn of(batch: &'a Batch) -> Self {
        Self {
            images: batch.groups().iter().map(Images::bytes).collect(),
            labels: batch.labels(),
            sources: batch.sources().iter().map(|&source| source.cast_signed()).collect(),
            latents: batch.latents().and_then(|latents| latents.to_slice()),
        }
    }
}

/// Variables, and the sessions that change them.
#[derive(Debug)]
pub(super) struct Trainer {
    parts: Vec<Running>,
    variables: Vec<Variable>,
    /// For each variable, where it is and where it goes.
    tensors: Vec<[Tensor; 2]>,
    /// Images of each group, by the name of their input.
    images: Vec<(String, Tensor)>,
    /// Other inputs, by name.
    feeds: HashMap<&'static str, Tensor>,
    /// Scalars that come out.
    scalars: [Tensor; 3],
}

/// A part of a step that is ready to run.
#[derive(Debug)]
struct Running {
    session: Session,
    /// The inputs that it has beside images and variables.
    feeds: Vec<&'static str>,
    /// Places of the variables that it reads. The sums of earlier batches are read by some parts
    /// alone.
    reads: Vec<usize>,
    /// Places of the variables that it changes, and the outputs that they are then.
    changed: Vec<(usize, String)>,
}

impl Running {
    /// # Errors
    /// Those of the runtime.
    fn new(
        graph: &StepGraph,
        runtime: &Runtime,
        options: &SessionOptions,
        operators: &[Operator],
    ) -> Result<Self> {
        let source = ModelSource::Memory(graph.model.bytes());
        let inputs: HashSet<&str> =
            graph.model.inputs().iter().map(|input| input.name.as_str()).collect();
        let feeds = [LABEL, SOURCE, LATENT, RATE, STEP, KEEP];
        let named = |&place: &usize| (place, format!("{NEXT}{}", graph.variables[place].name));
        let places = 0..graph.variables.len();
        Ok(Self {
            session: Session::open_with_operators(runtime, source, options, operators)?,
            feeds: feeds.into_iter().filter(|name| inputs.contains(name)).collect(),
            reads: places.filter(|&at| inputs.contains(&*graph.variables[at].name)).collect(),
            changed: graph.changed.iter().map(named).collect(),
        })
    }
}

impl Trainer {
    /// Sessions for the steps of `design`, with variables as they are before the first: `seed`
    /// draws what is drawn.
    ///
    /// # Errors
    /// Those of building the graph and of the runtime.
    pub fn new(
        design: &Design<'_>,
        runtime: &Runtime,
        options: &SessionOptions,
        seed: u64,
    ) -> Result<Self> {
        let parts = match design.accumulate {
            0 | 1 => vec![Part::Whole],
            _ => vec![Part::Gather, Part::Apply],
        };
        let operators: &[_] = if design.own_kernels { &KERNELS } else { &[] };
        let mut running = Vec::new();
        let mut variables = Vec::new();
        for part in parts {
            let graph = design.build(part)?;
            running.push(Running::new(&graph, runtime, options, operators)?);
            variables = graph.variables;
        }
        let mut tensors = Vec::new();
        for variable in &variables {
            let new = || Tensor::new(Element::F32, &variable.dims);
            tensors.push([new()?, new()?]);
        }
        let images = design.groups.iter().map(|group| {
            let dims = images_dims(group, design.batch);
            Ok((images_name(group), Tensor::new(element(group.form.dtype), &dims)?))
        });
        let views: usize = design.groups.iter().map(|group| group.views).sum();
        let batch = design.batch;
        let scalar = || Tensor::new(Element::F32, &[]);
        let feeds = HashMap::from([
            (LABEL, Tensor::new(Element::I64, &[batch])?),
            (SOURCE, Tensor::new(Element::I64, &[batch])?),
            (LATENT, Tensor::new(Element::F32, &[batch, views, design.latent])?),
            (RATE, scalar()?),
            (STEP, scalar()?),
            (KEEP, scalar()?),
        ]);
        let mut trainer = Self {
            parts: running,
            images: images.collect::<Result<_>>()?,
            feeds,
            scalars: [scalar()?, scalar()?, scalar()?],
            variables,
            tensors,
        };
        trainer.begin(design, seed)?;
        Ok(trainer)
    }

    fn begin(&mut self, design: &Design<'_>, seed: u64) -> Result<()> {
        let mut known: HashMap<String, Vec<f32>> = HashMap::new();
        for (variable, tensors) in self.variables.iter().zip(&mut self.tensors) {
            let values = match &variable.initial {
                Initial::Zeros => vec![0.0; variable.len()],
                Initial::Ones => vec![1.0; variable.len()],
                Initial::Uniform { within } => {
                    let mut values = Vec::with_capacity(variable.len());
                    #[allow(clippy::cast_possible_truncation)]
                    let put = |value: f64| values.push(value as f32);
                    uniform(seed, &variable.name, variable.len(), *within, put);
                    values
                }
                Initial::Encoder => design.encoder.values(&variable.name)?,
                Initial::Copy(of) => known.get(of).cloned().unwrap_or_default(),
            };
            tensors[0].write_floats(0, &values)?;
            known.insert(variable.name.clone(), values);
        }
        Ok(())
    }

    /// The variables, in the order of [`Trainer::values`].
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// What the variable at `place` is now.
    ///
    /// # Errors
    /// Those of the runtime.
    pub fn values(&self, place: usize) -> Result<&[f32]> {
        match self.tensors[place][0].view()? {
            TensorView::F32(values) => Ok(values),
            _ => Err(Error::new(Kind::Worker, "variables are f32")),
        }
    }

    /// Sets the variable at `place`.
    ///
    /// # Errors
    /// Those of the runtime.
    ///
    /// # Panics
    /// If the values do not fit.
    pub fn set(&mut self, place: usize, values: &[f32]) -> Result<()> {
        self.tensors[place][0].write_floats(0, values)
    }

    /// One step over as many batches as are accumulated.
    ///
    /// # Errors
    /// Those of the runtime.
    ///
    /// # Panics
    /// If there are more or fewer batches, or they are of other sizes.
    pub fn step(&mut self, batches: &[Feed<'_>], pace: Pace) -> Result<Measured> {
        let mut measured: Option<Measured> = None;
        for (number, batch) in batches.iter().enumerate() {
            self.feed(batch, pace)?;
            let last = number + 1 == batches.len();
            let part = if last { self.parts.len() - 1 } else { 0 };
            let one = self.run(part)?;
            // Of several batches, the mean loss and spread; the norm is that of all together.
            measured = Some(match measured {
                None => one,
                Some(sum) => Measured {
                    loss: sum.loss + one.loss,
                    norm: one.norm,
                    spread: sum.spread + one.spread,
                },
            });
        }
        let sum = measured.expect("a step has a batch");
        let count = batches.len() as f32;
        Ok(Measured { loss: sum.loss / count, norm: sum.norm, spread: sum.spread / count })
    }

    fn feed(&mut self, batch: &Feed<'_>, pace: Pace) -> Result<()> {
        for ((_, tensor), images) in self.images.iter_mut().zip(&batch.images) {
            tensor.bytes_mut()?.copy_from_slice(images);
        }
        let is_read = |name: &str| self.parts[0].feeds.contains(&name);
        if let (true, Some(labels)) = (is_read(LABEL), batch.labels) {
            write(&mut self.feeds, LABEL, |tensor| tensor.write_integers(0, labels))?;
        }
        if is_read(SOURCE) {
            write(&mut self.feeds, SOURCE, |tensor| tensor.write_integers(0, &batch.sources))?;
        }
        if let (true, Some(latents)) = (is_read(LATENT), batch.latents) {
            write(&mut self.feeds, LATENT, |tensor| tensor.write_floats(0, latents))?;
        }
        for (name, value) in [(RATE, pace.rate), (STEP, pace.step as f64), (KEEP, pace.keep)] {
            write(&mut self.feeds, name, |tensor| tensor.write_doubles(0, &[value]))?;
        }
        Ok(())
    }

    fn run(&mut self, part: usize) -> Result<Measured> {
        let Self { parts, variables, tensors, images, feeds, scalars } = self;
        let Running { session, feeds: own, reads, changed } = &mut parts[part];
        for (name, tensor) in images.iter() {
            session.bind_input(name, tensor)?;
        }
        for name in own.iter() {
            session.bind_input(name, &feeds[name])?;
        }
        for &mut place in reads {
            session.bind_input(&variables[place].name, &tensors[place][0])?;
        }
        for (place, name) in changed.iter() {
            session.bind_output(name, &mut tensors[*place][1])?;
        }
        for (name, tensor) in [LOSS, NORM, SPREAD].into_iter().zip(scalars.iter_mut()) {
            session.bind_output(name, tensor)?;
        }
        session.run()?;
        for (place, _) in changed.iter() {
            tensors[*place].swap(0, 1);
        }
        let [loss, norm, spread] = scalars;
        let number = |tensor: &Tensor| -> Result<f32> {
            Ok(tensor.view()?.to_f32().first().copied().unwrap_or(f32::NAN))
        };
        Ok(Measured { loss: number(loss)?, norm: number(norm)?, spread: number(spread)? })
    }
}

fn write(
    feeds: &mut HashMap<&'static str, Tensor>,
    name: &'static str,
    to: impl FnOnce(&mut Tensor) -> Result<()>,
) -> Result<()> {
    feeds.get_mut(name).map_or(Ok(()), to)
}
