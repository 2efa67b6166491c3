//! A step graph that is run: variables that stay bound, and change places from step to step.
//!
//! Every variable has two tensors. A step reads one and writes the other; after it they change
//! places. Nothing is copied or allocated between steps.

use std::borrow::Cow;
use std::collections::HashSet;

use super::design::{Design, LOSS, NEXT, NORM, SPREAD};
use super::kernel::KERNELS;
use super::machine::{Feed, Inputs, Machine, Measured, Pace};
use super::step::{Part, StepGraph};
use super::variable::{Variable, initial};
use crate::error::{Error, Kind, Result};
use crate::graph::Element;
use crate::runtime::{ModelSource, Operator, Runtime, Session, SessionOptions, Tensor, TensorView};

/// Variables, and the sessions that change them.
#[derive(Debug)]
pub(super) struct Trainer {
    parts: Vec<Running>,
    variables: Vec<Variable>,
    /// For each variable, where it is and where it goes.
    tensors: Vec<[Tensor; 2]>,
    inputs: Inputs,
    /// Scalars that come out.
    scalars: [Tensor; 3],
}

/// A part of a step that is ready to run.
#[derive(Debug)]
struct Running {
    session: Session,
    /// Places in [`Inputs`] of those that it has beside variables.
    feeds: Vec<usize>,
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
        fed: &Inputs,
    ) -> Result<Self> {
        let source = ModelSource::Memory(graph.model.bytes());
        let inputs: HashSet<&str> =
            graph.model.inputs().iter().map(|input| input.name.as_str()).collect();
        let feeds = 0..fed.all().len();
        let named = |&place: &usize| (place, format!("{NEXT}{}", graph.variables[place].name));
        let places = 0..graph.variables.len();
        Ok(Self {
            session: Session::open_with_operators(runtime, source, options, operators)?,
            feeds: feeds.filter(|&at| inputs.contains(&*fed.all()[at].0)).collect(),
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
        let inputs = Inputs::new(design)?;
        let mut running = Vec::new();
        let mut variables = Vec::new();
        for part in parts {
            let graph = design.build(part)?;
            running.push(Running::new(&graph, runtime, options, operators, &inputs)?);
            variables = graph.variables;
        }
        let mut tensors = Vec::new();
        for variable in &variables {
            let new = || Tensor::new(Element::F32, &variable.dims);
            tensors.push([new()?, new()?]);
        }
        let values = initial(&variables, design.encoder, seed)?;
        for (tensors, values) in tensors.iter_mut().zip(values) {
            tensors[0].write_floats(0, &values)?;
        }
        let scalar = || Tensor::new(Element::F32, &[]);
        let scalars = [scalar()?, scalar()?, scalar()?];
        Ok(Self { parts: running, inputs, scalars, variables, tensors })
    }

    fn run(&mut self, part: usize) -> Result<Measured> {
        let Self { parts, variables, tensors, inputs, scalars } = self;
        let Running { session, feeds, reads, changed } = &mut parts[part];
        for &mut place in feeds {
            let (name, tensor) = &inputs.all()[place];
            session.bind_input(name, tensor)?;
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

impl Machine for Trainer {
    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn values(&self, place: usize) -> Result<Cow<'_, [f32]>> {
        match self.tensors[place][0].view()? {
            TensorView::F32(values) => Ok(values.into()),
            _ => Err(Error::new(Kind::Worker, "variables are f32")),
        }
    }

    fn set(&mut self, place: usize, values: &[f32]) -> Result<()> {
        self.tensors[place][0].write_floats(0, values)
    }

    fn step(&mut self, batches: &[Feed<'_>], pace: Pace) -> Result<Measured> {
        Measured::of(batches.iter().enumerate().map(|(number, batch)| {
            let last = number + 1 == batches.len();
            let part = if last { self.parts.len() - 1 } else { 0 };
            self.inputs.write(batch, pace)?;
            self.run(part)
        }))
    }
}
