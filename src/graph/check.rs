//! What a parsed model must be before anything acts on it.
//!
//! A runtime allocates what a file declares. So every size that a file declares is bounded here,
//! and every constant must carry the data that its shape promises.

use std::collections::HashSet;

use super::body::{Bodies, Functions};
use super::constant::{Constant, attribute, elements, is_standard};
use super::operators::NodeName;
use super::proto::{
    DimensionValue, EXTERNAL, ModelProto, NodeProto, TensorProto, TypeValue, ValueInfoProto,
};
use super::value::Element;
use super::wire::broken;
use super::{MAX_OUTPUT_ELEMENTS, MAX_RANK, MAX_TENSOR_BYTES};
use crate::error::{Error, Kind, Result, ResultExt};

/// The element type where only a run could tell; it counts as the narrowest.
const UNKNOWN: Element = Element::Other(0);

/// Checks everything about `model` that its main file alone can tell.
///
/// # Errors
/// [`Kind::Model`] if it contradicts itself, [`Kind::Limit`] if it asks for absurd memory.
pub(super) fn check(model: &ModelProto) -> Result<()> {
    // A file cut between two fields parses; what it lost is the graph or the operator sets.
    let graph = model.graph.as_ref().ok_or_else(broken)?;
    if model.opset_import.is_empty() {
        return Err(broken().at("no operator set"));
    }
    if graph.output.is_empty() {
        let error = Error::new(Kind::Model, "the graph has no outputs");
        return Err(error.help("export it again with the image as an output"));
    }
    for value in graph.input.iter().chain(&graph.value_info) {
        check_value(value, u64::MAX).at(|| format!("value `{}`", value.name))?;
    }
    for value in &graph.output {
        check_value(value, MAX_OUTPUT_ELEMENTS).at(|| format!("output `{}`", value.name))?;
    }
    for value in model.functions.iter().flat_map(|function| &function.value_info) {
        check_value(value, u64::MAX).at(|| format!("value `{}`", value.name))?;
    }
    let bodies = Bodies::of(model, Functions::All);
    for body in &bodies.list {
        let mut seen = HashSet::new();
        if let Some(twice) = body.constant_names().find(|name| !seen.insert(*name)) {
            return Err(Error::new(Kind::Model, format!("two initializers are named `{twice}`")));
        }
    }
    for tensor in bodies.tensors() {
        check_tensor(tensor).at(|| format!("tensor `{}`", tensor.name))?;
    }
    for tensor in bodies.list.iter().flat_map(|body| body.sparse) {
        let name = tensor.values.as_ref().map_or("", |values| &values.name);
        let element = tensor.values.as_ref().map_or(0, |values| values.data_type);
        check_size(&tensor.dims, Element::from_onnx(element))
            .at(|| format!("sparse tensor `{name}`"))?;
    }
    for (body, node) in bodies.nodes() {
        check_made(&bodies, body, node).at(|| NodeName::of(node))?;
    }
    Ok(())
}

/// The elements of a tensor of these dimensions, if it is one that memory could hold.
fn check_size(dims: &[i64], element: Element) -> Result<u64> {
    let count = elements(dims)?;
    let bytes = byte_count(count, element);
    if bytes > u128::from(MAX_TENSOR_BYTES) {
        let takes = match element {
            UNKNOWN => "takes at least".to_owned(),
            element => format!("of {element} takes"),
        };
        let message = format!("shape {dims:?} {takes} {bytes} bytes, more than {MAX_TENSOR_BYTES}");
        return Err(Error::new(Kind::Limit, message)
            .help("no image or weight is that large: check where the file is from"));
    }
    Ok(count)
}

/// The bytes of `count` elements, where types of unknown width count as one byte.
fn byte_count(count: u64, element: Element) -> u128 {
    (u128::from(count) * element.bits().unwrap_or(8) as u128).div_ceil(8)
}

