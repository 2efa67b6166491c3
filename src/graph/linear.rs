//! The first linear layers that read an input, with the weights that belong to it.
//!
//! An input is followed through operators that only move its values about (Reshape, Concat with a
//! label, Split, …) to every Gemm, MatMul, 1×1 Conv or ConvTranspose that reads it. What else
//! reads it is noted, so that a caller can say why there is no layer.

use std::collections::{HashMap, HashSet};

use super::body::{Bodies, Functions};
use super::constant::{Constant, is_standard};
use super::flow::{Flow, Next};
use super::operators::NodeName;
use super::proto::{ModelProto, NodeProto};
use super::weights::{self, Matrix};

/// The weights of all layers together. A small layer on each of many values is many weights.
const MAX_WEIGHTS: usize = 1 << 28;

/// A linear layer with constant weights that reads an input, and the part of them that reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearLayer {
    /// The node.
    pub node: NodeName,
    /// The tensor that it makes.
    pub output: String,
    /// Which element of the input's row each row of `weights` belongs to.
    pub elements: Vec<usize>,
    /// How many values it makes of a row (without those that padding crops).
    pub outputs: usize,
    /// `[elements, outputs]`, row by row: how much of an element reaches an output.
    pub weights: Vec<f32>,
}

/// What reads an input of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinearLayers {
    /// The linear layers, in the order of the file.
    pub layers: Vec<LinearLayer>,
    /// The other nodes at which the search ended, each with the reason.
    pub met: Vec<(NodeName, &'static str)>,
}

/// The linear layers that read `input`, a row of which has the dimensions `row`.
pub(super) fn layers(
    model: &ModelProto,
    input: &str,
    row: &[usize],
    batched: bool,
) -> LinearLayers {
    let bodies = Bodies::of(model, Functions::Called);
    let mut found = LinearLayers::default();
    let Some(main) = bodies.list.first() else { return found };
    let mut flows: HashMap<&str, Flow> = HashMap::from([(input, Flow::of_input(row, batched))]);
    // What hangs on the input in any way.
    let mut moved: HashSet<&str> = HashSet::from([input]);
    let mut left = MAX_WEIGHTS;
    // A graph's nodes are in topological order, so one pass sees every flow before its readers.
    for node in main.nodes {
        let before = moved.len();
        if node.input.iter().any(|name| moved.contains(name.as_str())) {
            moved.extend(node.output.iter().map(String::as_str));
        }
        if moved.len() == before {
            continue;
        }
        let Some(position) = node.input.iter().position(|name| flows.contains_key(name.as_str()))
        else {
            continue;
        };
        let flow = &flows[node.input[position].as_str()];
        let next = match is_standard(&node.domain) {
            true => step(model, &bodies, node, position, (&flows, &moved)),
            false => Next::End("not a standard operator"),
        };
        match next {
            Next::Flows(outputs) => {
                let named = node.output.iter().map(String::as_str).zip(outputs);
                flows.extend(named.filter_map(|(name, flow)| Some((name, flow?))));
            }
            Next::Layers(matrix) => match cut(flow, &matrix, &mut left) {
                Some(parts) => {
                    found.layers.extend(parts.into_iter().map(|(elements, weights)| LinearLayer {
                        node: NodeName::of(node),
                        output: node.output.first().cloned().unwrap_or_default(),
                        elements,
                        outputs: matrix.columns,
                        weights,
                    }))
                }
                None => found.met.push((NodeName::of(node), "its weights do not fit the input")),
            },
            Next::End(why) => found.met.push((NodeName::of(node), why)),
            Next::Ignore => {}
        }
    }
    found
}

