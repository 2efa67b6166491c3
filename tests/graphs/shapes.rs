//! Inferred shapes against those that come out of ONNX Runtime, for graphs put together at random:
//! what is inferred is what is made, and what is refused does not run.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use genset::graph::{Element, Model};
use genset::runtime::Tensor;
use proptest::prelude::*;
use prost::Message;

use crate::build::{self, floats, int, ints, node, node_with};
use crate::common::models;
use crate::proto::{
    AttributeProto, ModelProto, NodeProto, TensorProto, TensorType, TypeProto, TypeValue,
    ValueInfoProto,
};
use crate::{runtime, session};

/// Larger tensors teach nothing, and take time.
const MAX_ELEMENTS: usize = 20_000;

fn list(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: values.to_vec(), r#type: 7, ..Default::default() }
}

fn text(name: &str, value: &'static str) -> AttributeProto {
    let s = Some(value.as_bytes().into());
    AttributeProto { name: name.into(), s, r#type: 3, ..Default::default() }
}

/// A graph being put together, by choices that a test case is made of.
struct Maker {
    choices: Vec<u32>,
    at: Cell<usize>,
    dims: Vec<usize>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// Tensors of `f32`.
    floats: Vec<String>,
    /// Names given so far.
    named: usize,
}

impl Maker {
    fn new(dims: Vec<usize>, choices: Vec<u32>) -> Self {
        let (nodes, constants, floats) = (vec![], vec![], vec!["x".to_owned()]);
        Self { choices, at: Cell::new(0), dims, nodes, constants, floats, named: 0 }
    }

    /// A number from `low` to `high`.
    fn pick(&self, low: i64, high: i64) -> i64 {
        let at = self.at.replace(self.at.get() + 1);
        let choice = self.choices[at % self.choices.len()].wrapping_add(at as u32 / 97);
        low + i64::from(choice) % (high - low + 1)
    }

    fn one_of<T: Copy>(&self, values: &[T]) -> T {
        values[self.pick(0, values.len() as i64 - 1) as usize]
    }

    fn many(&self, count: usize, low: i64, high: i64) -> Vec<i64> {
        (0..count).map(|_| self.pick(low, high)).collect()
    }

    fn name(&mut self) -> String {
        self.named += 1;
        format!("t{}", self.named)
    }

    fn constant(&mut self, values: &[i64]) -> String {
        let name = self.name();
        self.constants.push(ints(&name, &[values.len() as i64], values));
        name
    }

    fn scalar(&mut self, value: i64) -> String {
        let name = self.name();
        self.constants.push(ints(&name, &[], &[value]));
        name
    }

    fn weights(&mut self, dims: &[usize]) -> String {
        let name = self.name();
        let count = dims.iter().product::<usize>();
        let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        self.constants.push(floats(&name, &dims, &vec![0.5; count]));
        name
    }

    fn scales(&mut self, count: usize) -> String {
        let name = self.name();
        let values: Vec<f32> =
            (0..count).map(|_| self.one_of(&[0.5, 1.0, 2.0, 1.3, 0.7, 2.6])).collect();
        self.constants.push(floats(&name, &[count as i64], &values));
        name
    }

    /// The graph so far, with `outputs` of no declared shape.
    fn model(&self, outputs: &[(String, i32)]) -> ModelProto {
        let mut model = build::model(self.nodes.clone(), self.constants.clone());
        let graph = model.graph.as_mut().unwrap();
        graph.input = vec![build::value("x", 1, &["n", "c", "h", "w"])];
        let output = |(name, elem_type): &(String, i32)| ValueInfoProto {
            name: name.clone(),
            r#type: Some(TypeProto {
                value: Some(TypeValue::Tensor(TensorType { elem_type: *elem_type, shape: None })),
                ..Default::default()
            }),
            ..Default::default()
        };
        graph.output = outputs.iter().map(output).collect();
        model
    }

    /// Every tensor that a node makes, with its inferred type and shape.
    fn inferred(&self) -> genset::Result<Vec<(String, Element, Vec<usize>)>> {
        let model = build::read(&self.model(&[("x".into(), 1)]))?;
        let shapes = model.shapes(&[("x", self.dims.clone())])?;
        let names = model.tensors().into_iter().map(ToOwned::to_owned);
        let all = names.map(|name| {
            let known = shapes.dims(&name).map(<[_]>::to_vec);
            let dims = known.unwrap_or_else(|| panic!("no shape of {name} in {:?}", self.nodes));
            (name.clone(), shapes.element(&name).unwrap(), dims)
        });
        Ok(all.collect())
    }

    fn dims_of(&self, name: &str) -> Vec<usize> {
        let model = build::read(&self.model(&[("x".into(), 1)])).unwrap();
        model.shapes(&[("x", self.dims.clone())]).unwrap().dims(name).unwrap().to_vec()
    }

    /// Adds an operator chosen at random, perhaps one that does not fit.
    fn step(&mut self) {
        let x = self.floats[self.pick(0, self.floats.len() as i64 - 1) as usize].clone();
        let dims = self.dims_of(&x);
        let rank = dims.len() as i64;
        let y = self.name();
        let kind = match dims.len() {
            0 => 0,
            4 => self.pick(0, 29),
            _ => self.pick(0, 19),
        };
        let mut made = vec![y.clone()];
        let node = match kind {
            0 => node(self.one_of(&["Relu", "Sigmoid", "Neg", "Identity"]), &[&x], &[&y]),
            1 => node_with("Softmax", &[&x], &[&y], &[int("axis", self.pick(-rank, rank - 1))]),
            2 => {
                let other = match self.pick(0, 2) {
                    0 => self.floats[self.pick(0, self.floats.len() as i64 - 1) as usize].clone(),
                    _ => {
                        let keep = self.pick(0, rank) as usize;
                        let part = dims[dims.len() - keep..].to_vec();
                        let one = |&size: &usize| if self.pick(0, 2) == 0 { 1 } else { size };
                        let part: Vec<usize> = part.iter().map(one).collect();
                        self.weights(&part)
                    }
                };
                let pair = if self.pick(0, 1) == 0 { [&*x, &other] } else { [&*other, &x] };
                node(self.one_of(&["Add", "Mul", "Sub", "Div", "Max"]), &pair, &[&y])
            }
            3 => {
                let shape = match self.pick(0, 4) {
                    0 => vec![0, -1],
                    1 => vec![-1],
                    2 => vec![-1, self.pick(1, 6), self.pick(1, 4)],
                    3 => dims.iter().rev().map(|&size| size as i64).collect(),
                    _ => vec![self.pick(1, 3), -1, self.pick(1, 4), self.pick(1, 4)],
                };
                let shape = self.constant(&shape);
                node("Reshape", &[&x, &shape], &[&y])
            }
            4 => node_with("Flatten", &[&x], &[&y], &[int("axis", self.pick(-rank, rank))]),
            5 => {
                let mut order: Vec<i64> = (0..rank).collect();
                order.rotate_left(self.pick(0, rank - 1) as usize);
                let swap = self.pick(0, rank - 1) as usize;
                order.swap(0, swap);
                let perm = [list("perm", &order)];
                node_with("Transpose", &[&x], &[&y], &perm[..self.pick(0, 1) as usize])
            }
            6 => {
                let other =
                    self.floats[self.pick(0, self.floats.len() as i64 - 1) as usize].clone();
                let other = if self.pick(0, 1) == 0 { x.clone() } else { other };
                node_with(
                    "Concat",
                    &[&x, &other],
                    &[&y],
                    &[int("axis", self.pick(-rank, rank - 1))],
                )
            }
            7 => {
                let axis = self.pick(0, rank - 1);
                let more = self.name();
                made.push(more.clone());
                let axis_attribute = int("axis", axis);
                match self.pick(0, 1) {
                    0 => {
                        let count = [int("num_outputs", 2), axis_attribute];
                        node_with("Split", &[&x], &[&y, &more], &count)
                    }
                    _ => {
                        let first = self.pick(1, 3);
                        let rest = dims[axis as usize] as i64 - first;
                        let sizes = self.constant(&[first, rest]);
                        node_with("Split", &[&x, &sizes], &[&y, &more], &[axis_attribute])
                    }
                }
            }
            8 => {
                let axis = self.pick(-rank, rank - 1);
                let lists = [
                    vec![self.one_of(&[0, 1, -2, -1, 3, i64::MIN, i64::MAX])],
                    vec![self.one_of(&[i64::MAX, i64::MIN, -1, 2, 0, -7])],
                    vec![axis],
                    vec![self.one_of(&[1, 2, -1, -2, 3])],
                ];
                let [a, b, c, d] = lists.map(|list| self.constant(&list));
                node("Slice", &[&x, &a, &b, &c, &d], &[&y])
            }
            9 => {
                let axis = self.pick(0, rank - 1);
                let count = self.pick(1, 3) as usize;
                let length = dims[axis as usize] as i64;
                let indices = self.many(count, -length, length - 1);
                let indices = if self.pick(0, 2) == 0 {
                    self.scalar(indices[0])
                } else {
                    self.constant(&indices)
                };
                node_with("Gather", &[&x, &indices], &[&y], &[int("axis", axis)])
            }
            10 => {
                let pads = self.many(2 * dims.len(), 0, 2);
                let pads = self.constant(&pads);
                node("Pad", &[&x, &pads], &[&y])
            }
            11 => {
                let attributes = [int("keepdims", self.pick(0, 1))];
                let operator = self.one_of(&["ReduceMean", "ReduceMax", "ReduceL2"]);
                let axes = self.constant(&[self.pick(-rank, rank - 1)]);
                let inputs = [&*x, &axes];
                node_with(operator, &inputs[..1 + self.pick(0, 1) as usize], &[&y], &attributes)
            }
            12 => {
                let options =
                    [int("axis", self.pick(-rank, rank - 1)), int("keepdims", self.pick(0, 1))];
                made.clear();
                node_with("ArgMax", &[&x], &[&y], &options)
            }
            13 => {
                let axes = self.constant(&[self.pick(-rank - 1, rank)]);
                node("Unsqueeze", &[&x, &axes], &[&y])
            }
            14 => {
                // Always which axis: without, ONNX Runtime guesses while sizes are symbols.
                let axes = self.constant(&[self.pick(-rank, rank - 1)]);
                node("Squeeze", &[&x, &axes], &[&y])
            }
            15 => {
                let times = self.many(dims.len(), 1, 2);
                let times = self.constant(&times);
                node("Tile", &[&x, &times], &[&y])
            }
            16 => {
                let mut shape: Vec<i64> =
                    dims.iter().map(|&n| if self.pick(0, 1) == 0 { 1 } else { n as i64 }).collect();
                if self.pick(0, 1) == 0 {
                    shape.insert(0, 2);
                }
                let shape = self.constant(&shape);
                node("Expand", &[&x, &shape], &[&y])
            }
            17 => {
                let inner = dims.last().copied().unwrap_or(1);
                let columns = self.pick(1, 4) as usize;
                let weights = match self.pick(0, 2) {
                    0 => self.weights(&[inner]),
                    1 => self.weights(&[inner, columns]),
                    _ => self.weights(&[columns, inner]),
                };
                match self.pick(0, 2) {
                    // ONNX Runtime also multiplies a single row, against the standard.
                    0 if dims.len() != 1 => {
                        node_with("Gemm", &[&x, &weights], &[&y], &[int("transB", self.pick(0, 1))])
                    }
                    _ => node("MatMul", &[&x, &weights], &[&y]),
                }
            }
            18 => {
                // As large as another tensor, as exporters write it.
                let (shape, batch, new) = (self.name(), self.name(), self.name());
                let (first, rest) = (self.constant(&[0]), self.constant(&[-1]));
                self.nodes.push(node("Shape", &[&x], &[&shape]));
                self.nodes.push(node("Gather", &[&shape, &first], &[&batch]));
                self.nodes.push(node_with("Concat", &[&batch, &rest], &[&new], &[int("axis", 0)]));
                node("Reshape", &[&x, &new], &[&y])
            }
            19 => {
                let (shape, zeros) = (self.name(), self.name());
                self.nodes.push(node("Shape", &[&x], &[&shape]));
                self.nodes.push(node("ConstantOfShape", &[&shape], &[&zeros]));
                let which = self.name();
                self.nodes.push(node("Greater", &[&x, &zeros], &[&which]));
                node("Where", &[&which, &x, &zeros], &[&y])
            }
            20 | 21 => {
                let groups = self.one_of(&[1, 1, 2, dims[1]]);
                let kernel = self.many(2, 1, 4);
                let out = groups * self.pick(1, 3) as usize;
                let shape = [out, dims[1] / groups, kernel[0] as usize, kernel[1] as usize];
                let weights = self.weights(&shape);
                let mut attributes = vec![int("group", groups as i64)];
                self.window(&mut attributes, 3);
                node_with("Conv", &[&x, &weights], &[&y], &attributes)
            }
            22..=24 => {
                let groups = self.one_of(&[1, 1, 2, dims[1]]);
                let kernel = self.many(2, 1, 4);
                let shape =
                    [dims[1], self.pick(1, 3) as usize, kernel[0] as usize, kernel[1] as usize];
                let weights = self.weights(&shape);
                let mut attributes = vec![int("group", groups as i64)];
                self.window(&mut attributes, 3);
                let dilated = attributes.iter().any(|attribute| attribute.name == "dilations");
                match self.pick(0, 3) {
                    // ONNX Runtime has it below the stride, the standard below the dilation too.
                    0 if !dilated => attributes.push(list("output_padding", &self.many(2, 0, 1))),
                    // Of one below its input ONNX Runtime infers no size at all, and then the rank.
                    1 => {
                        let larger = self.many(2, 0, 6);
                        let sizes = [dims[2] as i64 + larger[0], dims[3] as i64 + larger[1]];
                        attributes.push(list("output_shape", &sizes));
                    }
                    _ => (),
                }
                node_with("ConvTranspose", &[&x, &weights], &[&y], &attributes)
            }
            25 => {
                let mut attributes = vec![list("kernel_shape", &self.many(2, 2, 3))];
                self.window(&mut attributes, 1);
                attributes.push(int("ceil_mode", self.pick(0, 1)));
                node_with(self.one_of(&["MaxPool", "AveragePool"]), &[&x], &[&y], &attributes)
            }
            26 => {
                let channels = self.weights(&[dims[1]]);
                match self.pick(0, 2) {
                    0 => {
                        let inputs = [&*x, &channels, &channels, &channels, &channels];
                        node("BatchNormalization", &inputs, &[&y])
                    }
                    1 => node("InstanceNormalization", &[&x, &channels, &channels], &[&y]),
                    _ => {
                        let scale = self.weights(&[dims[3]]);
                        let statistics = self.name();
                        made.push(statistics.clone());
                        node("LayerNormalization", &[&x, &scale], &[&y, &statistics])
                    }
                }
            }
            27 => {
                let scales = self.scales(4);
                let mode = [text("mode", "nearest")];
                node_with("Resize", &[&x, "", &scales], &[&y], &mode)
            }
            28 => {
                let sizes = self.many(2, 2, 9);
                let sizes = self.constant(&sizes);
                let policy = self.one_of(&["stretch", "not_larger", "not_smaller"]);
                let attributes = [
                    text("mode", "nearest"),
                    list("axes", &[2, 3]),
                    text("keep_aspect_ratio_policy", policy),
                ];
                node_with("Resize", &[&x, "", "", &sizes], &[&y], &attributes)
            }
            _ => {
                let operator = self.one_of(&["DepthToSpace", "SpaceToDepth"]);
                node_with(operator, &[&x], &[&y], &[int("blocksize", self.pick(1, 3))])
            }
        };
        self.nodes.push(node);
        self.floats.extend(made);
    }

    /// Strides, dilations and padding, each perhaps.
    fn window(&self, attributes: &mut Vec<AttributeProto>, max_dilation: i64) {
        if self.pick(0, 1) == 0 {
            // Pooling in ONNX Runtime knows no windows apart from each other that pad themselves.
            let most = if max_dilation > 1 { 3 } else { 2 };
            attributes.push(list("strides", &self.many(2, 1, most)));
        }
        let same = self.pick(0, 4) == 0;
        // ONNX Runtime knows no such padding of dilated windows.
        if max_dilation > 1 && !same && self.pick(0, 2) == 0 {
            attributes.push(list("dilations", &self.many(2, 1, max_dilation)));
        }
        match self.pick(0, 3) {
            _ if same => attributes.push(text("auto_pad", "SAME_UPPER")),
            0 => attributes.push(text("auto_pad", "VALID")),
            1 | 2 => attributes.push(list("pads", &self.many(4, 0, 1))),
            _ => (),
        }
    }

    /// What ONNX Runtime makes of the graph: the type and shape of each of `names`.
    fn made(&self, names: &[(String, i32)]) -> genset::Result<Vec<(String, Element, Vec<usize>)>> {
        let model = build::read(&self.model(names))?;
        let mut session = session(runtime(), &model)?;
        let x = Tensor::new(Element::F32, &self.dims)?;
        let all = names.iter().map(|(name, number)| {
            let tensor = session.run_once(&[("x", &x)], name)?;
            let element = match (tensor.element(), number) {
                // Not among the types of images and latents, and told by that alone.
                (Element::Other(0), 9) => Element::Bool,
                (element, _) => element,
            };
            Ok((name.clone(), element, tensor.shape().to_vec()))
        });
        all.collect()
    }
}

