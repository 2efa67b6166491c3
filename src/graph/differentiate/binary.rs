//! Operators on elements of several tensors that were stretched to one shape. The gradient of a
//! tensor that was stretched is summed over where it was.

use super::back::{Back, Gradients};
use crate::error::Result;
use crate::graph::compose::Tensor;

/// `gradient`, of the sizes of the output, summed to those of the input at `position`.
fn fit(back: &mut Back<'_>, gradient: &Tensor, position: usize) -> Result<Option<Tensor>> {
    let input = back.input(position)?;
    let dims = back.dims_of(&input);
    Ok(Some(back.unstretch(gradient, &dims)?))
}

/// g for each of any number.
pub(super) fn sum(back: &mut Back<'_>) -> Gradients {
    let g = back.gradient()?;
    let count = back.node.input.len();
    (0..count).map(|at| if back.needs(at) { fit(back, &g, at) } else { Ok(None) }).collect()
}

/// g / n for each of n.
pub(super) fn mean(back: &mut Back<'_>) -> Gradients {
    let g = back.gradient()?;
    let count = back.node.input.len();
    let share = back.scale(&g, 1.0 / count as f64)?;
    (0..count).map(|at| if back.needs(at) { fit(back, &share, at) } else { Ok(None) }).collect()
}

/// g and -g.
pub(super) fn sub(back: &mut Back<'_>) -> Gradients {
    let g = back.gradient()?;
    let a = if back.needs(0) { fit(back, &g, 0)? } else { None };
    let b = match back.needs(1) {
        true => {
            // Summed first, so that there is less to turn.
            let summed = fit(back, &g, 1)?;
            summed.map(|summed| back.unary("Neg", &summed)).transpose()?
        }
        false => None,
    };
    Ok(vec![a, b])
}

/// g · b and g · a.
pub(super) fn mul(back: &mut Back<'_>) -> Gradients {
    let g = back.gradient()?;
    let mut gradients = Vec::new();
    for (at, other) in [(0, 1), (1, 0)] {
        gradients.push(match back.needs(at) {
            true => {
                let other = back.input(other)?;
                let product = back.mul(&g, &other)?;
                fit(back, &product, at)?
            }
            false => None,
        });
    }
    Ok(gradients)
}

/// g / b and -g · y / b.
pub(super) fn div(back: &mut Back<'_>) -> Gradients {
    let (b, y, g) = (back.input(1)?, back.made(0)?, back.gradient()?);
    let quotient = back.div(&g, &b)?;
    let first = if back.needs(0) { fit(back, &quotient, 0)? } else { None };
    let second = match back.needs(1) {
        true => {
            let product = back.mul(&quotient, &y)?;
            let minus = back.unary("Neg", &product)?;
            fit(back, &minus, 1)?
        }
        false => None,
    };
    Ok(vec![first, second])
}

/// g · b · a^(b - 1), and g · y · ln a where a > 0.
pub(super) fn pow(back: &mut Back<'_>) -> Gradients {
    let (a, b, y, g) = (back.input(0)?, back.input(1)?, back.made(0)?, back.gradient()?);
    let first = match back.needs(0) {
        true => {
            let slope = match back.known_scalar(&b) {
                Some(2.0) => back.scale(&a, 2.0)?,
                Some(power) => {
                    let less = back.scalar(&b, power - 1.0);
                    let raised = back.op("Pow", &[&a, &less], &[])?;
                    back.scale(&raised, power)?
                }
                None => {
                    let less = back.shift(&b, -1.0)?;
                    let raised = back.op("Pow", &[&a, &less], &[])?;
                    let factor = back.element(&a);
                    let factor = back.cast(&b, factor)?;
                    back.mul(&raised, &factor)?
                }
            };
            let product = back.mul(&g, &slope)?;
            fit(back, &product, 0)?
        }
        false => None,
    };
    let second = match back.needs(1) {
        true => {
            let zero = back.scalar(&a, 0.0);
            let positive = back.op("Greater", &[&a, &zero], &[])?;
            let one = back.scalar(&a, 1.0);
            let safe = back.choose(&positive, &a, &one)?;
            let log = back.unary("Log", &safe)?;
            let slope = back.mul(&y, &log)?;
            let product = back.mul(&g, &slope)?;
            fit(back, &product, 1)?
        }
        false => None,
    };
    Ok(vec![first, second])
}

/// For x, g where x > 0 and g · slope elsewhere; for the slope, g · x where x ≤ 0 (He 2015).
pub(super) fn prelu(back: &mut Back<'_>) -> Gradients {
    let (x, slope, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let zero = back.scalar(&x, 0.0);
    let open = back.op("Greater", &[&x, &zero], &[])?;
    let leak = back.mul(&g, &slope)?;
    let first = back.choose(&open, &g, &leak)?;
    let product = back.mul(&g, &x)?;
    let second = back.choose(&open, &zero, &product)?;
    Ok(vec![fit(back, &first, 0)?, fit(back, &second, 1)?])
}

/// g where the condition holds for one, where it does not for the other.
pub(super) fn choose(back: &mut Back<'_>) -> Gradients {
    let (condition, g) = (back.input(0)?, back.gradient()?);
    let zero = back.scalar(&g, 0.0);
    let first = match back.needs(1) {
        true => {
            let chosen = back.choose(&condition, &g, &zero)?;
            fit(back, &chosen, 1)?
        }
        false => None,
    };
    let second = match back.needs(2) {
        true => {
            let chosen = back.choose(&condition, &zero, &g)?;
            fit(back, &chosen, 2)?
        }
        false => None,
    };
    Ok(vec![None, first, second])
}
