//! Operators that work on every element alike, and how their inputs are stretched to fit.
//!
//! Source: <https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md>

use super::call::{Call, Dims, contradiction};
use super::fact::Fact;
use crate::error::Result;
use crate::graph::constant::attribute;
use crate::graph::value::Element;

/// The first output is as the first input, in shape and type.
pub(super) const SAME: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Bernoulli",
    "BitwiseNot",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "CumSum",
    "Elu",
    "Erf",
    "Exp",
    "FakeQuant",
    "Floor",
    "Gelu",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "LRN",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Mish",
    "Neg",
    "Not",
    "RMSNormalization",
    "Reciprocal",
    "Relu",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Trilu",
];

/// ONNX Runtime's own of that kind.
pub(super) const SAME_IN_RUNTIME: &[&str] = &["BiasGelu", "FastGelu", "Gelu", "QuickGelu"];

/// Two or more inputs stretched to one shape, of their type.
pub(super) const STRETCHED: &[&str] = &[
    "Add",
    "And",
    "BitShift",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Div",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
    "Sum",
    "Xor",
];

/// Two inputs stretched to one shape, of bools.
pub(super) const COMPARED: &[&str] = &["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];

/// Any number of inputs, stretched to one shape.
pub(super) fn stretched(call: &Call<'_>) -> Result<Vec<Fact>> {
    let count = call.node.input.len();
    // Before version 7 the second input was fitted to an axis of the first.
    let element = (0..count).find_map(|input| call.element(input));
    if attribute(call.node, "broadcast").is_some() {
        return Ok(vec![Fact::of(element, call.dims(0).map(<[_]>::to_vec))]);
    }
    Ok(vec![Fact::of(element, all(call, 0..count)?)])
}

pub(super) fn compared(call: &Call<'_>) -> Result<Vec<Fact>> {
    let dims = stretched(call)?.pop().and_then(|fact| fact.dims);
    Ok(vec![Fact::of(Some(Element::Bool), dims)])
}

pub(super) fn choice(call: &Call<'_>) -> Result<Vec<Fact>> {
    let element = call.element(1).or(call.element(2));
    Ok(vec![Fact::of(element, all(call, 0..3)?)])
}

/// The slope is stretched to the input, never the other way round.
pub(super) fn prelu(call: &Call<'_>) -> Result<Vec<Fact>> {
    if let (Some(dims), Some(_)) = (all(call, 0..2)?, call.dims(0))
        && call.dims(0) != Some(&dims)
    {
        let (x, slope) = (call.show(0), call.show(1));
        return Err(contradiction(format!("{slope} does not fit {x}")));
    }
    Ok(call.like(0, call.dims(0).map(<[_]>::to_vec)))
}

pub(super) fn cast(call: &Call<'_>) -> Vec<Fact> {
    let to = i32::try_from(call.int("to", 0)).ok().filter(|to| *to != 0);
    vec![Fact::of(to.map(Element::from_onnx), call.dims(0).map(<[_]>::to_vec))]
}

/// As the first input, and a mask of what was kept.
pub(super) fn dropout(call: &Call<'_>) -> Vec<Fact> {
    let dims = call.dims(0).map(<[_]>::to_vec);
    let mask = if call.opset < 10 { call.element(0) } else { Some(Element::Bool) };
    vec![Fact::of(call.element(0), dims.clone()), Fact::of(mask, dims)]
}

/// The shape that all of `inputs` are stretched to.
fn all(call: &Call<'_>, mut inputs: std::ops::Range<usize>) -> Dims {
    inputs.try_fold(Some(Vec::new()), |whole, input| {
        let (Some(whole), Some(dims)) = (whole, call.dims(input)) else { return Ok(None) };
        let stretched = broadcast(&whole, dims);
        let misfit = || {
            let others: Vec<_> = (0..call.node.input.len()).map(|input| call.show(input)).collect();
            contradiction(format!("{} cannot be stretched to one shape", others.join(" and ")))
        };
        stretched.map(Some).ok_or_else(misfit)
    })
}

/// The shape that two are stretched to; `None` if they do not fit.
pub(super) fn broadcast(one: &[usize], other: &[usize]) -> Option<Vec<usize>> {
    let rank = one.len().max(other.len());
    let from_end = |dims: &[usize], back: usize| match dims.len().checked_sub(back) {
        Some(axis) => dims[axis],
        None => 1,
    };
    let dims = (1..=rank).rev().map(|back| match (from_end(one, back), from_end(other, back)) {
        (a, b) if a == b => Some(a),
        (1, size) | (size, 1) => Some(size),
        _ => None,
    });
    dims.collect()
}
