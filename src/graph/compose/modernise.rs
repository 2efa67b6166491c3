//! Nodes of other versions of the standard operators, brought to [`OPSET`](super::OPSET).
//!
//! What was an attribute and is an input now becomes one; operators that came later, or changed
//! their meaning, are written out in simpler ones. Source:
//! <https://github.com/onnx/onnx/blob/main/docs/Changelog.md>

use super::{Attribute, Composer, Tensor};
use crate::error::{Error, Kind, Result};
use crate::graph::constant::{float_attribute, int_attribute, is_standard};
use crate::graph::proto::{AttributeProto, NodeProto};

/// The oldest version that is read: before it, inputs were stretched in another way.
const OLDEST: i64 = 7;

/// A node as it is now.
pub(super) enum Modern {
    /// To be added as it is.
    Node {
        operator: String,
        inputs: Vec<Option<Tensor>>,
        attributes: Vec<AttributeProto>,
        outputs: usize,
    },
    /// Written out in other nodes, which are there already: its outputs.
    Made(Vec<Tensor>),
}

/// `node` of operator set `opset`, which reads `inputs`.
pub(super) fn modernise(
    composer: &mut Composer,
    node: &NodeProto,
    mut inputs: Vec<Option<Tensor>>,
    opset: i64,
) -> Result<Modern> {
    let operator = node.op_type.as_str();
    let own_gelu = node.domain == "com.microsoft" && operator == "Gelu";
    if !is_standard(&node.domain) && !own_gelu {
        let message = format!("`{operator}` of `{}` is no standard operator", node.domain);
        return Err(unable(message, "export the encoder without fused or local operators"));
    }
    if opset < OLDEST {
        let message = format!("its file is of operator set {opset}, older than {OLDEST}");
        return Err(unable(message, "export it with opset_version=17"));
    }
    let first = inputs.first().cloned().flatten();
    let mut attributes = node.attribute.clone();
    let mut outputs = node.output.len();
    match operator {
        // Inference leaves both as they are, and so does training here: no dropout.
        "Identity" | "Dropout" => return Ok(Modern::Made(first.into_iter().collect())),
        "CastLike" => {
            if let [Some(x), Some(like)] = &inputs[..] {
                let to = composer.element(like);
                return Ok(Modern::Made(vec![composer.cast(x, to)?]));
            }
        }
        "BatchNormalization" => {
            attributes.retain(|attribute| matches!(&*attribute.name, "epsilon" | "momentum"));
            outputs = 1;
        }
        // The gradient needs the statistics.
        "LayerNormalization" => outputs = 3,
        "MaxPool" => outputs = 2,
        "Softmax" | "LogSoftmax" if opset < 13 => {
            if let Some(x) = &first {
                return old_softmax(composer, node, x).map(Modern::Made);
            }
        }
        "GroupNormalization" | "RMSNormalization" | "Swish" => {
            let inputs: Vec<_> = inputs.iter().flatten().cloned().collect();
            return later(composer, node, &inputs, opset).map(|made| Modern::Made(vec![made]));
        }
        "Clip" => {
            for (name, position) in [("min", 1), ("max", 2)] {
                let Some(x) = &first else { break };
                if let Some(limit) = float_attribute(node, name) {
                    let limit = composer.scalar(x, f64::from(limit));
                    put(&mut inputs, position, limit);
                }
            }
            attributes.clear();
        }
        "Pad" => {
            move_ints(composer, &mut attributes, &mut inputs, "pads", 1);
            let value = attributes.iter().position(|attribute| attribute.name == "value");
            if let (Some(at), Some(x)) = (value, &first) {
                let value = composer.scalar(x, f64::from(attributes.remove(at).f.unwrap_or(0.0)));
                put(&mut inputs, 2, value);
            }
        }
        "Slice" => {
            for (position, name) in ["starts", "ends", "axes"].into_iter().enumerate() {
                move_ints(composer, &mut attributes, &mut inputs, name, position + 1);
            }
        }
        "Squeeze" | "Unsqueeze" => move_ints(composer, &mut attributes, &mut inputs, "axes", 1),
        "Split" => {
            move_ints(composer, &mut attributes, &mut inputs, "split", 1);
            let told = inputs.get(1).is_some_and(Option::is_some)
                || attributes.iter().any(|attribute| attribute.name == "num_outputs");
            if !told {
                attributes.push(Attribute::Int("num_outputs", outputs as i64).to_proto());
            }
        }
        "Upsample" => {
            let message = "`Upsample` was taken out of the standard".to_owned();
            return Err(unable(message, "export the encoder with opset_version=17"));
        }
        "Resize" if opset < 11 => {
            let message = format!("`Resize` of operator set {opset} had another meaning");
            return Err(unable(message, "export the encoder with opset_version=17"));
        }
        _ if operator.starts_with("Reduce") => {
            move_ints(composer, &mut attributes, &mut inputs, "axes", 1);
        }
        _ => {}
    }
    Ok(Modern::Node { operator: operator.to_owned(), inputs, attributes, outputs })
}

