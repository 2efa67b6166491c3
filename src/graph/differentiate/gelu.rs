//! The Gaussian error linear unit y = x · Φ(x) (Hendrycks and Gimpel 2016), exact or by tanh.
//!
//! Exact: dy/dx = Φ(x) + x · φ(x). By tanh, y = x/2 · (1 + t) with t = tanh u and
//! u = √(2/π) (x + c x³), c = 0.044715: dy/dx = (1 + t)/2 + x/2 · (1 - t²) · √(2/π) (1 + 3c x²).

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::back::{Back, Gradients, only};
use crate::error::Result;
use crate::graph::compose::Tensor;

const CUBE: f64 = 0.044_715;

pub(super) fn rule(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let slope = match back.text("approximate", "none").as_str() {
        "tanh" => by_tanh(back, &x)?,
        _ => exact(back, &x)?,
    };
    only(back.mul(&g, &slope)?)
}

fn exact(back: &mut Back<'_>, x: &Tensor) -> Result<Tensor> {
    let scaled = back.scale(x, FRAC_1_SQRT_2)?;
    let erf = back.unary("Erf", &scaled)?;
    let erf = back.shift(&erf, 1.0)?;
    let below = back.scale(&erf, 0.5)?;
    let square = back.square(&scaled)?;
    let minus = back.unary("Neg", &square)?;
    let bell = back.unary("Exp", &minus)?;
    let density = back.scale(&bell, FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0)?;
    let moved = back.mul(x, &density)?;
    back.add2(&below, &moved)
}

fn by_tanh(back: &mut Back<'_>, x: &Tensor) -> Result<Tensor> {
    let root = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let square = back.square(x)?;
    let inner = back.scale(&square, CUBE)?;
    let inner = back.shift(&inner, 1.0)?;
    let inner = back.mul(x, &inner)?;
    let u = back.scale(&inner, root)?;
    let t = back.unary("Tanh", &u)?;
    let first = back.shift(&t, 1.0)?;
    let first = back.scale(&first, 0.5)?;
    let bend = back.scale(&square, 3.0 * CUBE)?;
    let bend = back.shift(&bend, 1.0)?;
    let bend = back.scale(&bend, root / 2.0)?;
    let one = back.scalar(x, 1.0);
    let tt = back.square(&t)?;
    let rest = back.sub(&one, &tt)?;
    let second = back.mul(&rest, &bend)?;
    let second = back.mul(x, &second)?;
    back.add2(&first, &second)
}