fn numbered(tensors: &[(String, Element, Vec<usize>)]) -> Vec<(String, i32)> {
    tensors.iter().map(|(name, element, _)| (name.clone(), element.to_onnx())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_inferred_is_what_comes_out(
        dims in (1..3_usize, 1..7_usize, 1..8_usize, 1..8_usize),
        choices in prop::collection::vec(any::<u32>(), 120),
        steps in 1..8_usize,
    ) {
        let mut maker = Maker::new(vec![dims.0, dims.1, dims.2, dims.3], choices);
        for _ in 0..steps {
            let (nodes, constants, live) =
                (maker.nodes.clone(), maker.constants.clone(), maker.floats.clone());
            maker.step();
            let keep = match maker.inferred() {
                Ok(all) => all.iter().all(|(_, _, dims)| {
                    // Empty tensors are allowed, but hardly any kernel knows them.
                    (1..=MAX_ELEMENTS).contains(&dims.iter().product::<usize>())
                }),
                Err(error) => {
                    let last = maker.nodes.last().unwrap().output[0].clone();
                    // Where ONNX Runtime makes a tensor of negative size, looking at it panics.
                    let made = catch_unwind(AssertUnwindSafe(|| maker.made(&[(last, 1)])));
                    let runs = matches!(made, Ok(Ok(_)));
                    prop_assert!(!runs, "{error}, but it is {made:?}");
                    false
                }
            };
            if !keep {
                (maker.nodes, maker.constants, maker.floats) = (nodes, constants, live);
            }
        }
        let inferred = maker.inferred().unwrap();
        if !inferred.is_empty() {
            let made = maker.made(&numbered(&inferred));
            prop_assert!(made.is_ok(), "{made:?} of {:?}", maker.nodes);
            prop_assert_eq!(inferred, made.unwrap());
        }
    }
}

/// Every tensor of real generators, exported by PyTorch.
#[test]
fn every_shape_of_the_shipped_generators_is_known_and_right() {
    let shipped = models().join("../../onnx/models");
    for (name, inputs) in [
        ("digits.onnx", [("z", vec![3, 64]), ("y", vec![3, 10])]),
        ("fashion.onnx", [("z", vec![3, 64]), ("y", vec![3, 10])]),
    ] {
        let model = Model::read(&shipped.join(name)).unwrap();
        check(&model, &inputs);
    }
}

/// The odd generators of the other tests.
#[test]
fn every_shape_of_the_odd_generators_is_known_and_right() {
    for (name, input, dims) in [
        ("dynamic-batch", "z", vec![5, 8]),
        ("static-batch-4", "z", vec![4, 8]),
        ("no-batch", "z", vec![8]),
        ("nhwc", "z", vec![2, 8]),
        ("flat-784", "z", vec![2, 4]),
        ("latent-spatial", "z", vec![2, 8, 1, 1]),
        ("output-u8", "z", vec![2, 8]),
        ("external-data-inside", "z", vec![2, 8]),
    ] {
        let model = Model::read(&models().join(format!("{name}.onnx"))).unwrap();
        check(&model, &[(input, dims)]);
    }
}

/// Compares all tensors of `model` with what a run gives.
#[track_caller]
fn check(model: &Model, inputs: &[(&str, Vec<usize>)]) {
    let shapes = model.shapes(inputs).unwrap();
    let tensors: Vec<(&str, Tensor)> = inputs
        .iter()
        .map(|(name, dims)| (*name, Tensor::new(shapes.element(name).unwrap(), dims).unwrap()))
        .collect();
    let feed: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    for name in model.tensors() {
        let model = model.with_output(name).unwrap();
        let made = session(runtime(), &model).unwrap().run_once(&feed, name).unwrap();
        assert_eq!(shapes.dims(name), Some(made.shape()), "{name} of {}", model.name());
        assert_eq!(shapes.element(name), Some(made.element()), "{name} of {}", model.name());
    }
}

#[test]
fn what_cannot_be_is_told_with_node_and_shapes() {
    let weights = floats("weight", &[4, 5, 1, 1], &[0.5; 20]);
    let mut proto = build::model(vec![node("Conv", &["z", "weight"], &["image"])], vec![weights]);
    proto.graph.as_mut().unwrap().input = vec![build::value("z", 1, &["n", "3", "8", "8"])];
    let model = Model::from_bytes("m", proto.encode_to_vec().into()).unwrap();
    let error = model.shapes(&[("z", vec![2, 3, 8, 8])]).unwrap_err();
    assert_eq!(
        error.summary(),
        "m: Conv `Conv_image`: weights `weight` [4, 5, 1, 1] do not fit `z` [2, 3, 8, 8]: \
         in 1 groups they take 5"
    );
    let error = model.shapes(&[("z", vec![2, 4, 8, 8])]).unwrap_err();
    assert_eq!(error.summary(), "m: input z: f32 [n, 3, 8, 8] cannot be [2, 4, 8, 8]");
    let error = model.shapes(&[("y", vec![2])]).unwrap_err();
    assert!(error.to_string().contains("its inputs are z"), "{error}");
}
