//! Operators on every element by itself. With x what goes in, y what comes out and g the gradient
//! of y, each gives g · dy/dx. Where a function has a corner, the side is PyTorch's.
//!
//! Source: <https://onnx.ai/onnx/operators/>, for what each of them is.

use super::back::{Back, Gradients, only};
use crate::error::Result;
use crate::graph::compose::{RELU_GRADIENT, Tensor};

/// x, y, g.
fn start(back: &Back<'_>) -> Result<(Tensor, Tensor, Tensor)> {
    Ok((back.input(0)?, back.made(0)?, back.gradient()?))
}

/// Where x > `limit`.
fn above(back: &mut Back<'_>, x: &Tensor, limit: f64) -> Result<Tensor> {
    let limit = back.scalar(x, limit);
    back.op("Greater", &[x, &limit], &[])
}

/// Where x < `limit`.
fn below(back: &mut Back<'_>, x: &Tensor, limit: f64) -> Result<Tensor> {
    let limit = back.scalar(x, limit);
    back.op("Less", &[x, &limit], &[])
}

/// g.
pub(super) fn identity(back: &mut Back<'_>) -> Gradients {
    only(back.gradient()?)
}

/// g in the type of x; nothing for whole numbers.
pub(super) fn cast(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let to = back.element(&x);
    if !to.is_float() || !back.element(&g).is_float() {
        return Ok(vec![None]);
    }
    only(back.cast(&g, to)?)
}

/// g · sign x.
pub(super) fn abs(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let sign = back.unary("Sign", &x)?;
    only(back.mul(&g, &sign)?)
}

/// g · y.
pub(super) fn exp(back: &mut Back<'_>) -> Gradients {
    let (_, y, g) = start(back)?;
    only(back.mul(&g, &y)?)
}

/// g / x.
pub(super) fn log(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    only(back.div(&g, &x)?)
}

/// g / 2y.
pub(super) fn sqrt(back: &mut Back<'_>) -> Gradients {
    let (_, y, g) = start(back)?;
    let twice = back.scale(&y, 2.0)?;
    only(back.div(&g, &twice)?)
}

/// -g · y².
pub(super) fn reciprocal(back: &mut Back<'_>) -> Gradients {
    let (_, y, g) = start(back)?;
    let square = back.square(&y)?;
    let product = back.mul(&g, &square)?;
    only(back.unary("Neg", &product)?)
}

/// -g.
pub(super) fn neg(back: &mut Back<'_>) -> Gradients {
    let g = back.gradient()?;
    only(back.unary("Neg", &g)?)
}

/// g · cos x.
pub(super) fn sin(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let slope = back.unary("Cos", &x)?;
    only(back.mul(&g, &slope)?)
}

/// -g · sin x.
pub(super) fn cos(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let slope = back.unary("Sin", &x)?;
    let product = back.mul(&g, &slope)?;
    only(back.unary("Neg", &product)?)
}

/// g · y · (1 - y).
pub(super) fn sigmoid(back: &mut Back<'_>) -> Gradients {
    let (_, y, g) = start(back)?;
    let one = back.scalar(&y, 1.0);
    let rest = back.sub(&one, &y)?;
    let slope = back.mul(&y, &rest)?;
    only(back.mul(&g, &slope)?)
}

/// g · (1 - y²).
pub(super) fn tanh(back: &mut Back<'_>) -> Gradients {
    let (_, y, g) = start(back)?;
    let square = back.square(&y)?;
    let one = back.scalar(&y, 1.0);
    let slope = back.sub(&one, &square)?;
    only(back.mul(&g, &slope)?)
}

/// g · 2/√π · exp(-x²).
pub(super) fn erf(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let square = back.square(&x)?;
    let minus = back.unary("Neg", &square)?;
    let bell = back.unary("Exp", &minus)?;
    let slope = back.scale(&bell, std::f64::consts::FRAC_2_SQRT_PI)?;
    only(back.mul(&g, &slope)?)
}

/// g · sigmoid x.
pub(super) fn softplus(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let slope = back.unary("Sigmoid", &x)?;
    only(back.mul(&g, &slope)?)
}

/// g / (1 + |x|)².
pub(super) fn softsign(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let size = back.unary("Abs", &x)?;
    let more = back.shift(&size, 1.0)?;
    let square = back.square(&more)?;
    only(back.div(&g, &square)?)
}

