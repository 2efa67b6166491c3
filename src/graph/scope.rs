//! Names in a graph: each is made once, before it is read.
//!
//! ONNX lists nodes so that every one comes after those that it reads from. A node also reads what
//! the graphs inside it take from around them. An edited graph is brought into that order and
//! checked, so that a mistake names the node and the tensor instead of failing in some runtime.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::draft::subgraphs;
use super::operators::NodeName;
use super::proto::{GraphProto, ModelProto, NodeProto};
use crate::error::{Error, Kind, Result};

/// Puts the nodes of `graph` after those that they read from, and moves no more than it must.
/// Nodes that read from each other in a ring stay at the end, for [`check`] to name.
pub(super) fn sort(graph: &mut GraphProto) {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (position, node) in graph.node.iter().enumerate() {
        makers.extend(outputs(node).map(|name| (name, position)));
    }
    let sources = |node| {
        let makers = reads(node).into_iter().filter_map(|name| makers.get(name).copied());
        makers.collect::<HashSet<usize>>()
    };
    let sources: Vec<HashSet<usize>> = graph.node.iter().map(sources).collect();
    if sources.iter().enumerate().all(|(at, sources)| sources.iter().all(|&s| s < at)) {
        return;
    }
    let mut waiting: Vec<usize> = sources.iter().map(HashSet::len).collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); sources.len()];
    for (reader, sources) in sources.iter().enumerate() {
        sources.iter().for_each(|&source| readers[source].push(reader));
    }
    let ready = (0..waiting.len()).filter(|&node| waiting[node] == 0).map(Reverse);
    let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &reader in &readers[node] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    order.extend((0..waiting.len()).filter(|&node| waiting[node] > 0));
    let mut nodes: Vec<Option<NodeProto>> =
        std::mem::take(&mut graph.node).into_iter().map(Some).collect();
    graph.node = order.into_iter().filter_map(|node| nodes[node].take()).collect();
}

/// The names that a node reads from the graph that it is in.
fn reads(node: &NodeProto) -> HashSet<&str> {
    let mut names: HashSet<&str> = inputs(node).collect();
    let mut made = HashSet::new();
    let mut inner: Vec<&GraphProto> = subgraphs(node).collect();
    while let Some(graph) = inner.pop() {
        made.extend(given(graph));
        for node in &graph.node {
            names.extend(inputs(node));
            made.extend(outputs(node));
            inner.extend(subgraphs(node));
        }
        names.extend(graph.output.iter().map(|output| output.name.as_str()));
    }
    let own: HashSet<&str> = inputs(node).collect();
    names.retain(|name| own.contains(name) || !made.contains(name));
    names
}

fn inputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.input.iter().map(String::as_str).filter(|name| !name.is_empty())
}

fn outputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.output.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// The names that a graph has before its first node.
fn given(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let constants = graph.initializer.iter().chain(sparse).map(|tensor| tensor.name.as_str());
    graph.input.iter().map(|input| input.name.as_str()).chain(constants)
}

/// A list of nodes with the names in it.
struct Scope<'a> {
    nodes: &'a [NodeProto],
    outputs: Vec<&'a str>,
    /// By name: behind how many nodes it is there.
    made: HashMap<&'a str, usize>,
    /// The list around this one, and the position of the node there that holds this one.
    parent: Option<(usize, usize)>,
}

/// Checks that every name is made once, and that what is read was made before, in the graph, the
/// graphs inside its nodes, and its local functions.
///
/// # Errors
/// [`Kind::Model`] with the node and the tensor.
pub(super) fn check(model: &ModelProto) -> Result<()> {
    let mut scopes = Vec::new();
    if let Some(graph) = &model.graph {
        scopes.push(Scope::of_graph(graph, None)?);
    }
    for function in &model.functions {
        let given = function.input.iter().map(String::as_str);
        let outputs = function.output.iter().map(String::as_str).collect();
        scopes.push(Scope::of(given.collect(), &function.node, outputs, None)?);
    }
    let mut next = 0;
    while let Some(scope) = scopes.get(next) {
        let mut inner = Vec::new();
        for (position, node) in scope.nodes.iter().enumerate() {
            for name in inputs(node) {
                read(&scopes, next, position, name).map_err(|why| {
                    let reader = NodeName::of(node);
                    Error::new(Kind::Model, format!("{reader} reads `{name}`, {why}"))
                })?;
            }
            for graph in subgraphs(node) {
                inner.push(Scope::of_graph(graph, Some((next, position)))?);
            }
        }
        for name in &scope.outputs {
            read(&scopes, next, scope.nodes.len(), name).map_err(|why| {
                Error::new(Kind::Model, format!("the graph's output is `{name}`, {why}"))
            })?;
        }
        scopes.extend(inner);
        next += 1;
    }
    Ok(())
}