/// Where the values of the flow that is input `position` of `node` go. Of the other inputs it
/// matters which are flows too, and which hang on the input in another way.
fn step(
    model: &ModelProto,
    bodies: &Bodies<'_>,
    node: &NodeProto,
    position: usize,
    (flows, moved): (&HashMap<&str, Flow>, &HashSet<&str>),
) -> Next {
    let flow = &flows[node.input[position].as_str()];
    let constant = |at: usize| bodies.input(0, node, at);
    let weights = |at: usize| {
        let name = node.input.get(at)?;
        weights::read(model, bodies, name)
    };
    let layer = |matrix: Option<Matrix>, why| matrix.map_or(Next::End(why), Next::Layers);
    match node.op_type.as_str() {
        "Shape" | "Size" => Next::Ignore,
        "Gemm" if position == 0 => layer(
            weights(1).and_then(|tensor| weights::gemm(node, &tensor)),
            "its weights are not constants of this file",
        ),
        "MatMul" if position == 0 => layer(
            weights(1).and_then(|tensor| weights::matmul(&tensor)),
            "its weights are not constants of this file",
        ),
        "Conv" if position == 0 => layer(
            weights(1).and_then(|tensor| weights::conv(node, &tensor)),
            "not a 1×1 convolution with constant weights",
        ),
        "ConvTranspose" if position == 0 => layer(
            weights(1).and_then(|tensor| weights::conv_transpose(node, &tensor)),
            "not a transposed convolution with constant weights in one group",
        ),
        "Concat" => flow_of_concat(model, bodies, node, flows),
        "Add" | "Sub" => {
            // Whatever is added, a step of the input changes the sum as much as the input.
            let other = node.input.get(1 - position.min(1)).map_or("", String::as_str);
            let length = weights::row_length(model, bodies, other).map(|length| length as u64);
            let count = constant(1 - position.min(1)).map(Constant::count).or(length);
            flow.plus(&node.op_type, position, moved.contains(other), count)
        }
        "Mul" | "Div" => {
            let factor = constant(1 - position.min(1)).and_then(Constant::scalar);
            flow.times(&node.op_type, position, factor)
        }
        _ if position == 0 => flow.through(node, &|at| constant(at).and_then(Constant::integers)),
        _ => Next::End("not a linear layer"),
    }
}

/// Several parts of a row after each other, of which some are known.
fn flow_of_concat(
    model: &ModelProto,
    bodies: &Bodies<'_>,
    node: &NodeProto,
    flows: &HashMap<&str, Flow>,
) -> Next {
    let parts = node.input.iter().map(|name| match flows.get(name.as_str()) {
        Some(flow) => Ok(flow),
        None => Err(weights::row_length(model, bodies, name)),
    });
    Flow::concat(node, parts.collect())
}