fn unable(message: String, help: &str) -> Error {
    Error::new(Kind::Model, message).help(help.to_owned())
}

fn put(inputs: &mut Vec<Option<Tensor>>, position: usize, tensor: Tensor) {
    inputs.resize(inputs.len().max(position + 1), None);
    inputs[position] = Some(tensor);
}

/// The attribute `name`, a list, as the input at `position`.
fn move_ints(
    composer: &mut Composer,
    attributes: &mut Vec<AttributeProto>,
    inputs: &mut Vec<Option<Tensor>>,
    name: &str,
    position: usize,
) {
    if let Some(at) = attributes.iter().position(|attribute| attribute.name == name) {
        let list = composer.ints(&attributes.remove(at).ints);
        put(inputs, position, list);
    }
}

/// Before version 13: over everything from `axis` on, as one row.
fn old_softmax(composer: &mut Composer, node: &NodeProto, x: &Tensor) -> Result<Vec<Tensor>> {
    let dims = composer.dims(x).to_vec();
    let axis = composer.axis_of(x, int_attribute(node, "axis").unwrap_or(1)).min(dims.len());
    let rows = [dims[..axis].iter().product(), dims[axis..].iter().product()];
    let flat = composer.reshape(x, &rows)?;
    let y = composer.op(&node.op_type, &[&flat], &[Attribute::Int("axis", -1)])?;
    Ok(vec![composer.reshape(&y, &dims)?])
}

/// What came after this version, in what it has.
fn later(
    composer: &mut Composer,
    node: &NodeProto,
    inputs: &[Tensor],
    opset: i64,
) -> Result<Tensor> {
    let epsilon = f64::from(float_attribute(node, "epsilon").unwrap_or(1e-5));
    match (node.op_type.as_str(), inputs) {
        ("Swish", [x]) => {
            let alpha = f64::from(float_attribute(node, "alpha").unwrap_or(1.0));
            let scaled = if alpha == 1.0 { x.clone() } else { composer.scale(x, alpha)? };
            let gate = composer.unary("Sigmoid", &scaled)?;
            composer.mul(x, &gate)
        }
        ("RMSNormalization", [x, scale]) => {
            let axis = composer.axis_of(x, int_attribute(node, "axis").unwrap_or(-1));
            let axes: Vec<usize> = (axis..composer.dims(x).len()).collect();
            let squared = composer.square(x)?;
            let mean = composer.mean(&squared, &axes, true)?;
            let mean = composer.shift(&mean, epsilon)?;
            let root = composer.unary("Sqrt", &mean)?;
            let y = composer.div(x, &root)?;
            composer.mul(&y, scale)
        }
        ("GroupNormalization", [x, scale, offset]) => {
            group_norm(composer, node, [x, scale, offset], epsilon, opset)
        }
        (operator, inputs) => {
            let message = format!("`{operator}` with {} inputs", inputs.len());
            Err(unable(message, "no version of the standard has that: export the encoder again"))
        }
    }
}

/// Channels in groups, each normalised over its pixels (Wu and He 2018). Up to version 20 there is
/// a scale for each group, later for each channel.
fn group_norm(
    composer: &mut Composer,
    node: &NodeProto,
    [x, scale, offset]: [&Tensor; 3],
    epsilon: f64,
    opset: i64,
) -> Result<Tensor> {
    let dims = composer.dims(x).to_vec();
    let groups = int_attribute(node, "num_groups").unwrap_or(1);
    let groups = usize::try_from(groups).unwrap_or(1).max(1);
    let (batch, channels) = (dims[0], dims.get(1).copied().unwrap_or(1));
    if channels % groups != 0 {
        let message = format!("{channels} channels are no {groups} groups");
        return Err(unable(message, "export the encoder again"));
    }
    let rest: usize = dims[2..].iter().product();
    let rows = composer.reshape(x, &[batch, groups, channels / groups * rest])?;
    let mean = composer.mean(&rows, &[2], true)?;
    let centred = composer.sub(&rows, &mean)?;
    let squared = composer.square(&centred)?;
    let variance = composer.mean(&squared, &[2], true)?;
    let variance = composer.shift(&variance, epsilon)?;
    let root = composer.unary("Sqrt", &variance)?;
    let mut y = composer.div(&centred, &root)?;
    let mut shape = vec![1, channels];
    shape.resize(dims.len(), 1);
    let per_group = opset < 21;
    let mut factors = Vec::new();
    for factor in [scale, offset] {
        let wanted = if per_group { vec![1, groups, 1] } else { shape.clone() };
        factors.push(composer.reshape(factor, &wanted)?);
    }
    if !per_group {
        y = composer.reshape(&y, &dims)?;
    }
    let y = composer.mul(&y, &factors[0])?;
    let y = composer.add2(&y, &factors[1])?;
    composer.reshape(&y, &dims)
}
