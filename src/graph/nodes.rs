//! Nodes and attributes, put together.

use bytes::Bytes;

use crate::graph::proto::{AttributeProto, NodeProto};

/// A standard node.
pub(in crate::graph) fn node(
    operator: &str,
    name: &str,
    input: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        name: name.to_owned(),
        op_type: operator.to_owned(),
        input: input.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..Default::default()
    }
}

/// An attribute that is a whole number.
pub(in crate::graph) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i: Some(value), r#type: 2, ..Default::default() }
}

/// An attribute that is a number.
pub(in crate::graph) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), f: Some(value), r#type: 1, ..Default::default() }
}

/// An attribute that is a list of whole numbers.
pub(in crate::graph) fn list(name: &str, values: &[i64]) -> AttributeProto {
    let ints = values.to_vec();
    AttributeProto { name: name.to_owned(), ints, r#type: 7, ..Default::default() }
}

/// An attribute that is a text.
pub(in crate::graph) fn text(name: &str, value: &str) -> AttributeProto {
    let s = Some(Bytes::copy_from_slice(value.as_bytes()));
    AttributeProto { name: name.to_owned(), s, r#type: 3, ..Default::default() }
}
