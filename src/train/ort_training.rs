//! Steps by ONNX Runtime's training API.
//!
//! The other process has the parameters and what the optimizer remembers; running statistics stay here,
//! fed with every batch and read from what comes out.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use super::design::{Design, LOSS, NEXT, NORM, SPREAD};
use super::machine::{Feed, Inputs, Machine, Measured, Pace};
use super::optimizer::Optimizer;
use super::variable::{Variable, initial};
use crate::error::{Error, Kind, Result};
use crate::graph::Element;
use crate::runtime::{Tensor, TrainingProcess};

/// An encoder that ONNX Runtime's training API trains.
#[derive(Debug)]
pub(super) struct OrtTrainer {
    /// Even looking at a parameter is a conversation.
    process: RefCell<TrainingProcess>,
    variables: Vec<Variable>,
    /// Those that are not parameters, by place.
    states: HashMap<usize, Tensor>,
    /// Their places by name.
    places: HashMap<String, usize>,
    inputs: Inputs,
    /// Whether the optimizer remembers anything.
    remembers: bool,
    accumulate: f32,
}

impl OrtTrainer {
    /// # Errors
    /// [`Kind::Argument`] for what the training API has not; those of [`TrainingProcess::open`].
    pub fn new(
        python: Option<&Path>,
        design: &Design<'_>,
        threads: usize,
        seed: u64,
    ) -> Result<Self> {
        let graph = design.loss_graph(seed)?;
        let process = TrainingProcess::open(python, graph.model.bytes(), threads)?;
        let variables = graph.variables;
        let values = initial(&variables, design.encoder, seed)?;
        let (mut states, mut places) = (HashMap::new(), HashMap::new());
        for (place, (variable, values)) in variables.iter().zip(values).enumerate() {
            if !variable.is_parameter() {
                let mut tensor = Tensor::new(Element::F32, &variable.dims)?;
                tensor.write_floats(0, &values)?;
                states.insert(place, tensor);
                places.insert(variable.name.clone(), place);
            }
        }
        Ok(Self {
            process: RefCell::new(process),
            variables,
            states,
            places,
            inputs: Inputs::new(design)?,
            remembers: matches!(design.optimizer, Optimizer::AdamW { .. }),
            accumulate: design.accumulate as f32,
        })
    }

    /// Adds the gradients of a batch, and moves the statistics.
    fn gather(&mut self, batch: &Feed<'_>, pace: Pace) -> Result<Measured> {
        let process = self.process.get_mut();
        let names = process.inputs().to_vec();
        self.inputs.write(batch, pace)?;
        let fed = names.iter().map(|name| {
            let state = self.places.get(name).and_then(|place| self.states.get(place));
            let tensor = state.or_else(|| self.inputs.get(name)).ok_or_else(|| {
                Error::new(Kind::Model, format!("the artifacts want an input `{name}`"))
            })?;
            Ok((name.as_str(), tensor))
        });
        let made = process.gather(&fed.collect::<Result<Vec<_>>>()?)?;
        let mut measured = Measured { loss: f32::NAN, norm: f32::NAN, spread: f32::NAN };
        for (name, values) in made {
            let number = values.first().copied().unwrap_or(f32::NAN);
            match name.as_str() {
                LOSS => measured.loss = number * self.accumulate,
                NORM => measured.norm = number,
                SPREAD => measured.spread = number,
                other => {
                    let place = other.strip_prefix(NEXT).and_then(|name| self.places.get(name));
                    if let Some(tensor) = place.and_then(|place| self.states.get_mut(place)) {
                        tensor.write_floats(0, &values)?;
                    }
                }
            }
        }
        Ok(measured)
    }
}

impl Machine for OrtTrainer {
    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn values(&self, place: usize) -> Result<Cow<'_, [f32]>> {
        match self.states.get(&place) {
            Some(tensor) => Ok(tensor.view()?.to_f32().into()),
            None => {
                let name = &self.variables[place].name;
                Ok(self.process.borrow_mut().parameter(name)?.into())
            }
        }
    }

    fn set(&mut self, place: usize, values: &[f32]) -> Result<()> {
        match self.states.get_mut(&place) {
            Some(tensor) => tensor.write_floats(0, values),
            None => self.process.get_mut().set_parameter(&self.variables[place].name, values),
        }
    }

    fn step(&mut self, batches: &[Feed<'_>], pace: Pace) -> Result<Measured> {
        let measured = Measured::of(batches.iter().map(|batch| self.gather(batch, pace)))?;
        self.process.get_mut().move_parameters(pace.rate)?;
        Ok(measured)
    }

    fn runtime(&self) -> Option<String> {
        Some(self.process.borrow().version().to_owned())
    }

    fn memory(&self) -> Result<Vec<u8>> {
        if self.remembers { self.process.borrow_mut().checkpoint() } else { Ok(Vec::new()) }
    }

    fn remember(&mut self, memory: &[u8]) -> Result<()> {
        self.process.get_mut().restore(memory)
    }
}
