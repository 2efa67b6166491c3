//! Operators that put tensors together, and that take parts of one.

use super::call::{Call, Listed, axes, axis, contradiction, size};
use super::fact::Fact;
use crate::error::Result;
use crate::graph::constant::attribute;
use crate::graph::value::Element;

pub(super) fn concat(call: &Call<'_>) -> Result<Vec<Fact>> {
    let count = call.node.input.len();
    let element = (0..count).find_map(|input| call.element(input));
    let unknown = Ok(vec![Fact::of(element, None)]);
    let Some(first) = call.dims(0) else { return unknown };
    let at = axis(call.int("axis", 1), first.len())?;
    let mut dims = first.to_vec();
    for input in 1..count {
        let Some(next) = call.dims(input) else { return unknown };
        let fits = |(axis, (one, other)): (usize, (&usize, &usize))| axis == at || one == other;
        if next.len() != dims.len() || !next.iter().zip(first).enumerate().all(fits) {
            let (one, other) = (call.show(0), call.show(input));
            return Err(contradiction(format!("{one} and {other} cannot be joined on axis {at}")));
        }
        dims[at] = size(dims[at] as i128 + next[at] as i128)?;
    }
    Ok(vec![Fact::of(element, Some(dims))])
}

pub(super) fn split(call: &Call<'_>) -> Result<Vec<Fact>> {
    let parts = call.node.output.len();
    let unknown = Ok(vec![Fact::of(call.element(0), None); parts]);
    let Some(x) = call.dims(0) else { return unknown };
    let at = axis(call.int("axis", 0), x.len())?;
    let length = x[at];
    let sizes = match call.listed("split", 1) {
        Listed::Unknown => return unknown,
        Listed::Known(sizes) => {
            let sizes = sizes.iter().map(|&n| size(n.into())).collect::<Result<Vec<_>>>()?;
            let sum = sizes.iter().map(|&n| n as i128).sum::<i128>();
            if sum != length as i128 || sizes.len() != parts {
                let message = format!("{} cannot be split in {sizes:?}", call.show(0));
                return Err(contradiction(message));
            }
            sizes
        }
        Listed::Absent if attribute(call.node, "num_outputs").is_some() => {
            // The last part is what is left.
            let each = length.div_ceil(parts.max(1));
            (0..parts).map(|part| each.min(length.saturating_sub(part * each))).collect()
        }
        Listed::Absent if parts > 0 && length.is_multiple_of(parts) => vec![length / parts; parts],
        Listed::Absent => {
            let message = format!("{} cannot be split in {parts} equal parts", call.show(0));
            return Err(contradiction(message));
        }
    };
    let part = |size| {
        let mut dims = x.to_vec();
        dims[at] = size;
        Fact::of(call.element(0), Some(dims))
    };
    Ok(sizes.into_iter().map(part).collect())
}

/// A slice along one axis: from where, how many, in steps of what.
pub(super) struct Cut {
    pub axis: usize,
    pub start: i128,
    pub count: usize,
    pub step: i128,
}

/// What a `Slice` cuts; `None` if that is not known.
pub(super) fn cuts(call: &Call<'_>, dims: &[usize]) -> Result<Option<Vec<Cut>>> {
    let lists = [("starts", 1), ("ends", 2), ("axes", 3), ("steps", 4)];
    let [starts, ends, along, steps] = lists.map(|(name, at)| call.listed(name, at));
    let (Listed::Known(starts), Listed::Known(ends)) = (starts, ends) else { return Ok(None) };
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let along = match along {
        Listed::Unknown => return Ok(None),
        Listed::Known(list) => list,
        Listed::Absent => &all,
    };
    let ones = vec![1; starts.len()];
    let steps = match steps {
        Listed::Unknown => return Ok(None),
        Listed::Known(list) => list,
        Listed::Absent => &ones,
    };
    if [ends.len(), along.len(), steps.len()] != [starts.len(); 3] {
        let message = format!("starts {starts:?}, ends {ends:?}, axes {along:?}, steps {steps:?}");
        return Err(contradiction(message));
    }
    axes(along, dims.len())?;
    let mut cuts = Vec::with_capacity(along.len());
    for (index, &number) in along.iter().enumerate() {
        let axis = axis(number, dims.len())?;
        let (length, step) = (dims[axis] as i128, i128::from(steps[index]));
        if step == 0 {
            return Err(contradiction("a step of 0"));
        }
        let from_start = |place: i64| {
            let place = i128::from(place);
            if place < 0 { place + length } else { place }
        };
        // Backwards the last place is before the first element, where no number but this reaches.
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let start = from_start(starts[index]).clamp(0, high.max(0));
        let end = from_start(ends[index]).clamp(low, high.max(low));
        let span = if step > 0 { end - start } else { start - end };
        let places = if length == 0 { 0 } else { span.max(0) };
        let count = size((places + step.abs() - 1) / step.abs())?;
        cuts.push(Cut { axis, start, count, step });
    }
    Ok(Some(cuts))
}

