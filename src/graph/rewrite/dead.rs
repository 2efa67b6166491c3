//! What no output needs: nodes whose results nobody reads, and weights nobody multiplies by.
//!
//! A graph computes its outputs from what they read, and that from what it reads in turn. Whatever
//! is not reached that way has no influence on them, so leaving it out changes no output. Inputs
//! stay, read or not: they are how the model is called.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Kind, Result};
use crate::graph::Model;
use crate::graph::draft::{Draft, subgraphs};
use crate::graph::proto::{GraphProto, NodeProto};

impl Model {
    /// This model with the outputs `names` alone, in that order, and without what only others
    /// needed.
    ///
    /// # Errors
    /// [`Kind::Argument`] if `names` is empty, names an output twice, or names none of this model.
    pub fn only_outputs(&self, names: &[&str]) -> Result<Self> {
        let place = |error: Error| error.at(self.name());
        if names.is_empty() {
            return Err(place(Error::new(Kind::Argument, "a model needs an output")));
        }
        let mut draft = Draft::of(self);
        let outputs = std::mem::take(&mut draft.graph_mut().output);
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) {
                let message = format!("output `{name}` is asked for twice");
                return Err(place(Error::new(Kind::Argument, message)));
            }
            let output = outputs[self.output_place(name).map_err(place)?].clone();
            draft.graph_mut().output.push(output);
        }
        sweep(&mut draft);
        draft.finish()
    }
}

/// Takes out of the main graph what its outputs do not need.
pub(super) fn sweep(draft: &mut Draft) {
    sweep_graph(draft.graph_mut());
}

/// The same of a graph that is put together anew.
pub(in crate::graph) fn sweep_graph(graph: &mut GraphProto) {
    let (nodes, names) = needed(graph);
    let mut position = 0;
    graph.node.retain(|_| {
        position += 1;
        nodes[position - 1]
    });
    let mut dropped = HashSet::new();
    graph.initializer.retain(|tensor| {
        let keep = names.contains(&tensor.name);
        if !keep {
            dropped.insert(tensor.name.clone());
        }
        keep
    });
    // An input with a default value is the initializer's; without it a run would have to give it.
    graph.input.retain(|input| !dropped.contains(&input.name));
    graph.value_info.retain(|value| names.contains(&value.name));
    graph.quantization_annotation.retain(|of| names.contains(&of.tensor_name));
}

/// Which nodes the outputs need, by position, and all names that they make or read.
fn needed(graph: &GraphProto) -> (Vec<bool>, HashSet<String>) {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (position, node) in graph.node.iter().enumerate() {
        makers.extend(node.output.iter().map(|name| (name.as_str(), position)));
    }
    let mut nodes = vec![false; graph.node.len()];
    let mut names: HashSet<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let mut waiting: Vec<&str> = names.iter().copied().collect();
    while let Some(name) = waiting.pop() {
        let Some(&position) = makers.get(name).filter(|_| !name.is_empty()) else { continue };
        if std::mem::replace(&mut nodes[position], true) {
            continue;
        }
        let node = &graph.node[position];
        names.extend(node.output.iter().map(String::as_str));
        waiting.extend(reads(node).into_iter().filter(|name| names.insert(name)));
    }
    let annotations = graph.quantization_annotation.iter();
    let annotated: Vec<&str> = annotations
        .filter(|of| names.contains(of.tensor_name.as_str()))
        .flat_map(|of| &of.quant_parameter_tensor_names)
        .map(|entry| entry.value.as_str())
        .collect();
    names.extend(annotated);
    (nodes, names.into_iter().map(str::to_owned).collect())
}

/// The names that `node` reads, also from within the graphs it holds.
fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names = Vec::new();
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        names.extend(node.input.iter().map(String::as_str));
        for graph in subgraphs(node) {
            names.extend(graph.output.iter().map(|output| output.name.as_str()));
            waiting.extend(&graph.node);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::error::Kind;
    use crate::graph::build::{self, node};

    #[test]
    fn what_only_another_output_needs_goes() {
        let mut proto = build::small();
        let graph = proto.graph.as_mut().unwrap();
        graph.node.push(node("Mul", &["flat", "factor"], &["other"]));
        graph.node.push(node("Neg", &["z"], &["nobody"]));
        graph.initializer.push(build::floats("factor", &[1], &[2.0]));
        // A default value of an input: without it a run would have to be given `factor`.
        graph.input.push(build::value("factor", 1, &["1"]));
        graph.output.push(build::value("other", 1, &["batch", "48"]));
        let model = build::read(&proto).unwrap();
        let image = model.only_outputs(&["image"]).unwrap();
        assert_eq!(image.tensors(), ["flat", "grid", "image"]);
        assert_eq!((image.inputs().len(), image.parameters()), (1, 8 * 48 + 4));
        let swapped = model.only_outputs(&["other", "image"]).unwrap();
        let names: Vec<_> = swapped.outputs().iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["other", "image"]);
        assert_eq!(swapped.tensors(), ["flat", "grid", "image", "other"]);
    }

    #[test]
    fn what_a_graph_inside_a_node_reads_stays() {
        let branch = build::subgraph("then_branch", vec![node("Neg", &["hidden"], &["b"])]);
        let nodes = vec![
            node("Relu", &["z"], &["hidden"]),
            build::node_with("If", &["condition"], &["image"], &[branch]),
        ];
        let condition = build::floats("condition", &[1], &[1.0]);
        let model = build::read(&build::model(nodes, vec![condition])).unwrap();
        assert_eq!(model.only_outputs(&["image"]).unwrap().tensors(), ["hidden", "image"]);
    }

    #[test]
    fn outputs_that_are_not_there_are_refused() {
        let model = build::read(&build::small()).unwrap();
        for (names, part) in [
            (&[][..], "needs an output"),
            (&["image", "image"], "asked for twice"),
            (&["picture"], "no output is named `picture`"),
        ] {
            let error = model.only_outputs(names).unwrap_err();
            assert_eq!(error.kind(), Kind::Argument);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
