//! Every list of nodes in a model: the graph, the graphs inside its nodes, its local functions.
//!
//! The bodies are found one after another, never by recursion, so that no nesting can exhaust the
//! stack. Names are looked up as ONNX scopes them: in a body, then in the ones around it.

use std::collections::{HashMap, HashSet};

use super::constant::{Constant, is_standard};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};

/// One list of nodes with its constants.
#[derive(Clone, Copy, Default)]
pub(super) struct Body<'a> {
    pub nodes: &'a [NodeProto],
    pub initializers: &'a [TensorProto],
    pub sparse: &'a [SparseTensorProto],
    /// Default values of a function's attributes.
    pub defaults: &'a [AttributeProto],
    /// The body around this one, whose names it sees; always an earlier one.
    pub parent: Option<usize>,
}

/// The bodies of a model, the main graph first.
pub(super) struct Bodies<'a> {
    pub list: Vec<Body<'a>>,
    /// By body and name.
    constants: HashMap<(usize, &'a str), Constant<'a>>,
    /// By body and name: the name that an `Identity` copies.
    aliases: HashMap<(usize, &'a str), &'a str>,
}

/// Which local functions to look into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Functions {
    /// Those that the graph reaches by calls.
    Called,
    /// All that the file holds.
    All,
}

impl<'a> Bodies<'a> {
    /// Finds the bodies of `model`.
    pub(super) fn of(model: &'a ModelProto, functions: Functions) -> Self {
        let mut list = Vec::new();
        if let Some(graph) = &model.graph {
            list.push(Body::of_graph(graph, None));
        }
        let mut waiting: HashMap<(&str, &str), Vec<Body<'a>>> = HashMap::new();
        for function in &model.functions {
            let body = Body {
                nodes: &function.node,
                defaults: &function.attribute_proto,
                ..Body::default()
            };
            if functions == Functions::All {
                list.push(body);
            } else {
                // Overloads of one function share the key: all are taken as called.
                waiting.entry((&function.domain, &function.name)).or_default().push(body);
            }
        }
        let mut bodies = Self { list, constants: HashMap::new(), aliases: HashMap::new() };
        let mut next = 0;
        while let Some(&body) = bodies.list.get(next) {
            for attribute in body.attributes() {
                let graphs = attribute.g.iter().chain(&attribute.graphs);
                bodies.list.extend(graphs.map(|graph| Body::of_graph(graph, Some(next))));
            }
            for node in body.nodes {
                let called = waiting.remove(&(node.domain.as_str(), node.op_type.as_str()));
                bodies.list.extend(called.into_iter().flatten());
            }
            bodies.note_constants(next, body);
            next += 1;
        }
        bodies
    }

    fn note_constants(&mut self, index: usize, body: Body<'a>) {
        for tensor in body.initializers {
            self.constants.insert((index, &tensor.name), Constant::Tensor(tensor));
        }
        for node in body.nodes {
            let Some(output) = node.output.first() else { continue };
            if let Some(constant) = Constant::of_node(node) {
                self.constants.insert((index, output), constant);
            } else if node.op_type == "Identity"
                && is_standard(&node.domain)
                && let Some(input) = node.input.first()
            {
                self.aliases.insert((index, output), input);
            }
        }
    }

    /// The constant that `name` means in the body at `index`.
    pub(super) fn constant(&self, index: usize, name: &str) -> Option<Constant<'a>> {
        /// Exporters copy a shared weight once or twice; a ring of copies must end.
        const MAX_COPIES: usize = 16;
        let mut name = name;
        let mut copies = 0;
        let mut body = Some(index);
        while let Some(index) = body {
            if name.is_empty() {
                return None;
            }
            if let Some(constant) = self.constants.get(&(index, name)) {
                return Some(*constant);
            }
            if let Some(original) = self.aliases.get(&(index, name)) {
                name = original;
                copies += 1;
                if copies > MAX_COPIES {
                    return None;
                }
                continue;
            }
            body = self.list.get(index).and_then(|body| body.parent);
        }
        None
    }

    /// The constant that input `position` of `node` is, in the body at `index`.
    pub(super) fn input(
        &self,
        index: usize,
        node: &NodeProto,
        position: usize,
    ) -> Option<Constant<'a>> {
        self.constant(index, node.input.get(position)?)
    }

    /// Every node with the index of its body.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (usize, &'a NodeProto)> {
        let bodies = self.list.iter().enumerate();
        bodies.flat_map(|(index, body)| body.nodes.iter().map(move |node| (index, node)))
    }

    /// Every constant tensor, in the order of the file within each body.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &'a TensorProto> {
        self.list.iter().flat_map(|body| {
            let sparse = body.sparse.iter().chain(body.attributes().flat_map(|attribute| {
                attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors)
            }));
            let sparse = sparse.flat_map(|tensor| tensor.values.iter().chain(&tensor.indices));
            let held = body
                .attributes()
                .flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors));
            body.initializers.iter().chain(held).chain(sparse)
        })
    }
}

impl<'a> Body<'a> {
    fn of_graph(graph: &'a GraphProto, parent: Option<usize>) -> Self {
        Self {
            nodes: &graph.node,
            initializers: &graph.initializer,
            sparse: &graph.sparse_initializer,
            defaults: &[],
            parent,
        }
    }

    /// The attributes of its nodes, and the defaults of the function it is.
    pub(super) fn attributes(self) -> impl Iterator<Item = &'a AttributeProto> {
        self.nodes.iter().flat_map(|node| &node.attribute).chain(self.defaults)
    }

    /// The names of its constants, each as often as the file says it.
    pub(super) fn constant_names(self) -> impl Iterator<Item = &'a str> {
        let sparse = self.sparse.iter().filter_map(|tensor| tensor.values.as_ref());
        self.initializers.iter().chain(sparse).map(|tensor| tensor.name.as_str())
    }
}

/// The names of the main graph's constants.
pub(super) fn initializer_names(graph: &GraphProto) -> HashSet<&str> {
    Body::of_graph(graph, None).constant_names().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{build, proto::FunctionProto};

    #[test]
    fn inner_graphs_see_the_names_around_them() {
        let inner = vec![build::node("Identity", &["weight"], &["copy"])];
        let branch =
            build::node_with("If", &["z"], &["x"], &[build::subgraph("then_branch", inner)]);
        let model = build::model(vec![branch], vec![build::floats("weight", &[1], &[2.0])]);
        let bodies = Bodies::of(&model, Functions::All);
        assert_eq!(bodies.list.len(), 2);
        assert_eq!(bodies.constant(1, "copy").and_then(Constant::scalar), Some(2.0));
        assert!(bodies.constant(0, "copy").is_none());
    }

    #[test]
    fn copies_in_a_ring_end() {
        let ring =
            vec![build::node("Identity", &["a"], &["b"]), build::node("Identity", &["b"], &["a"])];
        let model = build::model(ring, vec![]);
        assert!(Bodies::of(&model, Functions::All).constant(0, "a").is_none());
    }

    #[test]
    fn functions_that_call_themselves_are_visited_once() {
        let call = NodeProto { domain: "local".into(), ..build::node("F", &["x"], &["y"]) };
        let mut model = build::model(vec![call.clone(), call.clone()], vec![]);
        let function = |name: &str| FunctionProto {
            name: name.into(),
            domain: "local".into(),
            node: vec![call.clone()],
            ..Default::default()
        };
        model.functions = vec![function("F"), function("unused")];
        assert_eq!(Bodies::of(&model, Functions::Called).list.len(), 2);
        assert_eq!(Bodies::of(&model, Functions::All).list.len(), 3);
    }
}
