//! A model being edited: the messages of a checked [`Model`], to be changed and checked again.
//!
//! Weights stay slices of the file that they came from; only what is changed is allocated. What
//! comes of an edit is put in order, checked like any file, and written as `write` says.

use std::collections::HashSet;
use std::path::PathBuf;

use bytes::Bytes;

use super::constant::{floats, is_standard};
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::write::Plan;
use super::{MAX_FILE_BYTES, Model, external, scope};
use crate::error::{Error, Kind, Result, ResultExt};

/// The messages of a model, free to change. [`Draft::finish`] checks what came of it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    name: String,
    /// Where the model was read from: weights in other files lie beside it.
    path: Option<PathBuf>,
    /// The bytes that the messages were read from.
    original: Bytes,
    proto: ModelProto,
    /// Every name in the main graph and the graphs inside it, so that new ones are new.
    names: HashSet<String>,
}

/// A constant of the main graph: its dimensions and its values, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Floats {
    pub dims: Vec<usize>,
    pub values: Vec<f32>,
}

impl Draft {
    /// A copy of `model` to edit.
    pub fn of(model: &Model) -> Self {
        let proto = model.proto().clone();
        let mut names = HashSet::new();
        // Graphs inside nodes see the names around them, so theirs count too.
        let mut waiting: Vec<&GraphProto> = proto.graph.iter().collect();
        while let Some(graph) = waiting.pop() {
            names.extend(graph.initializer.iter().map(|tensor| tensor.name.clone()));
            let sparse =
                graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
            names.extend(sparse.map(|values| values.name.clone()));
            let values = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
            names.extend(values.map(|value| value.name.clone()));
            for node in &graph.node {
                names.extend(node.input.iter().chain(&node.output).chain([&node.name]).cloned());
                waiting.extend(subgraphs(node));
            }
        }
        Self {
            name: model.name().to_owned(),
            path: model.path().map(Into::into),
            original: model.bytes().clone(),
            proto,
            names,
        }
    }

    /// The main graph.
    pub fn graph(&self) -> &GraphProto {
        // A checked model has one.
        self.proto.graph.as_ref().expect("a checked model has a graph")
    }

    /// The main graph, to change.
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().expect("a checked model has a graph")
    }

    /// The whole model, to change.
    pub fn proto_mut(&mut self) -> &mut ModelProto {
        &mut self.proto
    }

    /// The floats of a constant of this model, in whatever file they lie.
    pub fn floats(&self, tensor: &TensorProto) -> Option<Vec<f32>> {
        floats(&*external::whole(tensor, self.path.as_deref()).ok()?)
    }

    /// The version of the standard operators.
    pub fn opset(&self) -> i64 {
        let mut sets = self.proto.opset_import.iter();
        sets.find(|set| is_standard(&set.domain)).map_or(1, |set| set.version)
    }

    /// A name that nothing in the model's graphs has yet, beginning with `stem`.
    pub fn fresh(&mut self, stem: &str) -> String {
        let mut name = stem.to_owned();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            name = format!("{stem}_{number}");
            number += 1;
        }
        name
    }

    /// Adds an `f32` initializer under a fresh name, which it gives.
    pub fn add_floats(&mut self, stem: &str, dims: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(stem, dims, 1, raw)
    }

    /// Adds an `i64` initializer, a list, under a fresh name, which it gives.
    pub fn add_ints(&mut self, stem: &str, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(stem, &[values.len()], 7, raw)
    }

    fn add(&mut self, stem: &str, dims: &[usize], data_type: i32, raw: Vec<u8>) -> String {
        let name = self.fresh(stem);
        self.graph_mut().initializer.push(TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect(),
            data_type,
            raw_data: Some(raw.into()),
            ..Default::default()
        });
        name
    }

    /// Puts `nodes` in the place of the one at `position`.
    pub fn replace(&mut self, position: usize, nodes: Vec<NodeProto>) {
        self.graph_mut().node.splice(position..=position, nodes);
    }

    /// The same, and takes away the nodes at the positions `gone`.
    pub fn replace_and_remove(&mut self, position: usize, nodes: Vec<NodeProto>, gone: &[usize]) {
        let mut new = Some(nodes);
        let old = std::mem::take(&mut self.graph_mut().node);
        for (at, node) in old.into_iter().enumerate() {
            if at == position {
                self.graph_mut().node.extend(new.take().unwrap_or_default());
            } else if !gone.contains(&at) {
                self.graph_mut().node.push(node);
            }
        }
    }

    /// Puts the nodes in order and checks what has become of the model. It keeps its name, its
    /// path, and its files of weights; unknown fields of what was not edited stay.
    ///
    /// # Errors
    /// As [`Model::read`]; [`Kind::Model`] if a name is made twice, never, or only from itself,
    /// with the node and the tensor; [`Kind::Limit`] if it has become larger than a file may be.
    pub fn finish(mut self) -> Result<Model> {
        scope::sort(self.graph_mut());
        scope::check(&self.proto).at(|| &self.name)?;
        let bytes = self.bytes().at(|| &self.name)?;
        Model::parse(self.name.clone(), self.path.as_deref(), bytes).at(|| &self.name)
    }

    /// The model as bytes, whatever has become of it.
    pub fn bytes(&self) -> Result<Bytes> {
        let plan = Plan::of(&self.original, &self.proto)?;
        if plan.len() > MAX_FILE_BYTES {
            let message = format!("the edited model has {} bytes", plan.len());
            return Err(Error::new(Kind::Limit, message)
                .help("edit a model whose weights lie in a file beside it (external data)"));
        }
        Ok(plan.bytes())
    }
}

/// The graphs that `node` holds as attributes.
pub(super) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}