pub(super) fn slice(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    let Some(cuts) = cuts(call, x)? else { return Ok(call.like(0, None)) };
    let mut dims = x.to_vec();
    cuts.iter().for_each(|cut| dims[cut.axis] = cut.count);
    Ok(call.like(0, Some(dims)))
}

pub(super) fn gather(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(x), Some(indices)) = (call.dims(0), call.dims(1)) else {
        return Ok(call.like(0, None));
    };
    let at = axis(call.int("axis", 0), x.len())?;
    let outside = |&&index: &&i64| {
        let length = x[at] as i128;
        !(-length..length).contains(&i128::from(index))
    };
    if let Some(index) = call.ints(1).and_then(|list| list.iter().find(outside)) {
        return Err(contradiction(format!("index {index} on axis {at} of {}", call.show(0))));
    }
    Ok(call.like(0, Some([&x[..at], indices, &x[at + 1..]].concat())))
}

pub(super) fn gather_elements(call: &Call<'_>) -> Vec<Fact> {
    call.like(0, call.dims(1).map(<[_]>::to_vec))
}

pub(super) fn gather_nd(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(x), Some(indices)) = (call.dims(0), call.dims(1)) else {
        return Ok(call.like(0, None));
    };
    let misfit = || contradiction(format!("indices {} do not fit {}", call.show(1), call.show(0)));
    let (&depth, outer) = indices.split_last().ok_or_else(misfit)?;
    let batch = usize::try_from(call.int("batch_dims", 0)).map_err(|_| misfit())?;
    let taken = batch.checked_add(depth).filter(|taken| *taken <= x.len()).ok_or_else(misfit)?;
    if batch > outer.len() || outer[..batch] != x[..batch] || depth == 0 {
        return Err(misfit());
    }
    Ok(call.like(0, Some([outer, &x[taken..]].concat())))
}

pub(super) fn pad(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    // Its name in the first operator set.
    let old = attribute(call.node, "paddings").map(|attribute| attribute.ints.as_slice());
    let pads = match (old, call.listed("pads", 1)) {
        (Some(pads), _) | (None, Listed::Known(pads)) => pads,
        _ => return Ok(call.like(0, None)),
    };
    let all: Vec<i64> = (0..x.len() as i64).collect();
    let along = match call.has(3) {
        false => Some(&all[..]),
        true => call.ints(3),
    };
    let Some(along) = along else { return Ok(call.like(0, None)) };
    if pads.len() != 2 * along.len() {
        return Err(contradiction(format!("pads {pads:?} do not fit {}", call.show(0))));
    }
    axes(along, x.len())?;
    let mut dims = x.to_vec();
    for (index, &number) in along.iter().enumerate() {
        let at = axis(number, x.len())?;
        let (before, behind) = (pads[index], pads[index + along.len()]);
        dims[at] = size(x[at] as i128 + i128::from(before) + i128::from(behind))?;
    }
    Ok(call.like(0, Some(dims)))
}

/// The largest or smallest along an axis, and where they were.
pub(super) fn top_k(call: &Call<'_>) -> Result<Vec<Fact>> {
    let dims = match (call.dims(0), call.listed("k", 1)) {
        (Some(x), Listed::Known(&[k])) => {
            let at = axis(call.int("axis", -1), x.len())?;
            let k = size(k.into())?;
            if k > x[at] {
                return Err(contradiction(format!("{k} on axis {at} of {}", call.show(0))));
            }
            let mut dims = x.to_vec();
            dims[at] = k;
            Some(dims)
        }
        _ => None,
    };
    Ok(vec![Fact::of(call.element(0), dims.clone()), Fact::of(Some(Element::I64), dims)])
}
