//! Parameters that a file has once because they were equal, apart again.
//!
//! Exporters write equal tensors once: the normalisations of an untrained network share one scale of
//! ones and one offset of zeros. Trained as they stand they would stay equal for ever. Some exporters
//! leave the other names behind, as `Identity` nodes: each is a parameter again. Others do not; there
//! an offset or a scale, and whatever has the same number everywhere, becomes one for each node that
//! reads it. A matrix or a kernel is read twice on purpose, by a layer that is used twice, and stays.

use std::collections::{HashMap, HashSet};

use super::import::role;
use crate::error::Result;
use crate::graph::constant::is_standard;
use crate::graph::draft::{Draft, subgraphs};
use crate::graph::proto::{GraphProto, TensorProto};
use crate::graph::{Element, Model};

impl Model {
    /// This model with a parameter of its own for every node that trains one; it computes the same.
    ///
    /// # Errors
    /// Those of reading what was written.
    pub(crate) fn untied(self) -> Result<Self> {
        let mut draft = Draft::of(&self);
        if draft.graph().node.iter().any(|node| subgraphs(node).next().is_some()) {
            return Ok(self);
        }
        let named = named_twice(draft.graph_mut());
        let mut apart = Vec::new();
        for tensor in &draft.graph().initializer {
            let readers = readers(draft.graph(), &tensor.name);
            let is_row = tensor.dims.len() < 2;
            let is_flat = || draft.floats(tensor).is_some_and(is_flat);
            if readers.len() > 1 && is_float(tensor) && (is_row || is_flat()) {
                apart.push((tensor.clone(), readers));
            }
        }
        if !named && apart.is_empty() {
            return Ok(self);
        }
        for (tensor, readers) in apart {
            // The first keeps the name.
            for (number, (node, position)) in readers.into_iter().enumerate().skip(1) {
                let name = draft.fresh(&format!("{}.{number}", tensor.name));
                let graph = draft.graph_mut();
                graph.node[node].input[position].clone_from(&name);
                graph.initializer.push(TensorProto { name, ..tensor.clone() });
            }
        }
        draft.finish()
    }
}

/// Puts an initializer in the place of every `Identity` of one; whether there was any.
fn named_twice(graph: &mut GraphProto) -> bool {
    let outputs: HashSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut known: HashMap<String, TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.clone(), tensor.clone())).collect();
    let mut more = Vec::new();
    graph.node.retain(|node| {
        let ([input], [output]) = (&node.input[..], &node.output[..]) else { return true };
        let passes = node.op_type == "Identity" && is_standard(&node.domain);
        let Some(of) = known.get(input).filter(|_| passes && !outputs.contains(output)) else {
            return true;
        };
        let tensor = TensorProto { name: output.clone(), ..of.clone() };
        known.insert(output.clone(), tensor.clone());
        more.push(tensor);
        false
    });
    let any = !more.is_empty();
    graph.initializer.extend(more);
    any
}

/// The nodes that read `name` where they read a parameter, and at which place.
fn readers(graph: &GraphProto, name: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (index, node) in graph.node.iter().enumerate().filter(|(_, node)| is_standard(&node.domain))
    {
        let places = node.input.iter().enumerate().filter(|(_, input)| *input == name);
        let places = places.filter(|(position, _)| role(&node.op_type, *position).is_some());
        found.extend(places.map(|(position, _)| (index, position)));
    }
    found
}

fn is_float(tensor: &TensorProto) -> bool {
    Element::from_onnx(tensor.data_type) == Element::F32 && tensor.dims.iter().product::<i64>() > 1
}

fn is_flat(values: Vec<f32>) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{self, floats, node};

    /// `z` [batch, 8] through nodes that read `scale`, `offset` and `matrix` twice each.
    fn twice() -> Model {
        let nodes = vec![
            node("Identity", &["scale"], &["other.scale"]),
            node("Mul", &["z", "scale"], &["a"]),
            node("Add", &["a", "offset"], &["b"]),
            node("MatMul", &["b", "matrix"], &["c"]),
            node("Mul", &["c", "other.scale"], &["d"]),
            node("Add", &["d", "offset"], &["e"]),
            node("MatMul", &["e", "matrix"], &["image"]),
        ];
        let matrix: Vec<f32> = (0..64).map(|at| at as f32).collect();
        let offset: Vec<f32> = (0..8).map(|at| at as f32).collect();
        let constants = vec![
            floats("scale", &[8], &[1.0; 8]),
            floats("offset", &[8], &offset),
            floats("matrix", &[8, 8], &matrix),
        ];
        build::read(&build::model(nodes, constants)).unwrap()
    }

    #[test]
    fn what_was_written_once_is_trained_apart() {
        let model = twice().untied().unwrap();
        let names: Vec<_> = model.trainable().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["scale", "offset", "matrix", "other.scale", "offset.1"]);
        assert_eq!(model.initializer("offset.1"), model.initializer("offset"));
        let graph = model.proto().graph.as_ref().unwrap();
        let read: Vec<_> = graph.node.iter().map(|node| node.input[1].as_str()).collect();
        assert_eq!(read, ["scale", "offset", "matrix", "other.scale", "offset.1", "matrix"]);
    }

    #[test]
    fn what_is_apart_stays_as_it_is() {
        let model = twice().untied().unwrap();
        let bytes = model.bytes().clone();
        assert_eq!(model.untied().unwrap().bytes(), &bytes);
    }
}
