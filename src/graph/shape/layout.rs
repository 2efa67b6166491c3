//! Operators that keep the elements and change how they are laid out, or repeat them.

use super::call::{Call, Listed, axes, axis, contradiction, count, size};
use super::elementwise::broadcast;
use super::fact::Fact;
use crate::error::Result;

pub(super) fn reshape(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Listed::Known(shape) = call.listed("shape", 1) else { return Ok(call.like(0, None)) };
    let literal = call.int("allowzero", 0) != 0;
    let mut dims = Vec::with_capacity(shape.len());
    let mut open = None;
    for (axis, &wanted) in shape.iter().enumerate() {
        dims.push(match wanted {
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            0 if !literal => {
                let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
                let none = || contradiction(format!("{} has no axis {axis} to keep", call.show(0)));
                *x.get(axis).ok_or_else(none)?
            }
            wanted => usize::try_from(wanted)
                .map_err(|_| contradiction(format!("shape {shape:?} is no shape")))?,
        });
    }
    let Some(x) = call.dims(0) else {
        return Ok(call.like(0, open.is_none().then_some(dims)));
    };
    let (given, wanted) = (count(x)?, count(&dims)?);
    let misfit = || contradiction(format!("{} cannot become {shape:?}", call.show(0)));
    match open {
        Some(axis) if wanted > 0 && given.is_multiple_of(wanted) => dims[axis] = given / wanted,
        None if wanted == given => (),
        _ => return Err(misfit()),
    }
    Ok(call.like(0, Some(dims)))
}

pub(super) fn flatten(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    let at = match call.int("axis", 1) {
        // Behind the last axis is a place too.
        at if usize::try_from(at).is_ok_and(|at| at == x.len()) => x.len(),
        at => axis(at, x.len())?,
    };
    Ok(call.like(0, Some(vec![count(&x[..at])?, count(&x[at..])?])))
}

pub(super) fn squeeze(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    let gone = match call.listed("axes", 1) {
        Listed::Unknown => return Ok(call.like(0, None)),
        Listed::Known(list) => axes(list, x.len())?,
        Listed::Absent => x.iter().map(|&size| size == 1).collect(),
    };
    if let Some((at, _)) = gone.iter().zip(x).enumerate().find(|(_, (gone, n))| **gone && **n != 1)
    {
        return Err(contradiction(format!("axis {at} of {} is not 1", call.show(0))));
    }
    let kept = x.iter().zip(gone).filter(|(_, gone)| !gone).map(|(&size, _)| size);
    Ok(call.like(0, Some(kept.collect())))
}

pub(super) fn unsqueeze(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(x), Listed::Known(list)) = (call.dims(0), call.listed("axes", 1)) else {
        return Ok(call.like(0, None));
    };
    let new = axes(list, x.len() + list.len())?;
    let mut rest = x.iter().copied();
    let dims = new.iter().map(|&new| if new { Some(1) } else { rest.next() }).collect();
    Ok(call.like(0, dims))
}

pub(super) fn transpose(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    let Some(order) = call.list("perm") else {
        return Ok(call.like(0, Some(x.iter().rev().copied().collect())));
    };
    let misfit = || contradiction(format!("perm {order:?} does not fit {}", call.show(0)));
    if order.len() != x.len() {
        return Err(misfit());
    }
    axes(order, x.len()).map_err(|_| misfit())?;
    let dims = order.iter().map(|&at| Ok(x[axis(at, x.len())?])).collect::<Result<_>>()?;
    Ok(call.like(0, Some(dims)))
}

pub(super) fn expand(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(x), Some(shape)) = (call.dims(0), call.ints(1)) else {
        return Ok(call.like(0, None));
    };
    let wanted = shape.iter().map(|&n| size(n.into())).collect::<Result<Vec<_>>>()?;
    let misfit = || contradiction(format!("{} cannot be stretched to {shape:?}", call.show(0)));
    Ok(call.like(0, Some(broadcast(x, &wanted).ok_or_else(misfit)?)))
}

pub(super) fn tile(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(x), Some(times)) = (call.dims(0), call.ints(1)) else {
        return Ok(call.like(0, None));
    };
    if times.len() != x.len() {
        return Err(contradiction(format!("repeats {times:?} do not fit {}", call.show(0))));
    }
    let dims = x.iter().zip(times).map(|(&n, &times)| size(n as i128 * i128::from(times)));
    Ok(call.like(0, Some(dims.collect::<Result<_>>()?)))
}

/// `DepthToSpace` and its inverse: channels become blocks of the image, or blocks channels.
pub(super) fn blocks(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    let block = call.int("blocksize", 0);
    let misfit = || contradiction(format!("blocks of {block} do not fit {}", call.show(0)));
    let (&[n, c, h, w], Ok(block @ 1..)) = (x, usize::try_from(block)) else {
        return Err(misfit());
    };
    let square = block.checked_mul(block).ok_or_else(misfit)?;
    let dims = match call.node.op_type.as_str() {
        "DepthToSpace" if c.is_multiple_of(square) => {
            let grown = |n: usize| size(n as i128 * block as i128);
            vec![n, c / square, grown(h)?, grown(w)?]
        }
        "SpaceToDepth" if h.is_multiple_of(block) && w.is_multiple_of(block) => {
            vec![n, size(c as i128 * square as i128)?, h / block, w / block]
        }
        _ => return Err(misfit()),
    };
    Ok(call.like(0, Some(dims)))
}
