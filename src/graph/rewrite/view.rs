//! What rewrites ask of a graph: who makes a tensor, who reads it, which are constants, how large
//! they are. Built once over a draft; every answer is a look into a table.

use std::collections::HashMap;

use crate::graph::constant::{Constant, attribute, elements, is_standard};
use crate::graph::draft::{Draft, Floats};
use crate::graph::proto::{
    DimensionValue, GraphProto, NodeProto, TensorProto, TypeValue, ValueInfoProto,
};

/// ONNX's number of 32-bit floats, the only weights that are rewritten.
pub(super) const F32: i32 = 1;

/// Shapes are followed back through no more nodes than this.
const MAX_STEPS: usize = 32;

/// The main graph of a draft, indexed.
pub(super) struct View<'a> {
    draft: &'a Draft,
    pub graph: &'a GraphProto,
    /// The version of the standard operators.
    pub opset: i64,
    constants: HashMap<&'a str, &'a TensorProto>,
    makers: HashMap<&'a str, usize>,
    declared: HashMap<&'a str, &'a ValueInfoProto>,
}

impl<'a> View<'a> {
    pub fn of(draft: &'a Draft) -> Self {
        let graph = draft.graph();
        let mut view = Self {
            draft,
            graph,
            opset: draft.opset(),
            constants: graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            makers: HashMap::new(),
            declared: HashMap::new(),
        };
        for (position, node) in graph.node.iter().enumerate() {
            let made = node.output.iter().filter(|name| !name.is_empty());
            view.makers.extend(made.map(|name| (name.as_str(), position)));
            if let (Some(Constant::Tensor(tensor)), Some(name)) =
                (Constant::of_node(node), node.output.first())
            {
                view.constants.insert(name, tensor);
            }
        }
        let values = graph.value_info.iter().chain(&graph.output).chain(&graph.input);
        view.declared.extend(values.map(|value| (value.name.as_str(), value)));
        view
    }

    /// The position of the node whose first output is `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        let position = *self.makers.get(name)?;
        (self.graph.node[position].output.first()? == name).then_some(position)
    }

    /// Whether `node` is the standard node known by the name of its first output, `name`.
    pub fn is_made_here(&self, name: &str, node: &NodeProto) -> bool {
        self.maker(name).is_some_and(|maker| std::ptr::eq(maker, node))
    }

    /// The standard node that makes `name` as its first output.
    pub fn maker(&self, name: &str) -> Option<&'a NodeProto> {
        let node = &self.graph.node[self.position(name)?];
        is_standard(&node.domain).then_some(node)
    }

    /// The constant `name`, if it is one.
    pub fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        self.constants.get(name).copied()
    }

    /// The dimensions of the constant `name`, if it holds `f32`.
    pub fn float_dims(&self, name: &str) -> Option<Vec<usize>> {
        let tensor = self.constant(name)?;
        if tensor.data_type != F32 {
            return None;
        }
        tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect()
    }

    /// The constant `name`, if it holds `f32`, as many as its dimensions say.
    pub fn floats(&self, name: &str) -> Option<Floats> {
        let dims = self.float_dims(name)?;
        let tensor = self.constant(name)?;
        let values = self.draft.floats(tensor)?;
        let count = elements(&tensor.dims).ok()?;
        (values.len() as u64 == count).then_some(Floats { dims, values })
    }

    /// The whole numbers of the constant `name`.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        Constant::Tensor(self.constant(name)?).integers()
    }

    /// What is known of the dimensions of `name` before the model runs; `None` if not even their
    /// number is.
    pub fn dims(&self, name: &str) -> Option<Vec<Option<usize>>> {
        let mut name = name;
        for _ in 0..MAX_STEPS {
            if let Some(dims) = self.declared_dims(name) {
                return Some(dims);
            }
            let node = self.maker(name)?;
            match node.op_type.as_str() {
                "Reshape" => {
                    let shape = self.ints(node.input.get(1)?)?;
                    return Some(shape.iter().map(|dim| known(*dim)).collect());
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
                | "Clip" => name = node.input.first()?,
                _ => return None,
            }
        }
        None
    }

    fn declared_dims(&self, name: &str) -> Option<Vec<Option<usize>>> {
        let value = self.declared.get(name)?.r#type.as_ref()?.value.as_ref()?;
        let TypeValue::Tensor(tensor) = value else { return None };
        let size = |value: &Option<DimensionValue>| match value {
            Some(DimensionValue::Value(size)) => known(*size),
            _ => None,
        };
        Some(tensor.shape.as_ref()?.dim.iter().map(|dim| size(&dim.value)).collect())
    }
}

/// A size that a file gives: 0 and -1 mean that it does not know.
fn known(size: i64) -> Option<usize> {
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// The list of whole numbers under `name`; empty if there is none.
pub(super) fn ints<'n>(node: &'n NodeProto, name: &str) -> &'n [i64] {
    attribute(node, name).map_or(&[], |attribute| &attribute.ints)
}

/// The text under `name`.
pub(super) fn text<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [u8]> {
    attribute(node, name)?.s.as_deref()
}

/// The input of `node` at `position`, if it is given.
pub(super) fn input(node: &NodeProto, position: usize) -> Option<&str> {
    node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
}
