//! Alignment and uniformity (Wang and Isola 2020): with embeddings of length 1,
//!
//! mean ‖a - b‖² over pairs of views + λ · log mean exp(-t ‖x - y‖²) over pairs of samples,
//!
//! the second as a mean over views. ‖x - y‖² is 2 - 2 x·y.

use super::{mean_of, pairs, unit};
use crate::error::Result;
use crate::graph::compose::{Composer, Tensor};

pub(super) fn build(c: &mut Composer, views: &[Tensor], weight: f64, t: f64) -> Result<Tensor> {
    let batch = c.dims(&views[0])[0];
    let units = views.iter().map(|view| unit(c, view)).collect::<Result<Vec<_>>>()?;
    let mut apart = Vec::new();
    for (one, other) in pairs(units.len()) {
        let difference = c.sub(&units[one], &units[other])?;
        let square = c.square(&difference)?;
        let distance = c.sum(&square, &[1], false)?;
        apart.push(c.mean_all(&distance)?);
    }
    let aligned = mean_of(c, &apart)?;
    let element = c.element(&views[0]);
    let others: Vec<f64> = (0..batch * batch)
        .map(|at| if at / batch == at % batch { 0.0 } else { 1.0 / (batch * (batch - 1)) as f64 })
        .collect();
    let others = c.floats(element, &[batch, batch], &others);
    let mut spread = Vec::new();
    for view in &units {
        let turned = c.swap_last(view)?;
        let cosine = c.matmul(view, &turned)?;
        let less = c.shift(&cosine, -1.0)?;
        let potential = c.scale(&less, 2.0 * t)?;
        let potential = c.unary("Exp", &potential)?;
        let potential = c.mul(&potential, &others)?;
        let mean = c.sum_all(&potential)?;
        spread.push(c.unary("Log", &mean)?);
    }
    let uniform = mean_of(c, &spread)?;
    let uniform = c.scale(&uniform, weight)?;
    c.add2(&aligned, &uniform)
}
