//! What a direction does to samples that it was not found on.

use std::ops::Range;

use super::explorer::Explorer;
use super::meter::Meter;
use super::report::{AttributeReport, Effect};
use super::statistics::Mean;
use crate::error::Result;
use crate::load::Stop;

/// Attributes over samples that are not moved.
pub(super) fn attributes(meter: &Meter, values: &[f64]) -> Vec<AttributeReport> {
    let names = meter.names().iter().zip(meter.formulas()).enumerate();
    names
        .map(|(at, (name, formula))| {
            let column = column(values, meter.names().len(), at);
            let mean = Mean::of(&column);
            AttributeReport {
                name: name.clone(),
                formula,
                mean: mean.mean,
                std: mean.deviation,
                undefined: column.len() - mean.count,
            }
        })
        .collect()
}

/// The effects of one unit along `direction`: every sample is moved `step` ahead and back.
pub(super) fn effects(
    explorer: &mut Explorer,
    meter: &mut Meter,
    samples: Range<u64>,
    (direction, step): (&[f32], f64),
    attributes: &[AttributeReport],
    stop: &Stop,
    done: &mut dyn FnMut(u64),
) -> Result<Vec<Effect>> {
    let mut side = |amount: f64| {
        explorer.measured(samples.clone(), Some((direction, amount)), meter, stop, done)
    };
    let (ahead, back) = (side(step)?, side(-step)?);
    let changes: Vec<f64> =
        ahead.iter().zip(&back).map(|(ahead, back)| (ahead - back) / (2.0 * step)).collect();
    let effect = |(at, attribute): (usize, &AttributeReport)| {
        let mean = Mean::of(&column(&changes, attributes.len(), at));
        Effect {
            attribute: attribute.name.clone(),
            per_unit: mean.mean,
            error: mean.error,
            interval: mean.interval(),
            t: mean.mean / mean.error,
            in_std: mean.mean / attribute.std,
            pairs: mean.count,
        }
    };
    Ok(attributes.iter().enumerate().map(effect).collect())
}

fn column(values: &[f64], width: usize, at: usize) -> Vec<f64> {
    values.iter().skip(at).step_by(width.max(1)).copied().collect()
}

/// The standard deviation along `direction` of latents of its length.
pub(super) fn latent_std(latents: &[f32], direction: &[f32]) -> f64 {
    let along = latents.chunks_exact(direction.len().max(1)).map(|latent| {
        latent.iter().zip(direction).map(|(z, d)| f64::from(*z) * f64::from(*d)).sum()
    });
    Mean::of(&along.collect::<Vec<_>>()).deviation
}
