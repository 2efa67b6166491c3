//! Bootstrap your own latent (Grill and others 2020): each view's prediction against the slow
//! copy's embedding of every other view, 2 - 2 cos, as a mean over ordered pairs.

use super::{mean_of, unit};
use crate::error::Result;
use crate::graph::compose::{Composer, Tensor};

pub(super) fn build(c: &mut Composer, views: &[Tensor], targets: &[Tensor]) -> Result<Tensor> {
    let predicted = views.iter().map(|view| unit(c, view)).collect::<Result<Vec<_>>>()?;
    let wanted = targets.iter().map(|view| unit(c, view)).collect::<Result<Vec<_>>>()?;
    let mut losses = Vec::new();
    for (one, predicted) in predicted.iter().enumerate() {
        for (_, wanted) in wanted.iter().enumerate().filter(|(other, _)| *other != one) {
            let product = c.mul(predicted, wanted)?;
            let cosine = c.sum(&product, &[1], false)?;
            let cosine = c.mean_all(&cosine)?;
            let twice = c.scale(&cosine, -2.0)?;
            losses.push(c.shift(&twice, 2.0)?);
        }
    }
    mean_of(c, &losses)
}