/// Checks that a value's dimensions make sense, and that its fixed ones alone stay within bounds.
fn check_value(value: &ValueInfoProto, max_elements: u64) -> Result<()> {
    let kind = value.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(TypeValue::Tensor(tensor) | TypeValue::SparseTensor(tensor)) = kind else {
        return Ok(());
    };
    let Some(shape) = &tensor.shape else { return Ok(()) };
    if shape.dim.len() > MAX_RANK {
        let message = format!("{} dimensions, more than {MAX_RANK}", shape.dim.len());
        return Err(Error::new(Kind::Limit, message));
    }
    let fixed = shape.dim.iter().map(|dim| match dim.value {
        // Some exporters write -1 for "any size"; runtimes read it so.
        Some(DimensionValue::Value(size)) if size != -1 => size,
        _ => 1,
    });
    let fixed: Vec<i64> = fixed.collect();
    let count = check_size(&fixed, Element::from_onnx(tensor.elem_type))?;
    if count > max_elements {
        let message = format!("shape {fixed:?} has {count} elements, more than {max_elements}");
        return Err(Error::new(Kind::Limit, message)
            .help("no image is that large: check where the file is from"));
    }
    Ok(())
}

/// Checks that a constant carries the elements its shape promises, in one place.
fn check_tensor(tensor: &TensorProto) -> Result<()> {
    let element = Element::from_onnx(tensor.data_type);
    let count = check_size(&tensor.dims, element)?;
    if tensor.segment.is_some() {
        return Err(Error::new(Kind::Model, "it is a segment of a tensor, which no runtime reads"));
    }
    let fields = [
        tensor.raw_data.as_ref().map_or(0, |raw| raw.len()),
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.string_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
    ];
    let used = fields.iter().filter(|&&length| length > 0).count();
    let held: u128 = fields.iter().map(|&length| length as u128).sum();
    if tensor.data_location == EXTERNAL {
        return match used {
            0 => Ok(()),
            _ => Err(Error::new(Kind::Model, "its data is both inside and outside the file")),
        };
    }
    if used > 1 {
        return Err(Error::new(Kind::Model, "its data is in two fields at once"));
    }
    let in_raw_data = tensor.raw_data.as_ref().is_some_and(|raw| !raw.is_empty());
    let expected = match element {
        // A type with no known width in raw data, which the runtime will judge.
        _ if in_raw_data && element.bits().is_none() => return Ok(()),
        _ if in_raw_data => byte_count(count, element),
        // In the typed fields complex numbers are two entries, and narrow types are packed.
        Element::Other(14 | 15) => 2 * u128::from(count),
        Element::Other(21..=23 | 25 | 26) => byte_count(count, element),
        _ => u128::from(count),
    };
    if held != expected {
        let (unit, shape) = (if in_raw_data { "bytes" } else { "entries" }, &tensor.dims);
        let message =
            format!("shape {shape:?} of {element} needs {expected} {unit}, the file holds {held}");
        return Err(Error::new(Kind::Model, message)
            .help("the file is damaged or was made to mislead: fetch or export it again"));
    }
    Ok(())
}

