//! What a step reads and leaves changed: parameters, running statistics, the optimizer's state.

use std::collections::HashMap;

use super::encoder::Encoder;
use crate::error::{Error, Kind, Result};
use crate::graph::compose::{Role, Tensor};
use crate::graph::uniform;

/// A tensor of `f32` that lives from step to step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variable {
    /// The input of the step graph that it is fed to.
    pub name: String,
    pub dims: Vec<usize>,
    pub role: Role,
    pub initial: Initial,
}

/// What a variable is before the first step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Initial {
    /// The encoder's initializer of that name.
    Encoder,
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
    /// Drawn uniformly from -`within` to `within`, by the run's seed and the variable's name.
    Uniform {
        /// The bound.
        within: f64,
    },
    /// What another variable is.
    Copy(String),
}

impl Variable {
    pub fn weight(name: String, dims: Vec<usize>, initial: Initial) -> Self {
        Self { name, dims, role: Role::Weight, initial }
    }

    pub fn offset(name: String, dims: Vec<usize>, initial: Initial) -> Self {
        Self { name, dims, role: Role::Offset, initial }
    }

    pub fn state(name: String, dims: Vec<usize>, initial: Initial) -> Self {
        Self { name, dims, role: Role::State, initial }
    }

    /// Whether the loss is differentiated by it.
    pub fn is_parameter(&self) -> bool {
        self.role.is_trained()
    }

    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }
}

/// What `variables` are before the first step; `seed` draws what is drawn.
///
/// # Errors
/// Those of [`Encoder::values`].
pub(super) fn initial(
    variables: &[Variable],
    encoder: &Encoder,
    seed: u64,
) -> Result<Vec<Vec<f32>>> {
    let mut all: Vec<Vec<f32>> = Vec::with_capacity(variables.len());
    for variable in variables {
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
            Initial::Encoder => encoder.values(&variable.name)?,
            Initial::Copy(of) => {
                let place = variables.iter().position(|other| other.name == *of);
                place.and_then(|place| all.get(place)).cloned().unwrap_or_default()
            }
        };
        all.push(values);
    }
    Ok(all)
}

/// The tensors that variables are in a graph that is being put together.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(pub HashMap<String, Tensor>);

impl Variables {
    /// The tensor of the variable `name`.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| Error::new(Kind::Worker, format!("no variable is named `{name}`")))
    }
}
