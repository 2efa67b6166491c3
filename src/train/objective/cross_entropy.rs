//! The negative log-likelihood of the generator's class, as a mean over views and over the samples
//! that have one. The embeddings are the scores, one a class.

use super::Embedded;
use crate::error::{Error, Kind, Result};
use crate::graph::compose::{Attribute, Composer, Tensor};

pub(super) fn build(c: &mut Composer, embedded: &Embedded<'_>) -> Result<Tensor> {
    let label =
        embedded.label.ok_or_else(|| Error::new(Kind::Argument, "cross-entropy needs labels"))?;
    let views = embedded.views.len();
    let scores = c.concat(embedded.views, 0)?;
    let [rows, classes] = c.dims(&scores)[..] else { unreachable!("scores are rows") };
    let element = c.element(&scores);
    let all = c.concat(&vec![label.clone(); views], 0)?;
    let all = c.reshape(&all, &[rows, 1])?;
    let names: Vec<i64> = (0..classes as i64).collect();
    let names = c.int_tensor(&[1, classes], &names);
    let hot = c.op("Equal", &[&all, &names], &[])?;
    // A sample without a class has no 1 in its row, and counts for nothing.
    let hot = c.cast(&hot, element)?;
    let log = c.op("LogSoftmax", &[&scores], &[Attribute::Int("axis", 1)])?;
    let chosen = c.mul(&log, &hot)?;
    let sum = c.sum_all(&chosen)?;
    let known = c.sum_all(&hot)?;
    let one = c.scalar(&known, 1.0);
    let known = c.op("Max", &[&known, &one], &[])?;
    let mean = c.div(&sum, &known)?;
    c.unary("Neg", &mean)
}
