//! Operators that sum up along axes: reductions, extremes, and the statistics of normalisations.

use super::call::{Call, Listed, axes, axis, contradiction};
use super::fact::Fact;
use crate::error::Result;
use crate::graph::value::Element;

/// `ReduceMean` and its like.
pub(super) fn reduce(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    let gone = match call.listed("axes", 1) {
        Listed::Unknown => return Ok(call.like(0, None)),
        Listed::Known([]) | Listed::Absent => {
            let nothing = call.int("noop_with_empty_axes", 0) != 0;
            vec![!nothing; x.len()]
        }
        Listed::Known(list) => axes(list, x.len())?,
    };
    Ok(call.like(0, Some(without(x, &gone, call.int("keepdims", 1) != 0))))
}

/// `ArgMax` and `ArgMin`.
pub(super) fn extreme(call: &Call<'_>) -> Result<Vec<Fact>> {
    let element = Some(Element::I64);
    let Some(x) = call.dims(0) else { return Ok(vec![Fact::of(element, None)]) };
    let at = axis(call.int("axis", 0), x.len())?;
    let gone: Vec<bool> = (0..x.len()).map(|axis| axis == at).collect();
    let dims = without(x, &gone, call.int("keepdims", 1) != 0);
    Ok(vec![Fact::of(element, Some(dims))])
}

fn without(dims: &[usize], gone: &[bool], keep: bool) -> Vec<usize> {
    let left = dims.iter().zip(gone).filter_map(|(&size, &gone)| match (gone, keep) {
        (true, true) => Some(1),
        (true, false) => None,
        (false, _) => Some(size),
    });
    left.collect()
}

/// As the input; further outputs are one number a channel.
pub(super) fn batch_normalization(call: &Call<'_>) -> Result<Vec<Fact>> {
    let x = call.dims(0);
    per_channel(call, 1..5)?;
    let channels = x.map(|x| vec![x.get(1).copied().unwrap_or(1)]);
    let mut facts = call.like(0, x.map(<[_]>::to_vec));
    for _ in 1..call.node.output.len().min(5) {
        facts.push(Fact::of(call.element(3).or(call.element(0)), channels.clone()));
    }
    Ok(facts)
}

pub(super) fn instance_normalization(call: &Call<'_>) -> Result<Vec<Fact>> {
    per_channel(call, 1..3)?;
    Ok(call.like(0, call.dims(0).map(<[_]>::to_vec)))
}

/// Checks that each of `inputs` is one number a channel of the first.
fn per_channel(call: &Call<'_>, inputs: std::ops::Range<usize>) -> Result<()> {
    let Some(x) = call.dims(0) else { return Ok(()) };
    let channels = x.get(1).copied().unwrap_or(1);
    for input in inputs {
        if call.dims(input).is_some_and(|dims| dims != [channels]) {
            let (x, other) = (call.show(0), call.show(input));
            return Err(contradiction(format!("{other} is not one number a channel of {x}")));
        }
    }
    Ok(())
}

/// As the input; then the mean and the inverse deviation of each row.
pub(super) fn layer_normalization(call: &Call<'_>) -> Result<Vec<Fact>> {
    let mut facts = call.like(0, call.dims(0).map(<[_]>::to_vec));
    let statistics = match call.dims(0) {
        Some(x) => {
            let from = axis(call.int("axis", -1), x.len())?;
            Some((0..x.len()).map(|axis| if axis < from { x[axis] } else { 1 }).collect())
        }
        None => None,
    };
    let stash = i32::try_from(call.int("stash_type", 1)).ok().map(Element::from_onnx);
    facts.extend([Fact::of(stash, statistics.clone()), Fact::of(stash, statistics)]);
    Ok(facts)
}
