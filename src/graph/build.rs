//! Small models for the tests of this room, made message by message.

use prost::Message;

use super::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType,
    TypeProto, TypeValue, ValueInfoProto,
};
use super::{Model, Result};

/// A value whose dimensions are numbers, symbols, or nothing.
pub(super) fn value(name: &str, element: i32, dims: &[&str]) -> ValueInfoProto {
    let dim = |text: &&str| Dimension {
        value: match (text.parse(), *text) {
            (Ok(size), _) => Some(DimensionValue::Value(size)),
            (_, "") => None,
            (_, symbol) => Some(DimensionValue::Param(symbol.into())),
        },
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = TensorType { elem_type: element, shape: Some(shape) };
    let value = Some(TypeValue::Tensor(tensor));
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}

/// A node named after its operator and first output: `Tanh_image`.
pub(super) fn node(operator: &str, input: &[&str], output: &[&str]) -> NodeProto {
    NodeProto {
        name: format!("{operator}_{}", output[0]),
        op_type: operator.into(),
        input: input.iter().map(|&name| name.into()).collect(),
        output: output.iter().map(|&name| name.into()).collect(),
        ..Default::default()
    }
}

/// A node with attributes.
pub(super) fn node_with(
    operator: &str,
    input: &[&str],
    output: &[&str],
    attribute: &[AttributeProto],
) -> NodeProto {
    NodeProto { attribute: attribute.to_vec(), ..node(operator, input, output) }
}

/// An `f32` constant.
pub(super) fn floats(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: data.to_vec(),
        ..Default::default()
    }
}

/// An `i64` constant, in `raw_data`.
pub(super) fn ints(name: &str, dims: &[i64], data: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 7,
        raw_data: Some(data.iter().flat_map(|value| value.to_le_bytes()).collect()),
        ..Default::default()
    }
}

/// An `f32` constant whose bytes lie in the file at `location`.
pub(super) fn external(name: &str, dims: &[i64], location: &str) -> TensorProto {
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        external_data: vec![entry("location", location)],
        data_location: super::proto::EXTERNAL,
        ..Default::default()
    }
}

/// An attribute that is a whole number.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), r#type: 2, ..Default::default() }
}

/// An attribute that is a tensor.
pub(super) fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { name: name.into(), t: Some(value), r#type: 4, ..Default::default() }
}

/// An attribute that is a graph.
pub(super) fn subgraph(name: &str, nodes: Vec<NodeProto>) -> AttributeProto {
    let graph = GraphProto { node: nodes, ..Default::default() };
    AttributeProto { name: name.into(), g: Some(graph), r#type: 5, ..Default::default() }
}

/// A model from `z` (`f32`, `[batch, 8]`) to `image` (`f32`, `[batch, 3, 4, 4]`).
pub(super) fn model(nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> ModelProto {
    ModelProto {
        ir_version: 10,
        producer_name: "test".into(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 20 }],
        graph: Some(GraphProto {
            name: "generator".into(),
            node: nodes,
            initializer: initializers,
            input: vec![value("z", 1, &["batch", "8"])],
            output: vec![value("image", 1, &["batch", "3", "4", "4"])],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A model that is one Tanh after one MatMul.
pub(super) fn small() -> ModelProto {
    let nodes = vec![
        node("MatMul", &["z", "weight"], &["flat"]),
        node("Reshape", &["flat", "shape"], &["grid"]),
        node("Tanh", &["grid"], &["image"]),
    ];
    let weight = floats("weight", &[8, 48], &[0.5; 384]);
    model(nodes, vec![weight, ints("shape", &[4], &[-1, 3, 4, 4])])
}

/// The messages of `proto`, read as an embedded model.
pub(super) fn read(proto: &ModelProto) -> Result<Model> {
    Model::from_bytes("test", proto.encode_to_vec().into())
}
