//! Edits of models with fields that nobody knows yet.

use super::*;
use crate::graph::Model;
use crate::graph::build::{self, node};
use crate::graph::constant::floats;
use crate::graph::draft::Draft;

/// A field of a later ONNX version than this.
const LATER: u32 = 300;

fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    encoding::bytes::encode(number, &payload.to_vec(), &mut field);
    field
}

fn later(mut message: Vec<u8>, text: &str) -> Vec<u8> {
    message.extend(field(LATER, text.as_bytes()));
    message
}

/// `small` with fields that are not known in the model, the graph, its nodes and tensors, and
/// with tensors between the nodes.
fn strange() -> Vec<u8> {
    let small = build::small();
    let graph = small.graph.clone().unwrap();
    let rest = GraphProto { node: vec![], initializer: vec![], ..graph.clone() };
    let mut inner = later(vec![], "graph");
    for (node, tensor) in graph.node.iter().zip(graph.initializer.iter().map(Some).chain([None])) {
        inner.extend(field(1, &later(node.encode_to_vec(), &node.output[0])));
        if let Some(tensor) = tensor {
            inner.extend(field(5, &later(tensor.encode_to_vec(), &tensor.name)));
        }
    }
    inner.extend(rest.encode_to_vec());
    let mut file = ModelProto { graph: None, ..small }.encode_to_vec();
    // A message that stands twice means both after each other.
    file.extend(field(7, &inner));
    file.extend(field(7, &later(vec![], "more")));
    later(file, "model")
}

fn texts(file: &[u8]) -> Vec<&'static str> {
    let all = ["graph", "more", "model", "flat", "grid", "image", "weight", "shape"];
    let there = |text: &&str| {
        let wanted = field(LATER, text.as_bytes());
        file.windows(wanted.len()).any(|window| window == wanted)
    };
    all.into_iter().filter(there).collect()
}

#[test]
fn a_model_that_is_not_edited_comes_back_byte_for_byte() {
    for file in [build::small().encode_to_vec(), strange()] {
        let model = Model::from_bytes("m", file.clone().into()).unwrap();
        let back = Draft::of(&model).finish().unwrap();
        assert_eq!(back.bytes(), &file);
        assert_eq!(back.bytes().as_ptr(), model.bytes().as_ptr(), "not even copied");
    }
}

#[test]
fn what_is_not_edited_keeps_fields_that_are_not_known() {
    let model = Model::from_bytes("m", strange().into()).unwrap();
    let mut draft = Draft::of(&model);
    let graph = draft.graph_mut();
    graph.node[2].op_type = "Sigmoid".into();
    graph.node.insert(2, node("Relu", &["grid"], &["high"]));
    graph.node[3].input = vec!["high".into()];
    let edited = draft.finish().unwrap();
    assert_eq!(
        texts(edited.bytes()),
        ["graph", "more", "model", "flat", "grid", "weight", "shape"]
    );
    let nodes = &edited.proto().graph.as_ref().unwrap().node;
    let operators: Vec<_> = nodes.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(operators, ["MatMul", "Reshape", "Relu", "Sigmoid"]);
    assert_eq!(edited.inputs(), model.inputs());
}

#[test]
fn every_kind_of_edit_is_written() {
    let model = build::read(&build::small()).unwrap();
    let mut draft = Draft::of(&model);
    let graph = draft.graph_mut();
    graph.name = "other".into();
    graph.doc_string = "says what it is".into();
    graph.node.swap(0, 2);
    graph.initializer[0].float_data[7] = -3.0;
    graph.value_info.push(build::value("grid", 1, &["batch", "3", "4", "4"]));
    graph.output[0] = build::value("image", 1, &["n", "3", "4", "4"]);
    let mut wanted = graph.clone();
    let edited = draft.finish().unwrap();
    // The order of the nodes was wrong, and is right again.
    wanted.node.swap(0, 2);
    assert_eq!(edited.proto().graph.as_ref(), Some(&wanted));
}

#[test]
fn numbers_that_equal_nothing_are_no_change() {
    let weight = build::floats("weight", &[1], &[f32::NAN]);
    let alpha = crate::graph::proto::AttributeProto {
        name: "alpha".into(),
        f: Some(f32::NAN),
        r#type: 1,
        ..Default::default()
    };
    let nodes = vec![build::node_with("Elu", &["z"], &["image"], &[alpha])];
    let model = build::read(&build::model(nodes, vec![weight])).unwrap();
    assert_eq!(Draft::of(&model).finish().unwrap().bytes(), model.bytes());
}

#[test]
fn raw_weights_are_moved_without_being_decoded() {
    let mut proto = build::small();
    proto.graph.as_mut().unwrap().initializer.swap(0, 1);
    let model = build::read(&proto).unwrap();
    let mut draft = Draft::of(&model);
    let before = draft.graph().initializer[0].raw_data.clone().unwrap();
    draft.add_floats("new", &[2], &[1.0, 2.0]);
    assert!(model.bytes().as_ptr_range().contains(&before.as_ptr()));
    let edited = draft.finish().unwrap();
    let after = edited.proto().graph.as_ref().unwrap().initializer[0].raw_data.clone().unwrap();
    assert_eq!(before, after);
    assert!(edited.bytes().as_ptr_range().contains(&after.as_ptr()));
    let new = edited.proto().graph.as_ref().unwrap().initializer.last().unwrap();
    assert_eq!((new.name.as_str(), floats(new)), ("new", Some(vec![1.0, 2.0])));
}