/// Looks for `name` in the scope at `index`, before the node at `position`, then in those around.
fn read(scopes: &[Scope<'_>], index: usize, position: usize, name: &str) -> Result<(), String> {
    let mut place = Some((index, position));
    while let Some((index, position)) = place {
        let scope = &scopes[index];
        match scope.made.get(name) {
            Some(&after) if after <= position => return Ok(()),
            Some(&after) => {
                let maker = NodeName::of(&scope.nodes[after - 1]);
                return Err(format!("which only {maker} makes after it"));
            }
            None => place = scope.parent,
        }
    }
    Err("which nothing makes".into())
}

impl<'a> Scope<'a> {
    fn of_graph(graph: &'a GraphProto, parent: Option<(usize, usize)>) -> Result<Self> {
        // An initializer may be an input too, whose default it is.
        let given: HashSet<&str> = given(graph).collect();
        let outputs = graph.output.iter().map(|output| output.name.as_str()).collect();
        Self::of(given, &graph.node, outputs, parent)
    }

    fn of(
        given: HashSet<&'a str>,
        nodes: &'a [NodeProto],
        outputs: Vec<&'a str>,
        parent: Option<(usize, usize)>,
    ) -> Result<Self> {
        let mut made: HashMap<&str, usize> = given.into_iter().map(|name| (name, 0)).collect();
        for (position, node) in nodes.iter().enumerate() {
            for name in self::outputs(node) {
                if let Some(before) = made.insert(name, position + 1) {
                    let first = match before.checked_sub(1) {
                        Some(first) => NodeName::of(&nodes[first]).to_string(),
                        None => "the graph's inputs or initializers".into(),
                    };
                    let message =
                        format!("{} makes `{name}`, which {first} made", NodeName::of(node));
                    return Err(Error::new(Kind::Model, message));
                }
            }
        }
        Ok(Self { nodes, outputs, made, parent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{self, node, node_with, subgraph};

    fn refused(model: &ModelProto, words: &str) {
        let error = check(model).unwrap_err();
        assert_eq!((error.kind(), error.summary().as_str()), (Kind::Model, words));
    }

    #[test]
    fn names_made_twice_never_or_too_late_are_told_with_their_nodes() {
        check(&build::small()).unwrap();
        let of = |nodes| build::model(nodes, vec![build::floats("w", &[1], &[1.0])]);
        let nodes = vec![node("Relu", &["z"], &["a"]), node("Tanh", &["z"], &["a"])];
        refused(&of(nodes), "Tanh `Tanh_a` makes `a`, which Relu `Relu_a` made");
        let nodes = vec![node("Relu", &["z"], &["w"])];
        refused(
            &of(nodes),
            "Relu `Relu_w` makes `w`, which the graph's inputs or initializers made",
        );
        let nodes = vec![node("Tanh", &["grid"], &["image"])];
        refused(&of(nodes), "Tanh `Tanh_image` reads `grid`, which nothing makes");
        refused(&of(vec![]), "the graph's output is `image`, which nothing makes");
        let nodes = vec![node("Tanh", &["a"], &["image"]), node("Relu", &["z"], &["a"])];
        refused(&of(nodes), "Tanh `Tanh_image` reads `a`, which only Relu `Relu_a` makes after it");
    }

    #[test]
    fn graphs_inside_nodes_see_what_was_made_before_them() {
        let inner = |name| subgraph("then_branch", vec![node("Neg", &[name], &["inner"])]);
        let of = |name| {
            let outer = node_with("If", &["z"], &["image"], &[inner(name)]);
            build::model(vec![node("Relu", &["z"], &["a"]), outer], vec![])
        };
        check(&of("a")).unwrap();
        refused(
            &of("image"),
            "Neg `Neg_inner` reads `image`, which only If `If_image` makes after it",
        );
        refused(&of("b"), "Neg `Neg_inner` reads `b`, which nothing makes");
    }

    #[test]
    fn nodes_in_any_order_are_put_in_order_and_others_stay() {
        let inner = subgraph("then_branch", vec![node("Neg", &["late"], &["inner"])]);
        let nodes = vec![
            node("Relu", &["z"], &["a"]),
            node_with("If", &["z"], &["image"], &[inner]),
            node("Tanh", &["b"], &["late"]),
            node("Tanh", &["z"], &["c"]),
            node("Tanh", &["a"], &["b"]),
        ];
        let mut model = build::model(nodes, vec![]);
        sort(model.graph.as_mut().unwrap());
        check(&model).unwrap();
        let graph = model.graph.as_mut().unwrap();
        let order: Vec<_> = graph.node.iter().map(|node| node.output[0].as_str()).collect();
        assert_eq!(order, ["a", "c", "b", "late", "image"]);
        graph.node[0].input = vec!["image".into()];
        sort(graph);
        let made: HashSet<_> =
            model.graph.iter().flat_map(|g| &g.node).map(|n| &n.output[0]).collect();
        assert_eq!(made.len(), 5);
        assert!(check(&model).unwrap_err().to_string().contains("makes after it"));
    }
}