/// The rows of `matrix` that belong to the input, once for every group of values that the layer
/// is applied to; `None` if it takes another number of values,
/// or more weights than are `left`.
fn cut(flow: &Flow, matrix: &Matrix, left: &mut usize) -> Option<Vec<(Vec<usize>, Vec<f32>)>> {
    let groups = flow.groups(matrix.rows, matrix.spatial)?;
    let weights = groups.iter().map(Vec::len).sum::<usize>().checked_mul(matrix.columns)?;
    *left = left.checked_sub(weights)?;
    let mut parts = Vec::new();
    for group in groups {
        let mut elements: Vec<usize> = Vec::new();
        let mut place: HashMap<usize, usize> = HashMap::new();
        let mut weights: Vec<f32> = Vec::new();
        for (row, element) in group {
            // One element may come twice, and then both weights count.
            let at = *place.entry(element).or_insert_with(|| {
                elements.push(element);
                weights.resize(weights.len() + matrix.columns, 0.0);
                elements.len() - 1
            });
            let into = &mut weights[at * matrix.columns..][..matrix.columns];
            for (sum, weight) in into.iter_mut().zip(matrix.row(row)) {
                *sum += flow.scale * weight;
            }
        }
        if !elements.is_empty() {
            parts.push((elements, weights));
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{self, floats, int, ints, node, node_with};

    fn found(
        nodes: Vec<NodeProto>,
        initializers: Vec<super::super::proto::TensorProto>,
    ) -> LinearLayers {
        layers(&build::model(nodes, initializers), "z", &[8], true)
    }

    /// A weight `[rows, columns]` whose entry is its row, plus a hundredth of its column.
    fn table(name: &str, rows: i64, columns: i64) -> super::super::proto::TensorProto {
        let entry = |i: i64| (i / columns) as f32 + (i % columns) as f32 / 100.0;
        floats(name, &[rows, columns], &(0..rows * columns).map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn a_layer_is_found_behind_reshapes() {
        let nodes = vec![
            node("Reshape", &["z", "shape"], &["a"]),
            node_with("Gemm", &["a", "w", "b"], &["y"], &[int("transB", 1)]),
        ];
        let transposed = floats("w", &[2, 8], &(0..16).map(|i| i as f32).collect::<Vec<_>>());
        let found = found(nodes, vec![ints("shape", &[2], &[-1, 8]), transposed]);
        let [layer] = &found.layers[..] else { panic!("{found:?}") };
        assert_eq!((layer.node.to_string().as_str(), layer.outputs), ("Gemm `Gemm_y`", 2));
        assert_eq!(layer.elements, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(layer.weights[..6], [0.0, 8.0, 1.0, 9.0, 2.0, 10.0]);
        assert!(found.met.is_empty());
    }

    #[test]
    fn only_the_rows_of_the_latent_count_beside_a_label() {
        for (inputs, first) in [(["z", "y"], 0.0), (["y", "z"], 3.0)] {
            let nodes = vec![
                node_with("Concat", &inputs, &["both"], &[int("axis", 1)]),
                node("MatMul", &["both", "w"], &["a"]),
            ];
            let found = found(nodes, vec![table("w", 11, 2)]);
            let [layer] = &found.layers[..] else { panic!("{found:?}") };
            assert_eq!((layer.elements.len(), layer.weights[0]), (8, first));
        }
    }

    #[test]
    fn parts_of_the_latent_are_told_apart() {
        let nodes = vec![
            node_with("Split", &["z"], &["a", "b"], &[int("axis", 1)]),
            node("MatMul", &["b", "w"], &["c"]),
            node_with("Gather", &["z", "one"], &["d"], &[int("axis", 1)]),
        ];
        let found = found(nodes, vec![table("w", 4, 2), ints("one", &[1], &[1])]);
        let [layer] = &found.layers[..] else { panic!("{found:?}") };
        assert_eq!(layer.elements, [4, 5, 6, 7]);
    }

    #[test]
    fn a_transposed_convolution_on_one_pixel_is_a_matrix() {
        let mut pads = int("pads", 0);
        pads.i = None;
        pads.ints = vec![0, 0, 1, 1];
        let nodes = vec![
            node("Unsqueeze", &["z", "axes"], &["a"]),
            node_with("ConvTranspose", &["a", "w"], &["y"], &[pads]),
        ];
        let w = floats("w", &[8, 1, 2, 2], &(0..32).map(|i| i as f32).collect::<Vec<_>>());
        let found = found(nodes, vec![ints("axes", &[2], &[2, 3]), w]);
        let [layer] = &found.layers[..] else { panic!("{found:?}") };
        // Padding crops all but the first of the four.
        assert_eq!((layer.outputs, &layer.weights[..3]), (1, &[0.0, 4.0, 8.0][..]));
    }

    #[test]
    fn scales_count_and_offsets_do_not() {
        let nodes = vec![
            node("Mul", &["z", "two"], &["a"]),
            node("Add", &["a", "two"], &["b"]),
            node("MatMul", &["b", "w"], &["y"]),
        ];
        let found = found(nodes, vec![floats("two", &[], &[2.0]), table("w", 8, 1)]);
        assert_eq!(found.layers[0].weights[..3], [0.0, 2.0, 4.0]);
    }

    #[test]
    fn what_is_added_does_not_matter_unless_it_moves_too() {
        let nodes = |other: &str| {
            vec![
                node("Tanh", &["z"], &["t"]),
                node("Gather", &["table", "label"], &["e"]),
                node("Add", &[other, "z"], &["sum"]),
                node("MatMul", &["sum", "w"], &["y"]),
            ]
        };
        let constants = || vec![table("w", 8, 1), table("table", 3, 8)];
        assert_eq!(found(nodes("e"), constants()).layers.len(), 1);
        assert!(found(nodes("t"), constants()).layers.is_empty());
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let nodes = vec![
            node("Tanh", &["z"], &["a"]),
            node("MatMul", &["a", "w"], &["y"]),
            node("MatMul", &["z", "y"], &["x"]),
        ];
        let found = found(nodes, vec![table("w", 8, 2)]);
        assert!(found.layers.is_empty());
        let met: Vec<_> = found.met.iter().map(|(node, why)| format!("{node}: {why}")).collect();
        assert_eq!(met[0], "Tanh `Tanh_a`: not a linear layer");
        assert_eq!(met[1], "MatMul `MatMul_x`: its weights are not constants of this file");
    }

    /// One of everything that is followed, so that damage meets it.
    fn everything() -> ModelProto {
        let list = |name: &str, values: &[i64]| {
            let mut attribute = int(name, 0);
            (attribute.i, attribute.ints) = (None, values.to_vec());
            attribute
        };
        let nodes = vec![
            node_with("Transpose", &["z"], &["t"], &[list("perm", &[0, 1])]),
            node("Reshape", &["t", "shape"], &["r"]),
            node_with("Split", &["r"], &["s0", "s1"], &[int("axis", 1)]),
            node_with("Gather", &["s1", "one"], &["g"], &[int("axis", 1)]),
            node("Slice", &["z", "one", "two", "one"], &["part"]),
            node("Unsqueeze", &["g", "one"], &["u"]),
            node("Squeeze", &["u", "one"], &["q"]),
            node_with("Concat", &["q", "y", "part", "z"], &["c"], &[int("axis", 1)]),
            node("Mul", &["c", "k"], &["m"]),
            node("Sub", &["k", "m"], &["d"]),
            node_with("Gemm", &["z", "w"], &["a"], &[int("transB", 1)]),
            node("MatMul", &["r", "k"], &["b"]),
            node_with("ConvTranspose", &["z", "v"], &["e"], &[list("pads", &[0, 0, 1, 1])]),
            node("Conv", &["z", "v"], &["f"]),
            node_with("Transpose", &["w"], &["wt"], &[list("perm", &[1, 0])]),
            node("MatMul", &["d", "wt"], &["h"]),
        ];
        let constants = vec![
            ints("shape", &[3], &[-1, 4, 2]),
            ints("one", &[1], &[1]),
            ints("two", &[1], &[2]),
            floats("k", &[1], &[2.0]),
            floats("w", &[3, 8], &[0.5; 24]),
            floats("v", &[8, 1, 2, 2], &[0.5; 32]),
        ];
        build::model(nodes, constants)
    }

    proptest::proptest! {
        #[test]
        fn damaged_layers_never_panic(
            changes in proptest::collection::vec(
                (proptest::prelude::any::<proptest::sample::Index>(), 0_u8..),
                1..8,
            ),
        ) {
            let mut file = prost::Message::encode_to_vec(&everything());
            for (index, byte) in changes {
                let index = index.index(file.len());
                file[index] = byte;
            }
            if let Ok(model) = crate::graph::Model::from_bytes("damaged", file.into()) {
                for row in [&[8][..], &[2, 4], &[0]] {
                    let _ = model.linear_layers("z", row, true);
                }
            }
        }
    }

    #[test]
    fn values_joined_with_themselves_without_end() {
        let name = |at: usize| if at == 0 { "z".to_owned() } else { format!("c{at}") };
        let join = |at: usize| {
            let (from, to) = (name(at), name(at + 1));
            node_with("Concat", &[&from, &from], &[&to], &[int("axis", 1)])
        };
        let found = found((0..60).map(join).collect(), vec![]);
        assert!(found.met[0].1.contains("too many values"), "{found:?}");
    }
}
