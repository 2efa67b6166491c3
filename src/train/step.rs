//! The step graph: one training step as an ordinary ONNX model.
//!
//! Delivered images, labels and latents go in beside every [`Variable`]; the loss and the variables
//! as they are after the step come out. Between them stand the encoder in training form, the head,
//! the loss, their gradients, clipping, and the optimizer. All sizes are fixed.

use std::collections::HashMap;

use super::design::{Begun, Design, KEEP, LOSS, NEXT, NORM, RATE, SPREAD, STEP, SUM};
use super::optimizer::Rates;
use super::variable::{Initial, Variable, Variables};
use crate::error::{Error, Kind, Result};
use crate::graph::compose::{Composer, Statistics, Tensor};
use crate::graph::{Element, Model};

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

impl Design<'_> {
    /// The graph of `part`.
    ///
    /// # Errors
    /// Those of [`Composer::import`] and [`Composer::gradients`].
    pub fn build(&self, part: Part) -> Result<StepGraph> {
        let c = if self.own_kernels { Composer::with_own() } else { Composer::new() };
        let begun =
            self.begin(c, |c, variable| c.input(&variable.name, Element::F32, &variable.dims))?;
        let Begun { mut c, variables, trained, known, loss, spread, statistics, targets } = begun;
        let rates = Rates {
            rate: c.input(RATE, Element::F32, &[])?,
            step: c.input(STEP, Element::F32, &[])?,
        };
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
        move_statistics(&mut c, &statistics, &known, &mut next)?;
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
pub(super) fn move_statistics(
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
