//! Which operators a model asks for that are not plain arithmetic: random ones and foreign ones.

use std::collections::BTreeSet;
use std::fmt;

use super::body::{Bodies, Functions};
use super::constant::{int_attribute, is_standard};
use super::proto::{ModelProto, NodeProto};

/// A node, as a person would look for it in a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName {
    /// The operator it calls.
    pub operator: String,
    /// Its name, or if it has none that of its first output.
    pub name: String,
}

impl NodeName {
    pub(super) fn of(node: &NodeProto) -> Self {
        let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
        Self { operator: node.op_type.clone(), name: name.cloned().unwrap_or_default() }
    }
}

impl fmt::Display for NodeName {
    /// As ``Tanh `/net/act` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.operator, self.name)
    }
}

/// The nodes that draw random numbers when the model runs.
pub(super) fn random(model: &ModelProto) -> Vec<NodeName> {
    let bodies = Bodies::of(model, Functions::Called);
    let draws = |body: usize, node: &NodeProto| match node.op_type.as_str() {
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike"
        | "Bernoulli" | "Multinomial" => true,
        // A training mode that only the run decides may be on.
        "Dropout" => match node.input.get(2) {
            Some(name) if !name.is_empty() => {
                bodies.constant(body, name).and_then(|mode| mode.scalar()) != Some(0.0)
            }
            _ => false,
        },
        _ => false,
    };
    let nodes =
        bodies.nodes().filter(|(body, node)| is_standard(&node.domain) && draws(*body, node));
    nodes.map(|(_, node)| NodeName::of(node)).collect()
}

/// The operators of domains that `wanted` accepts, each once, sorted; without local functions.
pub(super) fn of_domains(
    model: &ModelProto,
    wanted: impl Fn(&str) -> bool,
) -> Vec<(String, String)> {
    let local: BTreeSet<_> = model.functions.iter().map(|f| (&*f.domain, &*f.name)).collect();
    let bodies = Bodies::of(model, Functions::Called);
    let calls: BTreeSet<_> = bodies
        .nodes()
        .map(|(_, node)| (&*node.domain, &*node.op_type))
        .filter(|call| wanted(call.0) && !local.contains(call))
        .collect();
    calls.into_iter().map(|(domain, operator)| (domain.into(), operator.into())).collect()
}

/// The elements of all initializers, in the graph and in the graphs inside it.
pub(super) fn parameters(model: &ModelProto) -> u64 {
    let bodies = Bodies::of(model, Functions::Called);
    let sparse = bodies.list.iter().flat_map(|body| body.sparse);
    let tensors = bodies.list.iter().flat_map(|body| body.initializers);
    tensors
        .chain(sparse.filter_map(|tensor| tensor.values.as_ref()))
        .map(|tensor| super::constant::elements(&tensor.dims).unwrap_or(0))
        .fold(0, u64::saturating_add)
}

/// Whether the axis that `node` works on is the outermost.
pub(super) fn is_outermost_axis(node: &NodeProto) -> bool {
    int_attribute(node, "axis").unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{self, node};
    use crate::graph::proto::FunctionProto;

    fn names(model: &ModelProto) -> Vec<String> {
        random(model).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn random_nodes_are_found_wherever_they_hide() {
        let branch = build::subgraph("then_branch", vec![node("Bernoulli", &["z"], &["b"])]);
        let mut call = node("Noise", &["z"], &["n"]);
        call.domain = "local".into();
        let mut model = build::model(
            vec![
                node("RandomNormalLike", &["z"], &["r"]),
                build::node_with("If", &["z"], &["x"], &[branch]),
                call,
            ],
            vec![],
        );
        let mut unnamed = node("RandomUniform", &[], &["u"]);
        unnamed.name.clear();
        model.functions = vec![FunctionProto {
            name: "Noise".into(),
            domain: "local".into(),
            node: vec![unnamed],
            ..Default::default()
        }];
        let found = ["RandomNormalLike `RandomNormalLike_r`", "Bernoulli `Bernoulli_b`"];
        assert_eq!(names(&model), [&found[..], &["RandomUniform `u`"]].concat());
        assert_eq!(of_domains(&model, |domain| !is_standard(domain)), []);
    }

    #[test]
    fn a_dropout_is_random_only_in_training_mode() {
        let drop = |mode: &str| node("Dropout", &["z", "ratio", mode], &["image"]);
        let flag = |name: &str, on: i32| crate::graph::proto::TensorProto {
            name: name.into(),
            data_type: 9,
            int32_data: vec![on],
            ..Default::default()
        };
        let with = |mode| build::model(vec![drop(mode)], vec![flag("off", 0), flag("on", 1)]);
        assert_eq!(names(&with("off")), [""; 0]);
        assert_eq!(names(&with("")), [""; 0]);
        assert_eq!(names(&with("on")), ["Dropout `Dropout_image`"]);
        assert_eq!(names(&with("an_input")), ["Dropout `Dropout_image`"]);
    }

    #[test]
    fn parameters_are_elements_of_initializers() {
        assert_eq!(parameters(&build::small()), 8 * 48 + 4);
    }
}
