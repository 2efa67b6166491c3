//! The largest and the smallest, of several tensors or along axes: what is chosen gets the
//! gradient, and where several are equal they share it.

use super::back::{Back, Gradients, only};
use super::reduce::{reduced_axes, with_axes};
use crate::error::Result;
use crate::graph::compose::Tensor;

/// `Max` and `Min`, of several tensors.
pub(super) fn several(back: &mut Back<'_>) -> Gradients {
    let (y, g) = (back.made(0)?, back.gradient()?);
    let element = back.element(&y);
    let mut chosen: Vec<Tensor> = Vec::new();
    for position in 0..back.node.input.len() {
        let input = back.input(position)?;
        let equal = back.op("Equal", &[&input, &y], &[])?;
        chosen.push(back.cast(&equal, element)?);
    }
    let mut count = chosen[0].clone();
    for one in &chosen[1..] {
        count = back.add2(&count, one)?;
    }
    let share = back.div(&g, &count)?;
    let mut gradients = Vec::new();
    for (position, one) in chosen.iter().enumerate() {
        let gradient = back.mul(&share, one)?;
        let input = back.input(position)?;
        let dims = back.dims_of(&input);
        gradients.push(Some(back.unstretch(&gradient, &dims)?));
    }
    Ok(gradients)
}

/// `ReduceMax` and `ReduceMin`.
pub(super) fn reduce(back: &mut Back<'_>) -> Gradients {
    let (x, y, g) = (back.input(0)?, back.made(0)?, back.gradient()?);
    let axes = reduced_axes(back)?;
    let (y, g) = (with_axes(back, &y, &axes)?, with_axes(back, &g, &axes)?);
    only(shared(back, [&x, &y, &g], &axes)?)
}

/// What the elements of x along `axes` that are the extreme y get of its gradient g, in equal
/// shares.
pub(super) fn shared(
    back: &mut Back<'_>,
    [x, y, g]: [&Tensor; 3],
    axes: &[usize],
) -> Result<Tensor> {
    let equal = back.op("Equal", &[x, y], &[])?;
    let element = back.element(x);
    let chosen = back.cast(&equal, element)?;
    let count = back.sum(&chosen, axes, true)?;
    let share = back.div(g, &count)?;
    back.mul(&share, &chosen)
}
