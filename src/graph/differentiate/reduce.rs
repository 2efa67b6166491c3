//! Sums along axes and what is made of them. With the axes put back as size 1, x what goes in, y
//! what comes out and g its gradient, stretched over x.

use super::back::{Back, Gradients, only};
use crate::error::Result;
use crate::graph::compose::Tensor;

/// The axes that the node sums over, in ascending order.
pub(super) fn reduced_axes(back: &Back<'_>) -> Result<Vec<usize>> {
    let x = back.input(0)?;
    let rank = back.dims(&x).len();
    let listed = match back.optional(1) {
        Some(_) => back.known(1)?,
        None => Vec::new(),
    };
    if listed.is_empty() {
        let none = back.int("noop_with_empty_axes", 0) != 0;
        return Ok(if none { Vec::new() } else { (0..rank).collect() });
    }
    let mut axes: Vec<usize> = listed.iter().map(|&axis| back.axis_of(&x, axis)).collect();
    axes.sort_unstable();
    Ok(axes)
}

/// `tensor`, of the sizes of the output, with the axes that were summed over as size 1.
pub(super) fn with_axes(back: &mut Back<'_>, tensor: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let x = back.input(0)?;
    let mut dims = back.dims_of(&x);
    axes.iter().for_each(|&axis| dims[axis] = 1);
    back.reshape(tensor, &dims)
}

/// x, y and g, both with their axes, and how many elements are summed into one.
fn start(back: &mut Back<'_>) -> Result<(Tensor, Tensor, Tensor, usize)> {
    let (x, y, g) = (back.input(0)?, back.made(0)?, back.gradient()?);
    let axes = reduced_axes(back)?;
    let dims = back.dims_of(&x);
    let many = axes.iter().map(|&axis| dims[axis]).product();
    Ok((x, with_axes(back, &y, &axes)?, with_axes(back, &g, &axes)?, many))
}

/// g.
pub(super) fn sum(back: &mut Back<'_>) -> Gradients {
    let (x, _, g, _) = start(back)?;
    let dims = back.dims_of(&x);
    only(back.expand(&g, &dims)?)
}

/// g / n.
pub(super) fn mean(back: &mut Back<'_>) -> Gradients {
    let (x, _, g, many) = start(back)?;
    let share = back.scale(&g, 1.0 / many as f64)?;
    let dims = back.dims_of(&x);
    only(back.expand(&share, &dims)?)
}

/// g · sign x.
pub(super) fn l1(back: &mut Back<'_>) -> Gradients {
    let (x, _, g, _) = start(back)?;
    let sign = back.unary("Sign", &x)?;
    only(back.mul(&g, &sign)?)
}

/// g · x / y, and nothing where y is 0.
pub(super) fn l2(back: &mut Back<'_>) -> Gradients {
    let (x, y, g, _) = start(back)?;
    let share = over(back, &g, &y)?;
    only(back.mul(&share, &x)?)
}

/// g / y, and 0 where y is 0.
pub(super) fn over(back: &mut Back<'_>, g: &Tensor, y: &Tensor) -> Result<Tensor> {
    let zero = back.scalar(y, 0.0);
    let empty = back.op("Equal", &[y, &zero], &[])?;
    let one = back.scalar(y, 1.0);
    let safe = back.choose(&empty, &one, y)?;
    let share = back.div(g, &safe)?;
    back.choose(&empty, &zero, &share)
}

/// 2 g x.
pub(super) fn sum_square(back: &mut Back<'_>) -> Gradients {
    let (x, _, g, _) = start(back)?;
    let twice = back.scale(&g, 2.0)?;
    only(back.mul(&twice, &x)?)
}

/// g / Σx, and Σx = exp y.
pub(super) fn log_sum(back: &mut Back<'_>) -> Gradients {
    let (x, y, g, _) = start(back)?;
    let minus = back.unary("Neg", &y)?;
    let inverse = back.unary("Exp", &minus)?;
    let share = back.mul(&g, &inverse)?;
    let dims = back.dims_of(&x);
    only(back.expand(&share, &dims)?)
}

/// g · exp(x - y).
pub(super) fn log_sum_exp(back: &mut Back<'_>) -> Gradients {
    let (x, y, g, _) = start(back)?;
    let less = back.sub(&x, &y)?;
    let share = back.unary("Exp", &less)?;
    only(back.mul(&g, &share)?)
}