/// Checks nodes that make a tensor of a size the file itself fixes.
fn check_made(bodies: &Bodies<'_>, body: usize, node: &NodeProto) -> Result<()> {
    if !is_standard(&node.domain) {
        return Ok(());
    }
    // A longer constant is no shape, and is not read for every node that names it.
    let is_shape = |constant: &Constant<'_>| constant.count() <= MAX_RANK as u64;
    let constant =
        |position| bodies.input(body, node, position).filter(is_shape).and_then(Constant::integers);
    let element = |name: &str, default| {
        let number = attribute(node, name).and_then(|attribute| attribute.i).unwrap_or(default);
        Element::from_onnx(i32::try_from(number).unwrap_or(0))
    };
    let (shape, element) = match node.op_type.as_str() {
        "ConstantOfShape" => {
            let value = attribute(node, "value").and_then(|attribute| attribute.t.as_ref());
            (constant(0), Element::from_onnx(value.map_or(1, |value| value.data_type)))
        }
        "Expand" | "Tile" => (constant(1), UNKNOWN),
        "Resize" => (constant(3), UNKNOWN),
        "RandomNormal" | "RandomUniform" => {
            let shape = attribute(node, "shape").map(|attribute| attribute.ints.clone());
            (shape, element("dtype", 1))
        }
        _ => return Ok(()),
    };
    let Some(mut shape) = shape else { return Ok(()) };
    if node.op_type != "ConstantOfShape" {
        // Here a size of 0 or -1 means "as the input", which is left to the runtime.
        shape.iter_mut().for_each(|size| *size = (*size).max(1));
    }
    check_size(&shape, element).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{self, node};

    fn refused(model: &ModelProto, kind: Kind, words: &str) {
        let error = check(model).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }

    fn with(tensor: TensorProto) -> ModelProto {
        build::model(vec![node("Identity", &["z"], &["image"])], vec![tensor])
    }

    #[test]
    fn terabytes_declared_and_none_present() {
        let mut tensor = build::floats("w", &[1 << 20, 1 << 20], &[]);
        refused(&with(tensor.clone()), Kind::Limit, "tensor `w`: shape [1048576, 1048576] of f32");
        tensor.dims = vec![1 << 30];
        refused(&with(tensor), Kind::Model, "needs 1073741824 entries, the file holds 0");
    }

    #[test]
    fn data_that_disagrees_with_its_shape() {
        refused(&with(build::floats("w", &[3], &[1.0])), Kind::Model, "tensor `w`");
        refused(&with(build::ints("w", &[2], &[1])), Kind::Model, "needs 16 bytes");
        let mut both = build::floats("w", &[1], &[1.0]);
        both.raw_data = Some(vec![0; 4].into());
        refused(&with(both), Kind::Model, "two fields");
        check(&with(build::floats("w", &[0, 7], &[]))).unwrap();
    }

    #[test]
    fn negative_and_overflowing_dimensions() {
        refused(&with(build::floats("w", &[-2], &[])), Kind::Model, "negative");
        let huge = [i64::MAX, i64::MAX, 0];
        refused(&with(build::floats("w", &huge, &[])), Kind::Limit, "counted");
        refused(&with(build::floats("w", &[1; 40], &[1.0])), Kind::Limit, "40 dimensions");
        let mut model = build::small();
        model.graph.as_mut().unwrap().input = vec![build::value("z", 1, &["batch", "-7"])];
        refused(&model, Kind::Model, "negative");
    }

    #[test]
    fn a_constant_in_an_attribute_is_checked_too() {
        let value = build::tensor("value", build::floats("", &[9], &[1.0]));
        let constant = build::node_with("Constant", &[], &["image"], &[value]);
        let inner = build::subgraph("body", vec![constant]);
        let outer = build::node_with("Loop", &[], &["image"], &[inner]);
        refused(&build::model(vec![outer], vec![]), Kind::Model, "needs 9 entries");
    }

    #[test]
    fn an_absurd_output_or_value() {
        let mut model = build::small();
        let graph = model.graph.as_mut().unwrap();
        graph.value_info = vec![build::value("grid", 1, &["n", "1099511627776"])];
        refused(&model, Kind::Limit, "value `grid`: shape [1, 1099511627776] of f32");
        let graph = model.graph.as_mut().unwrap();
        graph.value_info.clear();
        graph.output = vec![build::value("image", 2, &["n", "3", "60000", "60000"])];
        refused(&model, Kind::Limit, "output `image`");
        model.graph.as_mut().unwrap().output =
            vec![build::value("image", 1, &["-1", "3", "64", "64"])];
        check(&model).unwrap();
    }

    #[test]
    fn a_constant_shape_that_asks_for_terabytes() {
        let shape = || build::ints("shape", &[2], &[1 << 20, 1 << 20]);
        for node in [
            node("ConstantOfShape", &["shape"], &["image"]),
            node("Expand", &["z", "shape"], &["image"]),
            node("Resize", &["z", "", "", "shape"], &["image"]),
        ] {
            refused(&build::model(vec![node], vec![shape()]), Kind::Limit, "_image`: shape");
        }
    }

    #[test]
    fn two_initializers_of_one_name() {
        let tensor = || build::floats("w", &[1], &[1.0]);
        let model = build::model(vec![], vec![tensor(), tensor()]);
        refused(&model, Kind::Model, "two initializers are named `w`");
    }

    #[test]
    fn a_graph_without_outputs_or_no_graph() {
        let mut model = build::small();
        model.graph.as_mut().unwrap().output.clear();
        refused(&model, Kind::Model, "no outputs");
        model.graph = None;
        refused(&model, Kind::Model, "truncated");
        let mut model = build::small();
        model.opset_import.clear();
        refused(&model, Kind::Model, "truncated");
    }
}
