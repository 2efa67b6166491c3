//! VICReg (Bardes, Ponce and LeCun 2022): views agree, every dimension keeps a deviation of 1, and
//! no two dimensions vary together.
//!
//! s = mean (a - b)², v = mean max(0, 1 - √(var + ε)), c = Σ_{i ≠ j} cov_ij² / D; the last two as
//! sums over both views of a pair, all as means over pairs.

use super::{mean_of, pairs};
use crate::error::Result;
use crate::graph::compose::{Composer, Tensor};

const EPSILON: f64 = 1e-4;

pub(super) fn build(
    c: &mut Composer,
    views: &[Tensor],
    [invariance, variance, covariance]: [f64; 3],
) -> Result<Tensor> {
    let mut apart = Vec::new();
    for (one, other) in pairs(views.len()) {
        let difference = c.sub(&views[one], &views[other])?;
        let square = c.square(&difference)?;
        apart.push(c.mean_all(&square)?);
    }
    let (mut hinges, mut covariances) = (Vec::new(), Vec::new());
    for view in views {
        let (hinge, covariance) = spread(c, view)?;
        hinges.push(hinge);
        covariances.push(covariance);
    }
    // Each view counts in every pair that it is in: the mean over pairs is twice that over views,
    // and the variance of a pair is the mean of its two.
    let terms = [(apart, invariance), (hinges, variance), (covariances, 2.0 * covariance)];
    let mut total = None;
    for (numbers, weight) in terms {
        let mean = mean_of(c, &numbers)?;
        let weighted = c.scale(&mean, weight)?;
        total = Some(match total {
            Some(total) => c.add2(&total, &weighted)?,
            None => weighted,
        });
    }
    Ok(total.expect("three terms"))
}

/// The hinge on the deviations of a view, and its squared covariances.
fn spread(c: &mut Composer, view: &Tensor) -> Result<(Tensor, Tensor)> {
    let [batch, width] = c.dims(view)[..] else { unreachable!("embeddings are rows") };
    let less = (batch - 1).max(1) as f64;
    let mean = c.mean(view, &[0], true)?;
    let centred = c.sub(view, &mean)?;
    let square = c.square(&centred)?;
    let sum = c.sum(&square, &[0], false)?;
    let variance = c.scale(&sum, 1.0 / less)?;
    let variance = c.shift(&variance, EPSILON)?;
    let deviation = c.unary("Sqrt", &variance)?;
    let one = c.scalar(view, 1.0);
    let missing = c.sub(&one, &deviation)?;
    let missing = c.unary("Relu", &missing)?;
    let hinge = c.mean_all(&missing)?;
    let turned = c.swap_last(&centred)?;
    let products = c.matmul(&turned, &centred)?;
    let covariance = c.scale(&products, 1.0 / less)?;
    let off: Vec<f64> =
        (0..width * width).map(|at| if at / width == at % width { 0.0 } else { 1.0 }).collect();
    let off = c.floats(c.element(view), &[width, width], &off);
    let covariance = c.mul(&covariance, &off)?;
    let square = c.square(&covariance)?;
    let sum = c.sum_all(&square)?;
    Ok((hinge, c.scale(&sum, 1.0 / width as f64)?))
}
