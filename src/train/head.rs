//! What stands between features and loss: linear layers with batch normalisation and ReLU between,
//! used in training and thrown away after (Chen and others 2020, section 4.2).

use super::variable::{Initial, Variable, Variables};
use crate::error::Result;
use crate::graph::compose::{Attribute, Composer, Statistics, Tensor};

/// The share of running statistics that one step keeps.
const MOMENTUM: f32 = 0.9;

/// Layers from `from` numbers to the last of `widths`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// What its parameters are called by: `head`, `predictor`.
    pub name: &'static str,
    pub from: usize,
    /// How wide each layer's output is; none: the features themselves.
    pub widths: Vec<usize>,
}

impl Head {
    /// How wide its output is.
    pub fn width(&self) -> usize {
        self.widths.last().copied().unwrap_or(self.from)
    }

    /// What it needs to be there. Weights are drawn as PyTorch's `Linear` draws them, uniformly
    /// within 1/√inputs; those before a normalisation have no offset.
    pub fn variables(&self) -> Vec<Variable> {
        let mut variables = Vec::new();
        let mut from = self.from;
        for (layer, &width) in self.widths.iter().enumerate() {
            let name = |what: &str| format!("{}.{layer}.{what}", self.name);
            let within = (1.0 / from as f64).sqrt();
            let drawn = Initial::Uniform { within };
            variables.push(Variable::weight(name("weight"), vec![width, from], drawn.clone()));
            if layer + 1 < self.widths.len() {
                variables.push(Variable::offset(name("scale"), vec![width], Initial::Ones));
                variables.push(Variable::offset(name("offset"), vec![width], Initial::Zeros));
                variables.push(Variable::state(name("mean"), vec![width], Initial::Zeros));
                variables.push(Variable::state(name("variance"), vec![width], Initial::Ones));
            } else {
                variables.push(Variable::offset(name("bias"), vec![width], drawn));
            }
            from = width;
        }
        variables
    }

    /// Its output for `features` `[N, from]`, with its parameters in `variables`, under names that
    /// begin with `prefix`; and how its statistics move.
    pub fn apply(
        &self,
        c: &mut Composer,
        features: &Tensor,
        variables: &Variables,
        prefix: &str,
    ) -> Result<(Tensor, Vec<Statistics>)> {
        let mut x = features.clone();
        let mut statistics = Vec::new();
        for layer in 0..self.widths.len() {
            let name = |what: &str| format!("{}.{layer}.{what}", self.name);
            let get = |what: &str| variables.get(&format!("{prefix}{}", name(what)));
            let weight = get("weight")?;
            let turned = Attribute::Int("transB", 1);
            if layer + 1 < self.widths.len() {
                x = c.op("Gemm", &[&x, &weight], &[turned])?;
                let factors = [&get("scale")?, &get("offset")?];
                // The slow copy has no statistics of its own, and needs none.
                let running = ["mean", "variance"].map(|what| variables.get(&name(what)));
                let [mean, variance] = running;
                let (normal, batch) = c.batch_norm(&x, factors, [&mean?, &variance?], 1e-5)?;
                statistics.push(Statistics {
                    names: [name("mean"), name("variance")],
                    batch,
                    momentum: MOMENTUM,
                });
                x = c.unary("Relu", &normal)?;
            } else {
                x = c.op("Gemm", &[&x, &weight, &get("bias")?], &[turned])?;
            }
        }
        Ok((x, statistics))
    }
}
