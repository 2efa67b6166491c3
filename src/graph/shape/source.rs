//! Operators that make tensors of something else: constants, shapes, ranges, codes.

use super::call::{Call, axis, contradiction, size};
use super::fact::{Fact, Values};
use crate::error::Result;
use crate::graph::constant::{Constant, attribute};
use crate::graph::value::Element;

pub(super) fn constant(call: &Call<'_>) -> Vec<Fact> {
    Constant::of_node(call.node).map(Fact::of_constant).into_iter().collect()
}

pub(super) fn constant_of_shape(call: &Call<'_>) -> Result<Vec<Fact>> {
    let value = attribute(call.node, "value").and_then(|attribute| attribute.t.as_ref());
    let element = value.map_or(Element::F32, |value| Element::from_onnx(value.data_type));
    let dims = call.ints(0).map(|shape| shape.iter().map(|&n| size(n.into())).collect());
    Ok(vec![Fact::of(Some(element), dims.transpose()?)])
}

/// The attribute `shape`, of the element type `dtype`.
pub(super) fn random(call: &Call<'_>) -> Result<Vec<Fact>> {
    let shape = attribute(call.node, "shape").map(|attribute| &attribute.ints);
    let dims = shape.map(|shape| shape.iter().map(|&n| size(n.into())).collect());
    Ok(vec![Fact::of(Some(dtype(call).unwrap_or(Element::F32)), dims.transpose()?)])
}

/// As the input, of the element type `dtype` if it says one.
pub(super) fn like(call: &Call<'_>) -> Vec<Fact> {
    vec![Fact::of(dtype(call).or(call.element(0)), call.dims(0).map(<[_]>::to_vec))]
}

fn dtype(call: &Call<'_>) -> Option<Element> {
    let number = attribute(call.node, "dtype")?.i?;
    i32::try_from(number).ok().map(Element::from_onnx)
}

pub(super) fn shape(call: &Call<'_>) -> Vec<Fact> {
    let part = call.dims(0).map(|dims| shape_part(call, dims));
    vec![Fact::of(Some(Element::I64), part.map(|part| vec![part.len()]))]
}

/// The dimensions that a `Shape` gives: from `start` to `end`, each clamped to what is there.
pub(super) fn shape_part<'a>(call: &Call<'_>, dims: &'a [usize]) -> &'a [usize] {
    let rank = dims.len() as i64;
    let place = |name, default: i64| {
        let at = call.int(name, default);
        let at = if at < 0 { at.saturating_add(rank) } else { at };
        usize::try_from(at.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (place("start", 0), place("end", rank));
    dims.get(start..end).unwrap_or_default()
}

pub(super) fn scalar() -> Vec<Fact> {
    vec![Fact::of(Some(Element::I64), Some(vec![]))]
}

pub(super) fn range(call: &Call<'_>) -> Result<Vec<Fact>> {
    let numbers = |input| match call.values(input) {
        Some(Values::Ints(values)) => Some(values.first().map(|&n| (n.into(), n as f64))?),
        Some(Values::Floats(values)) => Some(values.first().map(|&n| (0_i128, f64::from(n)))?),
        None => None,
    };
    let (Some(start), Some(limit), Some(delta)) = (numbers(0), numbers(1), numbers(2)) else {
        return Ok(call.like(0, None));
    };
    if delta.1 == 0.0 {
        return Err(contradiction("a step of 0"));
    }
    let count = if call.ints(0).is_some() {
        let span = (limit.0 - start.0) * delta.0.signum();
        (span.max(0) + delta.0.abs() - 1) / delta.0.abs()
    } else {
        // A range that is no number is refused as a size.
        let count = ((limit.1 - start.1) / delta.1).ceil();
        if count.is_nan() { -1 } else { count.max(0.0) as i128 }
    };
    Ok(call.like(0, Some(vec![size(count)?])))
}

pub(super) fn one_hot(call: &Call<'_>) -> Result<Vec<Fact>> {
    let depth = match (call.ints(1), call.floats(1)) {
        (Some(&[depth]), _) => Some(i128::from(depth)),
        (_, Some(&[depth])) => Some(depth as i128),
        _ => None,
    };
    let (Some(indices), Some(depth)) = (call.dims(0), depth) else { return Ok(call.like(2, None)) };
    let at = axis(call.int("axis", -1), indices.len() + 1)?;
    let mut dims = indices.to_vec();
    dims.insert(at, size(depth)?);
    Ok(call.like(2, Some(dims)))
}
