//! Barlow Twins (Zbontar and others 2021): with every dimension standardised over the batch, C the
//! correlations of the dimensions of one view with those of another,
//!
//! Σ (1 - C_ii)² + λ Σ_{i ≠ j} C_ij², as a mean over pairs of views.

use super::{mean_of, pairs};
use crate::error::Result;
use crate::graph::compose::{Composer, Tensor};

/// Keeps a dimension that does not vary from dividing by zero.
const EPSILON: f64 = 1e-5;

pub(super) fn build(c: &mut Composer, views: &[Tensor], lambda: f64) -> Result<Tensor> {
    let [batch, width] = c.dims(&views[0])[..] else { unreachable!("embeddings are rows") };
    let element = c.element(&views[0]);
    let mut standard = Vec::new();
    for view in views {
        let mean = c.mean(view, &[0], true)?;
        let centred = c.sub(view, &mean)?;
        let square = c.square(&centred)?;
        let variance = c.mean(&square, &[0], true)?;
        let variance = c.shift(&variance, EPSILON)?;
        let deviation = c.unary("Sqrt", &variance)?;
        standard.push(c.div(&centred, &deviation)?);
    }
    let diagonal = |on: f64, off: f64| -> Vec<f64> {
        (0..width * width).map(|at| if at / width == at % width { on } else { off }).collect()
    };
    let identity = c.floats(element, &[width, width], &diagonal(1.0, 0.0));
    let weights = c.floats(element, &[width, width], &diagonal(1.0, lambda));
    let mut losses = Vec::new();
    for (one, other) in pairs(views.len()) {
        let turned = c.swap_last(&standard[one])?;
        let products = c.matmul(&turned, &standard[other])?;
        let correlation = c.scale(&products, 1.0 / batch as f64)?;
        let off = c.sub(&correlation, &identity)?;
        let square = c.square(&off)?;
        let weighted = c.mul(&square, &weights)?;
        losses.push(c.sum_all(&weighted)?);
    }
    mean_of(c, &losses)
}
