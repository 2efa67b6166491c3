//! The loss as a model of its own, with the parameters inside: what ONNX Runtime's training API makes
//! its artifacts of.
//!
//! Delivered images, labels and latents go in beside the running statistics; the loss comes out first,
//! then the spread and the statistics as they are after. The metadata name the parameters and the
//! optimizer.

use std::collections::HashMap;

use serde_json::json;

use super::design::{Begun, Design, LOSS, NEXT, SPREAD};
use super::objective::Objective;
use super::optimizer::Optimizer;
use super::step::move_statistics;
use super::variable::{Variable, initial};
use crate::error::{Error, Kind, Result};
use crate::graph::compose::Composer;
use crate::graph::{Element, Model};

/// The key of the metadata.
const METADATA: &str = "genset.training";

/// A loss as a model.
#[derive(Debug)]
pub(super) struct LossGraph {
    pub model: Model,
    /// Parameters, and the running statistics that are fed.
    pub variables: Vec<Variable>,
}

impl Design<'_> {
    /// The loss with parameters as they are before the first step; `seed` draws what is drawn. It is
    /// divided by the number of batches a step, as their gradients are added up.
    ///
    /// # Errors
    /// [`Kind::Argument`] for what the training API has not, and those of [`Design::begin`].
    pub fn loss_graph(&self, seed: u64) -> Result<LossGraph> {
        let optimizer = self.optimizer_of_runtime()?;
        // What the optimizer remembers is the runtime's business.
        let bare = Optimizer::Sgd { momentum: 0.0, decay: 0.0 };
        let bare = Design { optimizer: bare, accumulate: 1, own_kernels: false, ..self.clone() };
        let begun = bare.begin(Composer::new(), |c, variable| {
            if !variable.is_parameter() {
                return c.input(&variable.name, Element::F32, &variable.dims);
            }
            let values = initial(std::slice::from_ref(variable), self.encoder, seed)?;
            c.parameter(&variable.name, &variable.dims, &values[0])
        })?;
        let Begun { mut c, variables, known, loss, spread, statistics, .. } = begun;
        let share = c.scale(&loss, 1.0 / self.accumulate as f64)?;
        c.output(LOSS, &share)?;
        c.output(SPREAD, &spread)?;
        let mut next = HashMap::new();
        move_statistics(&mut c, &statistics, &known, &mut next)?;
        for variable in &variables {
            if let Some(tensor) = next.get(&variable.name) {
                c.output(&format!("{NEXT}{}", variable.name), tensor)?;
            }
        }
        let parameters: Vec<_> = variables
            .iter()
            .filter(|variable| variable.is_parameter())
            .map(|variable| &variable.name)
            .collect();
        let mut said = optimizer;
        said["parameters"] = json!(parameters);
        said["clip"] = json!(self.clip);
        let model = c.finish("loss")?.with_metadata(METADATA, &said.to_string())?;
        Ok(LossGraph { model, variables })
    }

    /// The optimizer in the words of `onnx/ort_training.py`.
    fn optimizer_of_runtime(&self) -> Result<serde_json::Value> {
        let wrong = |what: String, help: &str| {
            Err(Error::new(Kind::Argument, format!("ONNX Runtime's training API {what}"))
                .help(help.to_owned()))
        };
        if let Objective::Byol { .. } = self.objective {
            return wrong(
                "has no slow copy of an encoder, which byol needs".into(),
                "take another objective, or the backend step-graph",
            );
        }
        match self.optimizer {
            Optimizer::Sgd { momentum: 0.0, decay: 0.0 } => Ok(json!({ "optimizer": "sgd" })),
            // It decays biases and normalisations too, which is another optimizer.
            Optimizer::AdamW { beta1, beta2, epsilon, decay: 0.0 } => Ok(json!({
                "optimizer": "adamw", "beta1": beta1, "beta2": beta2, "epsilon": epsilon,
            })),
            other => wrong(
                format!("has no optimizer `{other}`"),
                "it has --optimizer sgd:momentum=0,decay=0 and adamw:decay=0; the backend step-graph \
                 has all",
            ),
        }
    }
}
