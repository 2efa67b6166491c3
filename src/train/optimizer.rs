//! How parameters follow their gradients, as nodes of the step graph.
//!
//! The learning rate η is fed at every step. Weight decay is left out for biases and for the scales
//! and offsets of normalisations, as He and others 2019 (*Bag of tricks*, 3.1) advise.

use std::fmt;
use std::str::FromStr;

use super::numbers;
use super::variable::{Initial, Variable, Variables};
use crate::error::{Error, Result};
use crate::graph::compose::{Composer, Role, Tensor};

/// An optimizer, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// v ← μ v + g + λ p; p ← p - η v (Sutskever and others 2013, in PyTorch's form).
    Sgd {
        /// μ.
        momentum: f32,
        /// λ.
        decay: f32,
    },
    /// Loshchilov and Hutter 2019, algorithm 2: decay beside the adaptive step, times η.
    AdamW {
        /// How much of the mean gradient stays.
        beta1: f32,
        /// How much of the mean square stays.
        beta2: f32,
        /// Added to the root of the mean square.
        epsilon: f32,
        /// λ.
        decay: f32,
    },
    /// You and others 2017: momentum over g scaled by trust · ‖p‖ / (‖g‖ + λ ‖p‖), for weights;
    /// others as SGD.
    Lars {
        /// μ.
        momentum: f32,
        /// λ.
        decay: f32,
        /// The trust coefficient.
        trust: f32,
    },
}

/// Their names and default numbers.
pub const OPTIMIZERS: [(&str, Optimizer); 3] = [
    ("sgd", Optimizer::Sgd { momentum: 0.9, decay: 1e-4 }),
    ("adamw", Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 1e-2 }),
    ("lars", Optimizer::Lars { momentum: 0.9, decay: 1e-6, trust: 1e-3 }),
];

/// What is fed at every step.
pub(super) struct Rates {
    /// η, a scalar.
    pub rate: Tensor,
    /// The number of this step, from 1, a scalar of `f32`.
    pub step: Tensor,
}

impl Optimizer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let same = |other: &Self| std::mem::discriminant(other) == std::mem::discriminant(self);
        OPTIMIZERS.iter().find(|(_, other)| same(other)).map_or("?", |(name, _)| name)
    }

    /// The learning rate that goes with it where none is set.
    #[must_use]
    pub fn default_rate(&self) -> f32 {
        match self {
            Self::Sgd { .. } => 0.05,
            Self::AdamW { .. } => 1e-3,
            Self::Lars { .. } => 0.3,
        }
    }

    fn numbers(&mut self) -> Vec<(&'static str, &mut f32)> {
        match self {
            Self::Sgd { momentum, decay } => vec![("momentum", momentum), ("decay", decay)],
            Self::AdamW { beta1, beta2, epsilon, decay } => {
                vec![("beta1", beta1), ("beta2", beta2), ("epsilon", epsilon), ("decay", decay)]
            }
            Self::Lars { momentum, decay, trust } => {
                vec![("momentum", momentum), ("decay", decay), ("trust", trust)]
            }
        }
    }

    /// What it remembers of `parameter`.
    pub(super) fn memory(&self, parameter: &Variable) -> Vec<Variable> {
        let zeros = |of: &str| {
            let name = format!("{of}/{}", parameter.name);
            Variable::state(name, parameter.dims.clone(), Initial::Zeros)
        };
        match self {
            Self::Sgd { momentum, .. } if *momentum == 0.0 => vec![],
            Self::Sgd { .. } | Self::Lars { .. } => vec![zeros("momentum")],
            Self::AdamW { .. } => vec![zeros("adam.mean"), zeros("adam.square")],
        }
    }

    /// The new value of `parameter`, and those of its memory by name.
    pub(super) fn update(
        &self,
        c: &mut Composer,
        parameter: &Variable,
        gradient: &Tensor,
        variables: &Variables,
        rates: &Rates,
    ) -> Result<Vec<(String, Tensor)>> {
        let p = variables.get(&parameter.name)?;
        let decays = parameter.role == Role::Weight;
        match *self {
            Self::Sgd { momentum, decay } => {
                let decay = if decays { f64::from(decay) } else { 0.0 };
                let g = with_decay(c, gradient, &p, decay)?;
                follow(c, parameter, &p, &g, f64::from(momentum), variables, rates)
            }
            Self::Lars { momentum, decay, trust } => {
                let g = match decays {
                    true => trusted(c, gradient, &p, decay.into(), trust.into())?,
                    false => gradient.clone(),
                };
                follow(c, parameter, &p, &g, f64::from(momentum), variables, rates)
            }
            Self::AdamW { beta1, beta2, epsilon, decay } => {
                let decay = if decays { decay } else { 0.0 };
                let numbers = [beta1, beta2, epsilon, decay].map(f64::from);
                adam(c, parameter, &p, gradient, numbers, variables, rates)
            }
        }
    }
}

/// g + λ p.
fn with_decay(c: &mut Composer, g: &Tensor, p: &Tensor, decay: f64) -> Result<Tensor> {
    if decay == 0.0 {
        return Ok(g.clone());
    }
    let shrink = c.scale(p, decay)?;
    c.add2(g, &shrink)
}

