//! What rewrites ask of a graph: who makes a tensor, who reads it, which are constants, how large
//! they are. Built once over a draft; every answer is a look into a table.

use std::collections::{HashMap, HashSet};

use super::sizes::{self, Sizes};
use crate::graph::constant::{Constant, attribute, elements, floats, is_standard};
use crate::graph::draft::{Draft, Floats, subgraphs};
use crate::graph::proto::{EXTERNAL, GraphProto, NodeProto, TensorProto};

/// ONNX's number of 32-bit floats, the only weights that are rewritten.
pub(super) const F32: i32 = 1;

/// The main graph of a draft, indexed.
pub(super) struct View<'a> {
    pub graph: &'a GraphProto,
    /// The version of the standard operators.
    pub opset: i64,
    constants: HashMap<&'a str, &'a TensorProto>,
    makers: HashMap<&'a str, usize>,
    /// How many inputs read a tensor, those of nodes in inner graphs among them, and the position
    /// of the last node of the main graph that does.
    reads: HashMap<&'a str, (usize, usize)>,
    outputs: HashSet<&'a str>,
    /// What is known of the dimensions of tensors.
    pub sizes: HashMap<&'a str, Sizes>,
}

impl<'a> View<'a> {
    pub fn of(draft: &'a Draft) -> Self {
        let graph = draft.graph();
        let mut view = Self {
            graph,
            opset: draft.opset(),
            constants: graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            makers: HashMap::new(),
            reads: HashMap::new(),
            outputs: graph.output.iter().map(|value| value.name.as_str()).collect(),
            sizes: HashMap::new(),
        };
        for (position, node) in graph.node.iter().enumerate() {
            let made = node.output.iter().filter(|name| !name.is_empty());
            view.makers.extend(made.map(|name| (name.as_str(), position)));
            if let (Some(Constant::Tensor(tensor)), Some(name)) =
                (Constant::of_node(node), node.output.first())
            {
                view.constants.insert(name, tensor);
            }
            view.count_reads(position, node);
        }
        sizes::find(&mut view);
        view
    }

    fn count_reads(&mut self, position: usize, node: &'a NodeProto) {
        let mut read = |name: &'a str| {
            let reads = self.reads.entry(name).or_default();
            *reads = (reads.0 + 1, position);
        };
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            node.input.iter().filter(|name| !name.is_empty()).for_each(|name| read(name));
            for graph in subgraphs(node) {
                // A graph inside a node may give out a tensor from around it.
                graph.output.iter().for_each(|output| read(&output.name));
                waiting.extend(&graph.node);
            }
        }
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

    /// The only node that reads `name`, and once; `None` if `name` also leaves the graph.
    pub fn only_reader(&self, name: &str) -> Option<(usize, &'a NodeProto)> {
        let (count, position) = *self.reads.get(name)?;
        if count != 1 || self.outputs.contains(name) {
            return None;
        }
        let node = &self.graph.node[position];
        // Else a graph inside it reads it.
        let direct = node.input.iter().any(|input| input == name);
        (direct && is_standard(&node.domain)).then_some((position, node))
    }

    /// The constant `name`, if it is one.
    pub fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        self.constants.get(name).copied()
    }

    /// The dimensions of the constant `name`, if it holds `f32` in this file.
    pub fn float_dims(&self, name: &str) -> Option<Vec<usize>> {
        let tensor = self.constant(name)?;
        if tensor.data_type != F32 || tensor.data_location == EXTERNAL {
            return None;
        }
        tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect()
    }

    /// The constant `name`, if it holds `f32` in this file, as many as its dimensions say.
    pub fn floats(&self, name: &str) -> Option<Floats> {
        let dims = self.float_dims(name)?;
        let tensor = self.constant(name)?;
        let values = floats(tensor)?;
        let count = elements(&tensor.dims).ok()?;
        (values.len() as u64 == count).then_some(Floats { dims, values })
    }

    /// The whole numbers of the constant `name`.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        Constant::Tensor(self.constant(name)?).integers()
    }

    /// What is known of the dimensions of `name` before the model runs; `None` if not even their
    /// number is.
    pub fn dims(&self, name: &str) -> Option<&[Option<usize>]> {
        self.sizes.get(name).map(Vec::as_slice)
    }
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
