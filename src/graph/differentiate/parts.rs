//! Tensors cut, joined and framed: every element that was kept gets its gradient back, every one
//! that was not gets zero.

use super::back::{Back, Gradients, only};
use crate::error::Result;
use crate::graph::compose::Tensor;

/// Each part of the gradient to where it came from.
pub(super) fn concat(back: &mut Back<'_>) -> Gradients {
    let g = back.gradient()?;
    let axis = back.axis_of(&g, back.int("axis", 0));
    let mut gradients = Vec::new();
    let mut from = 0;
    for position in 0..back.node.input.len() {
        let input = back.input(position)?;
        let to = from + back.dims(&input)[axis];
        gradients.push(match back.needs(position) {
            true => Some(back.slice(&g, axis, from, to, 1)?),
            false => None,
        });
        from = to;
    }
    Ok(gradients)
}

/// The gradients joined, with zeros for parts that the loss does not depend on.
pub(super) fn split(back: &mut Back<'_>) -> Gradients {
    let x = back.input(0)?;
    let axis = back.axis_of(&x, back.int("axis", 0));
    let mut parts = Vec::new();
    for position in 0..back.node.output.len() {
        let given = back.given.get(position).cloned().flatten();
        parts.push(match given {
            Some(gradient) => gradient,
            None => {
                let made = back.made(position)?;
                let dims = back.dims_of(&made);
                let zero = back.scalar(&x, 0.0);
                back.expand(&zero, &dims)?
            }
        });
    }
    only(back.concat(&parts, axis)?)
}

/// One cut along an axis: the first element, how many, and how far apart (backwards if negative).
struct Cut {
    axis: usize,
    first: i64,
    count: usize,
    step: i64,
}

/// Zeros between the elements that were steps apart, then around them.
pub(super) fn slice(back: &mut Back<'_>) -> Gradients {
    let (x, mut g) = (back.input(0)?, back.gradient()?);
    let dims = back.dims_of(&x);
    for cut in cuts(back, &dims)? {
        g = put_back(back, &g, &cut, dims[cut.axis])?;
    }
    only(g)
}

fn cuts(back: &Back<'_>, dims: &[usize]) -> Result<Vec<Cut>> {
    let (starts, y) = (back.known(1)?, back.made(0)?);
    let axes = match back.optional(3) {
        Some(_) => back.known(3)?,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match back.optional(4) {
        Some(_) => back.known(4)?,
        None => vec![1; starts.len()],
    };
    let x = back.input(0)?;
    let cuts = starts.iter().zip(&axes).zip(&steps).map(|((&start, &axis), &step)| {
        let axis = back.axis_of(&x, axis);
        let length = dims[axis] as i64;
        let start = if start < 0 { start.saturating_add(length) } else { start };
        let last = if step > 0 { length } else { length - 1 };
        Cut { axis, first: start.clamp(0, last.max(0)), count: back.dims(&y)[axis], step }
    });
    Ok(cuts.collect())
}

fn put_back(back: &mut Back<'_>, g: &Tensor, cut: &Cut, length: usize) -> Result<Tensor> {
    let rank = back.dims(g).len();
    let axis = cut.axis;
    let mut g = g.clone();
    let step = usize::try_from(cut.step.unsigned_abs()).unwrap_or(usize::MAX);
    // The lowest place that was taken.
    let low = match cut.step > 0 {
        true => cut.first,
        false => cut.first - (cut.count as i64 - 1) * step as i64,
    };
    if cut.step < 0 {
        g = back.flip(&g, &[axis])?;
    }
    let mut span = cut.count;
    if step > 1 && cut.count > 1 {
        let mut steps = vec![1; rank - axis];
        steps[0] = step;
        g = back.spread(&g, axis, &steps)?;
        span = cut.count * step;
    }
    let mut before = vec![0; rank];
    let mut after = vec![0; rank];
    before[axis] = low;
    // Zeros behind the last element may reach past the end: those are taken away.
    after[axis] = length as i64 - low - span as i64;
    back.pad(&g, &before, &after)
}

/// What is inside the frame.
pub(super) fn pad(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let mode = back.text("mode", "constant");
    if mode != "constant" {
        return back.unable(&format!("in mode `{mode}`"));
    }
    let pads = back.known(1)?;
    let rank = back.dims(&x).len();
    let axes = match back.optional(3) {
        Some(_) => back.known(3)?,
        None => (0..rank as i64).collect(),
    };
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (index, &axis) in axes.iter().enumerate() {
        let axis = back.axis_of(&x, axis);
        before[axis] = -pads[index];
        after[axis] = -pads[index + axes.len()];
    }
    only(back.pad(&g, &before, &after)?)
}