/// v ← μ v + g; p ← p - η v.
fn follow(
    c: &mut Composer,
    parameter: &Variable,
    p: &Tensor,
    g: &Tensor,
    momentum: f64,
    variables: &Variables,
    rates: &Rates,
) -> Result<Vec<(String, Tensor)>> {
    let mut made = Vec::new();
    let mut velocity = g.clone();
    if momentum != 0.0 {
        let name = format!("momentum/{}", parameter.name);
        let kept = c.scale(&variables.get(&name)?, momentum)?;
        velocity = c.add2(&kept, g)?;
        made.push((name, velocity.clone()));
    }
    let step = c.mul(&velocity, &rates.rate)?;
    made.push((parameter.name.clone(), c.sub(p, &step)?));
    Ok(made)
}

/// (g + λ p) · trust · ‖p‖ / (‖g‖ + λ ‖p‖); as it is where either norm is 0.
fn trusted(c: &mut Composer, g: &Tensor, p: &Tensor, decay: f64, trust: f64) -> Result<Tensor> {
    let mut norms = Vec::new();
    for tensor in [p, g] {
        let square = c.square(tensor)?;
        let sum = c.sum_all(&square)?;
        norms.push(c.unary("Sqrt", &sum)?);
    }
    let shrink = c.scale(&norms[0], decay)?;
    let below = c.add2(&norms[1], &shrink)?;
    let above = c.scale(&norms[0], trust)?;
    let zero = c.scalar(p, 0.0);
    let one = c.scalar(p, 1.0);
    let product = c.mul(&norms[0], &norms[1])?;
    let there = c.op("Greater", &[&product, &zero], &[])?;
    let safe = c.choose(&there, &below, &one)?;
    let ratio = c.div(&above, &safe)?;
    let ratio = c.choose(&there, &ratio, &one)?;
    let g = with_decay(c, g, p, decay)?;
    c.mul(&g, &ratio)
}

fn adam(
    c: &mut Composer,
    parameter: &Variable,
    p: &Tensor,
    g: &Tensor,
    [beta1, beta2, epsilon, decay]: [f64; 4],
    variables: &Variables,
    rates: &Rates,
) -> Result<Vec<(String, Tensor)>> {
    let (mean_name, square_name) =
        (format!("adam.mean/{}", parameter.name), format!("adam.square/{}", parameter.name));
    let kept = c.scale(&variables.get(&mean_name)?, beta1)?;
    let new = c.scale(g, 1.0 - beta1)?;
    let mean = c.add2(&kept, &new)?;
    let kept = c.scale(&variables.get(&square_name)?, beta2)?;
    let squared = c.square(g)?;
    let new = c.scale(&squared, 1.0 - beta2)?;
    let square = c.add2(&kept, &new)?;
    // The first steps have seen too little: both means are too small by 1 - βᵗ.
    let missing = |c: &mut Composer, beta: f64| -> Result<Tensor> {
        let base = c.scalar(&rates.step, beta);
        let power = c.op("Pow", &[&base, &rates.step], &[])?;
        let one = c.scalar(&rates.step, 1.0);
        c.sub(&one, &power)
    };
    let first = missing(c, beta1)?;
    let second = missing(c, beta2)?;
    let root = c.unary("Sqrt", &square)?;
    let second = c.unary("Sqrt", &second)?;
    let root = c.div(&root, &second)?;
    let below = c.shift(&root, epsilon)?;
    let rate = c.div(&rates.rate, &first)?;
    let step = c.div(&mean, &below)?;
    let step = c.mul(&step, &rate)?;
    let mut kept = p.clone();
    if decay != 0.0 {
        let shrink = c.scale(&rates.rate, decay)?;
        let one = c.scalar(&shrink, 1.0);
        let rest = c.sub(&one, &shrink)?;
        kept = c.mul(p, &rest)?;
    }
    let next = c.sub(&kept, &step)?;
    Ok(vec![(mean_name, mean), (square_name, square), (parameter.name.clone(), next)])
}

impl fmt::Display for Optimizer {
    /// As `sgd:momentum=0.9,decay=0.0001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = *self;
        f.write_str(&numbers::show(self.name(), &numbers.numbers()))
    }
}

impl FromStr for Optimizer {
    type Err = Error;

    /// As [`Optimizer`] is displayed; numbers that are not named have their defaults.
    fn from_str(text: &str) -> Result<Self> {
        let (name, _) = text.split_once(':').unwrap_or((text, ""));
        let mut optimizer = numbers::named("optimizer", name, OPTIMIZERS)?;
        numbers::set("optimizer", text, &mut optimizer.numbers())?;
        Ok(optimizer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optimizers_are_read_as_they_are_shown() {
        for (name, optimizer) in OPTIMIZERS {
            assert_eq!(optimizer.name(), name);
            assert_eq!(optimizer.to_string().parse::<Optimizer>().unwrap(), optimizer);
        }
        let plain: Optimizer = "sgd:momentum=0,decay=0".parse().unwrap();
        assert_eq!(plain, Optimizer::Sgd { momentum: 0.0, decay: 0.0 });
        let error = "adam".parse::<Optimizer>().unwrap_err();
        assert!(format!("{error:#}").contains("known: sgd, adamw, lars"), "{error:#}");
    }
}
