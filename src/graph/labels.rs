//! How many classes a model knows: the rows of the table that its label input looks up.

use std::collections::{HashMap, HashSet};

use super::body::{Bodies, Functions};
use super::constant::is_standard;
use super::operators::is_outermost_axis;
use super::proto::{ModelProto, NodeProto};

/// The number of classes that the integer input `input` may name.
///
/// Follows the input through operators that keep its values, to a Gather from a constant table or
/// a OneHot of constant depth. Where it reaches several, the smallest counts: a larger label would
/// be out of range there.
pub(super) fn class_count(model: &ModelProto, input: &str) -> Option<u64> {
    let bodies = Bodies::of(model, Functions::Called);
    let mut users: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
    for node in bodies.list.first()?.nodes {
        for name in &node.input {
            users.entry(name).or_default().push(node);
        }
    }
    let mut smallest: Option<u64> = None;
    let mut seen = HashSet::new();
    let mut waiting = vec![input];
    while let Some(name) = waiting.pop() {
        if name.is_empty() || !seen.insert(name) {
            continue;
        }
        for &node in users.get(name).into_iter().flatten().filter(|n| is_standard(&n.domain)) {
            let comes_as = |position: usize| node.input.get(position).is_some_and(|n| n == name);
            let classes = match node.op_type.as_str() {
                "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" | "Transpose"
                | "Identity" | "Expand"
                    if comes_as(0) =>
                {
                    waiting.extend(node.output.first().map(String::as_str));
                    None
                }
                "Gather" if comes_as(1) && is_outermost_axis(node) => {
                    bodies.input(0, node, 0).and_then(|table| table.rows())
                }
                "OneHot" if comes_as(0) => bodies
                    .input(0, node, 1)
                    .and_then(|depth| depth.scalar())
                    .filter(|depth| *depth >= 1.0 && depth.fract() == 0.0)
                    .map(|depth| depth as u64),
                _ => None,
            };
            smallest = [smallest, classes].into_iter().flatten().min();
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{self, floats, ints, node};

    #[test]
    fn a_table_tells_the_number_of_classes() {
        let nodes = vec![
            node("Cast", &["y"], &["wide"]),
            node("Identity", &["weight"], &["table"]),
            node("Gather", &["table", "wide"], &["embedded"]),
        ];
        let model = build::model(nodes, vec![floats("weight", &[10, 2], &[0.0; 20])]);
        assert_eq!(class_count(&model, "y"), Some(10));
        assert_eq!(class_count(&model, "z"), None);
        assert_eq!(class_count(&model, ""), None);
    }

    #[test]
    fn the_smaller_of_two_tables_counts() {
        let nodes = vec![
            node("OneHot", &["y", "depth", "values"], &["a"]),
            node("Gather", &["weight", "y"], &["b"]),
        ];
        let model =
            build::model(nodes, vec![ints("depth", &[], &[7]), floats("weight", &[9], &[0.0; 9])]);
        assert_eq!(class_count(&model, "y"), Some(7));
    }

    #[test]
    fn a_table_that_is_the_input_tells_nothing() {
        let nodes = vec![node("Gather", &["y", "index"], &["a"])];
        let model = build::model(nodes, vec![ints("index", &[1], &[0])]);
        assert_eq!(class_count(&model, "y"), None);
        assert_eq!(class_count(&model, "index"), None);
    }
}
