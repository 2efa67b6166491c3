//! What nodes are made of: tensors by name, and attributes.

use std::fmt;
use std::sync::Arc;

use crate::graph::nodes::{float, int, list, text};
use crate::graph::proto::AttributeProto;

/// A tensor of a graph that is being put together; cheap to copy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tensor(Arc<str>);

impl Tensor {
    pub(super) fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name in the graph.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// An attribute of a node: its name and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Attribute<'a> {
    /// A whole number.
    Int(&'a str, i64),
    /// A number.
    Float(&'a str, f32),
    /// Whole numbers.
    Ints(&'a str, &'a [i64]),
    /// A text.
    Text(&'a str, &'a str),
}

impl Attribute<'_> {
    pub(super) fn to_proto(self) -> AttributeProto {
        match self {
            Self::Int(name, value) => int(name, value),
            Self::Float(name, value) => float(name, value),
            Self::Ints(name, values) => list(name, values),
            Self::Text(name, value) => text(name, value),
        }
    }
}
