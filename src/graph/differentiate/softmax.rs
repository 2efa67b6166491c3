//! Softmax along an axis and its logarithm. Σ is the sum along that axis.

use super::back::{Back, Gradients, only};

/// y · (g - Σ g y).
pub(super) fn softmax(back: &mut Back<'_>) -> Gradients {
    let (y, g) = (back.made(0)?, back.gradient()?);
    let axis = back.axis_of(&y, back.int("axis", -1));
    let product = back.mul(&g, &y)?;
    let sum = back.sum(&product, &[axis], true)?;
    let rest = back.sub(&g, &sum)?;
    only(back.mul(&y, &rest)?)
}

/// g - exp y · Σ g.
pub(super) fn log_softmax(back: &mut Back<'_>) -> Gradients {
    let (y, g) = (back.made(0)?, back.gradient()?);
    let axis = back.axis_of(&y, back.int("axis", -1));
    let sum = back.sum(&g, &[axis], true)?;
    let share = back.unary("Exp", &y)?;
    let taken = back.mul(&share, &sum)?;
    only(back.sub(&g, &taken)?)
}
