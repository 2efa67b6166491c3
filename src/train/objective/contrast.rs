//! Each embedding picks its partners out of all others of the batch.
//!
//! With z of length 1, s the cosine of two divided by the temperature, and P the partners of i:
//!
//! loss = mean over i of ( log Σ_{j ≠ i} exp s_ij - mean over p in P of s_ip )
//!
//! With two views and P the other one, this is NT-Xent (Chen and others 2020, equation 1); with more,
//! the cross-entropy of StableRep (Tian and others 2023, equation 3); with P all of the same class,
//! L_out of Khosla and others 2020, equation 2.

use super::{Embedded, unit};
use crate::error::{Error, Kind, Result};
use crate::graph::Element;
use crate::graph::compose::{Composer, Tensor};

/// Partners are the other views of the sample.
pub(super) fn by_sample(
    c: &mut Composer,
    embedded: &Embedded<'_>,
    temperature: f64,
) -> Result<Tensor> {
    let views = embedded.views.len();
    let batch = c.dims(&embedded.views[0])[0];
    let rows = views * batch;
    let element = c.element(&embedded.views[0]);
    let partner = |i: usize, j: usize| i != j && i % batch == j % batch;
    let partners = constant(c, element, rows, |i, j| if partner(i, j) { 1.0 } else { 0.0 });
    let others = match embedded.source {
        // What is made from the same sample is no other.
        Some(source) => {
            let all = repeated(c, source, views)?;
            let same = equal(c, &all, element)?;
            let one = c.scalar(&same, 1.0);
            let apart = c.sub(&one, &same)?;
            c.op("Max", &[&apart, &partners], &[])?
        }
        None => constant(c, element, rows, |i, j| if i == j { 0.0 } else { 1.0 }),
    };
    let share = c.scale(&partners, 1.0 / (views - 1) as f64)?;
    loss(c, embedded.views, &share, &others, temperature)
}

/// Partners are all views of all samples of the class; a sample without a class has those of its
/// own.
pub(super) fn by_class(
    c: &mut Composer,
    embedded: &Embedded<'_>,
    temperature: f64,
) -> Result<Tensor> {
    let label = embedded
        .label
        .ok_or_else(|| Error::new(Kind::Argument, "supervised contrast needs labels"))?;
    let views = embedded.views.len();
    let batch = c.dims(&embedded.views[0])[0];
    let rows = views * batch;
    let element = c.element(&embedded.views[0]);
    let others = constant(c, element, rows, |i, j| if i == j { 0.0 } else { 1.0 });
    let own =
        constant(c, element, rows, |i, j| if i != j && i % batch == j % batch { 1.0 } else { 0.0 });
    let all = repeated(c, label, views)?;
    let same = equal(c, &all, element)?;
    let zero = c.int_tensor(&[], &[0]);
    let known = c.op("GreaterOrEqual", &[&all, &zero], &[])?;
    let known = c.cast(&known, element)?;
    let known = c.reshape(&known, &[rows, 1])?;
    let same = c.mul(&same, &known)?;
    let same = c.mul(&same, &others)?;
    let partners = c.op("Max", &[&same, &own], &[])?;
    let count = c.sum(&partners, &[1], true)?;
    let share = c.div(&partners, &count)?;
    loss(c, embedded.views, &share, &others, temperature)
}

/// A constant of `[rows, rows]`.
fn constant(
    c: &mut Composer,
    element: Element,
    rows: usize,
    value: impl Fn(usize, usize) -> f64,
) -> Tensor {
    let value = &value;
    let values: Vec<f64> = (0..rows).flat_map(|i| (0..rows).map(move |j| value(i, j))).collect();
    c.floats(element, &[rows, rows], &values)
}

/// `[B]` as `[V * B]`, once for each view.
fn repeated(c: &mut Composer, numbers: &Tensor, views: usize) -> Result<Tensor> {
    let all = vec![numbers.clone(); views];
    c.concat(&all, 0)
}

/// 1 where two of `[N]` are equal, as `[N, N]`.
fn equal(c: &mut Composer, numbers: &Tensor, element: Element) -> Result<Tensor> {
    let count = c.count(numbers);
    let (down, across) = (c.reshape(numbers, &[count, 1])?, c.reshape(numbers, &[1, count])?);
    let same = c.op("Equal", &[&down, &across], &[])?;
    c.cast(&same, element)
}

/// `share` `[N, N]`: how much each is a partner, rows of sum 1; `others`: what it is told from.
fn loss(
    c: &mut Composer,
    views: &[Tensor],
    share: &Tensor,
    others: &Tensor,
    temperature: f64,
) -> Result<Tensor> {
    let rows = c.concat(views, 0)?;
    let z = unit(c, &rows)?;
    let turned = c.swap_last(&z)?;
    let cosine = c.matmul(&z, &turned)?;
    // No cosine is above 1: with that taken off, no exponential overflows, and both terms lose the
    // same.
    let less = c.shift(&cosine, -1.0)?;
    let similarity = c.scale(&less, 1.0 / temperature)?;
    let raised = c.unary("Exp", &similarity)?;
    let raised = c.mul(&raised, others)?;
    let total = c.sum(&raised, &[1], true)?;
    let log = c.unary("Log", &total)?;
    let near = c.mul(&similarity, share)?;
    let near = c.sum(&near, &[1], true)?;
    let each = c.sub(&log, &near)?;
    c.mean_all(&each)
}
