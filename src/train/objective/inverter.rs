//! The mean squared distance between the latent that was drawn for a view and the one that is read
//! off it (Jahanian and others 2022, section 3.3). Views without a latent count for nothing.

use super::Embedded;
use crate::error::{Error, Kind, Result};
use crate::graph::compose::{Composer, Tensor};

pub(super) fn build(c: &mut Composer, embedded: &Embedded<'_>) -> Result<Tensor> {
    if embedded.latents.is_empty() {
        return Err(Error::new(Kind::Argument, "the inverter needs latents"));
    }
    let read = c.concat(embedded.views, 0)?;
    let drawn = c.concat(embedded.latents, 0)?;
    // Real images among generated ones have latents that are no numbers.
    let missing = c.op("IsNaN", &[&drawn], &[])?;
    let zero = c.scalar(&read, 0.0);
    let one = c.scalar(&read, 1.0);
    let counts = c.choose(&missing, &zero, &one)?;
    let drawn = c.choose(&missing, &zero, &drawn)?;
    let difference = c.sub(&read, &drawn)?;
    let difference = c.mul(&difference, &counts)?;
    let square = c.square(&difference)?;
    let sum = c.sum_all(&square)?;
    let count = c.sum_all(&counts)?;
    let count = c.op("Max", &[&count, &one], &[])?;
    c.div(&sum, &count)
}
