//! What is known of the sizes of tensors before a model runs.
//!
//! The file declares some; the others follow, node by node in the order of the graph, from the sizes
//! of what the nodes read. Operators that generators have between their layers are known; behind any
//! other nothing is.
//!
//! `Model::shapes` answers another question: it is told the size of every input, and then knows every
//! shape or refuses the model. Here inputs may have any size (a batch often has), one dimension may be
//! known without its neighbour, and what is not known is left alone.

use std::collections::HashMap;

use super::fold_resize::factors;
use super::layer::Layer;
use super::view::{View, input};
use crate::graph::constant::{int_attribute, is_standard};
use crate::graph::proto::{DimensionValue, NodeProto, TypeValue, ValueInfoProto};

/// The dimensions of a tensor, those that are known.
pub(super) type Sizes = Vec<Option<usize>>;

/// Adds to `view` what is known of its tensors.
pub(super) fn find(view: &mut View<'_>) {
    let graph = view.graph;
    let values = graph.value_info.iter().chain(&graph.output).chain(&graph.input);
    let declared: HashMap<&str, Sizes> =
        values.filter_map(|value| Some((value.name.as_str(), declared(value)?))).collect();
    view.sizes.extend(declared);
    for node in graph.node.iter().filter(|node| is_standard(&node.domain)) {
        let Some(name) = node.output.first().filter(|name| !name.is_empty()) else { continue };
        if !view.sizes.contains_key(name.as_str())
            && let Some(sizes) = of_output(view, node)
        {
            view.sizes.insert(name, sizes);
        }
    }
}

fn declared(value: &ValueInfoProto) -> Option<Sizes> {
    let TypeValue::Tensor(tensor) = value.r#type.as_ref()?.value.as_ref()? else { return None };
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::Value(size)) => known(*size),
        _ => None,
    };
    Some(tensor.shape.as_ref()?.dim.iter().map(|dim| size(&dim.value)).collect())
}

/// A size that a file gives: 0 and -1 mean that it does not know.
fn known(size: i64) -> Option<usize> {
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// The sizes of what `node` makes.
fn of_output(view: &View<'_>, node: &NodeProto) -> Option<Sizes> {
    match node.op_type.as_str() {
        "Conv" | "ConvTranspose" => {
            let layer = Layer::of(view, node)?;
            let batch = view.dims(input(node, 0)?).and_then(|sizes| sizes.first().copied()?);
            let [height, width] = layer.axes.map(|axis| {
                let strided = !layer.transposed && axis.stride != 1;
                let size = axis.size.filter(|_| !strided)?;
                let factor = if layer.transposed { axis.stride } else { 1 };
                known(factor.checked_mul(size)?.checked_add(axis.extra)?)
            });
            Some(vec![batch, Some(layer.channels_out), height, width])
        }
        "Reshape" => {
            let shape = view.ints(input(node, 1)?)?;
            let before = input(node, 0).and_then(|name| view.dims(name)).unwrap_or_default();
            let size = |(axis, dim): (usize, &i64)| match dim {
                0 => before.get(axis).copied().flatten(),
                dim => known(*dim),
            };
            Some(shape.iter().enumerate().map(size).collect())
        }
        "Gemm" => {
            let weight = view.constant(input(node, 1)?)?;
            let transposed = int_attribute(node, "transB").unwrap_or(0) != 0;
            Some(vec![None, known(*weight.dims.get(usize::from(!transposed))?)])
        }
        "Mul" | "Add" | "Sub" | "Div" => {
            let is_constant = |input: &&String| view.constant(input).is_some();
            let from = node.input.iter().find(|input| !is_constant(input))?;
            let constant = view.constant(node.input.iter().find(is_constant)?)?;
            let mut sizes = view.dims(from)?.to_vec();
            let offset = sizes.len().checked_sub(constant.dims.len())?;
            for (size, other) in sizes[offset..].iter_mut().zip(&constant.dims) {
                *size = if *other == 1 { *size } else { known(*other) };
            }
            Some(sizes)
        }
        "Resize" | "Upsample" => {
            let factors = factors(view, node)?;
            let mut sizes = view.dims(input(node, 0)?)?.to_vec();
            let spatial = sizes.get_mut(2..).filter(|spatial| spatial.len() == 2)?;
            for (size, factor) in spatial.iter_mut().zip(factors) {
                *size = size.and_then(|size| size.checked_mul(usize::try_from(factor).ok()?));
            }
            Some(sizes)
        }
        "Concat" => {
            let axis = usize::try_from(int_attribute(node, "axis")?).ok()?;
            let parts: Option<Vec<&[Option<usize>]>> =
                node.input.iter().map(|part| view.dims(part)).collect();
            let parts = parts?;
            let mut sizes = parts.first()?.to_vec();
            for (at, size) in sizes.iter_mut().enumerate() {
                let mut all = parts.iter().map(|part| part.get(at).copied().flatten());
                *size = match at == axis {
                    true => all.try_fold(0_usize, |sum, part| sum.checked_add(part?)),
                    false => all.find_map(|part| part),
                };
            }
            Some(sizes)
        }
        "DepthToSpace" => {
            let block = usize::try_from(int_attribute(node, "blocksize")?).ok()?;
            let &[batch, channels, height, width] = view.dims(input(node, 0)?)? else {
                return None;
            };
            let larger = |size: Option<usize>| size.and_then(|size| size.checked_mul(block));
            let channels = channels.and_then(|n| n.checked_div(block.checked_mul(block)?));
            Some(vec![batch, channels, larger(height), larger(width)])
        }
        "Relu"
        | "LeakyRelu"
        | "PRelu"
        | "Tanh"
        | "Sigmoid"
        | "Identity"
        | "Cast"
        | "Elu"
        | "Selu"
        | "Softplus"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "Dropout"
        | "Clip" => Some(view.dims(input(node, 0)?)?.to_vec()),
        _ => None,
    }
}