/// g where y > 0.
pub(super) fn relu(back: &mut Back<'_>) -> Gradients {
    let (x, y, g) = start(back)?;
    if back.may_own(&g) {
        if back.is_normalised_for_this_alone(&x) {
            // The normalisation's own gradient leaves out what is not above 0.
            back.rectified.insert(x.name().to_owned(), y);
            return only(g);
        }
        let dims = back.dims_of(&g);
        return only(back.own(RELU_GRADIENT, &[&g, &y], &[], &[dims]).remove(0));
    }
    let open = above(back, &y, 0.0)?;
    let zero = back.scalar(&g, 0.0);
    only(back.choose(&open, &g, &zero)?)
}

/// g where x > 0, α g elsewhere.
pub(super) fn leaky_relu(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let alpha = back.float("alpha", 0.01);
    let open = above(back, &x, 0.0)?;
    let leak = back.scale(&g, alpha)?;
    only(back.choose(&open, &g, &leak)?)
}

/// g where x > 0, elsewhere g · (y + α), which is g · α exp x.
pub(super) fn elu(back: &mut Back<'_>) -> Gradients {
    let (x, y, g) = start(back)?;
    let alpha = back.float("alpha", 1.0);
    let open = above(back, &x, 0.0)?;
    let slope = back.shift(&y, alpha)?;
    let low = back.mul(&g, &slope)?;
    only(back.choose(&open, &g, &low)?)
}

/// γ g where x > 0, elsewhere g · (y + γα), which is g · γα exp x.
pub(super) fn selu(back: &mut Back<'_>) -> Gradients {
    let (x, y, g) = start(back)?;
    let (alpha, gamma) = (back.float("alpha", 1.673_263_2), back.float("gamma", 1.050_701));
    let open = above(back, &x, 0.0)?;
    let high = back.scale(&g, gamma)?;
    let slope = back.shift(&y, gamma * alpha)?;
    let low = back.mul(&g, &slope)?;
    only(back.choose(&open, &high, &low)?)
}

/// g where x > 0, elsewhere g · exp(x/α), which is g · (y/α + 1).
pub(super) fn celu(back: &mut Back<'_>) -> Gradients {
    let (x, y, g) = start(back)?;
    let alpha = back.float("alpha", 1.0);
    let open = above(back, &x, 0.0)?;
    let scaled = back.scale(&y, 1.0 / alpha)?;
    let slope = back.shift(&scaled, 1.0)?;
    let low = back.mul(&g, &slope)?;
    only(back.choose(&open, &g, &low)?)
}

/// α g where 0 < y < 1.
pub(super) fn hard_sigmoid(back: &mut Back<'_>) -> Gradients {
    let (_, y, g) = start(back)?;
    let alpha = back.float("alpha", 0.2);
    let (low, high) = (above(back, &y, 0.0)?, below(back, &y, 1.0)?);
    let open = back.op("And", &[&low, &high], &[])?;
    let slope = back.scale(&g, alpha)?;
    let zero = back.scalar(&g, 0.0);
    only(back.choose(&open, &slope, &zero)?)
}

/// g · (x/3 + 1/2) where -3 < x < 3, g above, nothing below: y = x · clip(x/6 + 1/2, 0, 1).
pub(super) fn hard_swish(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let (low, high) = (above(back, &x, -3.0)?, below(back, &x, 3.0)?);
    let third = back.scale(&x, 1.0 / 3.0)?;
    let slope = back.shift(&third, 0.5)?;
    let middle = back.mul(&g, &slope)?;
    let zero = back.scalar(&g, 0.0);
    let above = back.choose(&high, &middle, &g)?;
    only(back.choose(&low, &above, &zero)?)
}

/// g · (t + x · (1 - t²) · sigmoid x), with t = tanh(softplus x) (Misra 2019).
pub(super) fn mish(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let soft = back.unary("Softplus", &x)?;
    let t = back.unary("Tanh", &soft)?;
    let square = back.square(&t)?;
    let one = back.scalar(&x, 1.0);
    let rest = back.sub(&one, &square)?;
    let gate = back.unary("Sigmoid", &x)?;
    let inner = back.mul(&rest, &gate)?;
    let inner = back.mul(&x, &inner)?;
    let slope = back.add2(&t, &inner)?;
    only(back.mul(&g, &slope)?)
}

/// g where min ≤ x ≤ max.
pub(super) fn clip(back: &mut Back<'_>) -> Gradients {
    let (x, _, g) = start(back)?;
    let mut gradient = g;
    for (position, operator) in [(1, "GreaterOrEqual"), (2, "LessOrEqual")] {
        let Some(limit) = back.optional(position) else { continue };
        if back.needs(position) {
            return back.unable("with limits that are trained");
        }
        let open = back.op(operator, &[&x, &limit], &[])?;
        let zero = back.scalar(&gradient, 0.0);
        gradient = back.choose(&open, &gradient, &zero)?;
    }
    only(gradient)
}
