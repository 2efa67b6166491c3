//! A model with its parameters drawn anew: what an encoder is before it is trained.
//!
//! Which constants are parameters is told by what reads them. The draw is PyTorch's default for the
//! layer that reads them: weights Kaiming-uniform with `a = √5` (He et al., 2015), which is
//! `±1/√fan_in`, biases uniform in the same bounds, normalisations 1 and 0, running statistics 0
//! and 1. All other constants are kept, and named. Numbers are counter-based, keyed by seed and
//! tensor, so that the same seed gives the same parameters on every machine.
//!
//! Source: <https://github.com/pytorch/pytorch/blob/main/torch/nn/modules> (linear, conv, batchnorm)

use std::collections::HashMap;

use super::Model;
use super::constant::{attribute, elements, int_attribute, is_standard};
use super::draft::Draft;
use super::proto::{GraphProto, NodeProto, TensorProto};
use super::value::Element;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::sample::RandomWords;

/// How many nodes may stand between a layer and its weights.
const MAX_STEPS: usize = 4;

/// Words that are drawn at a time.
const CHUNK: usize = 1 << 14;

/// A model whose parameters were drawn anew.
#[derive(Debug)]
pub struct Initialised {
    /// The model.
    pub model: Model,
    /// The constants that were drawn or set, in the order of the layers that read them.
    pub parameters: Vec<String>,
    /// Constants of floats, of more than one element, that no known layer reads: as they were.
    pub kept: Vec<String>,
}

/// What a parameter becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Draw {
    /// Uniform in ±bound.
    Uniform(f64),
    /// The same number everywhere.
    All(f32),
}

impl Model {
    /// This model with its parameters drawn anew from `seed`, as PyTorch would have begun.
    ///
    /// # Errors
    /// [`Kind::Model`] if nothing in it is known to be a parameter, and as [`Model::read`].
    pub fn initialised(&self, seed: u64) -> Result<Initialised> {
        initialise(self, seed).at(|| self.name().to_owned())
    }
}

fn initialise(model: &Model, seed: u64) -> Result<Initialised> {
    let mut draft = Draft::of(model);
    let draws = draws(draft.graph());
    if draws.is_empty() {
        let message = "no constant of it is a parameter of a layer that is known";
        return Err(Error::new(Kind::Model, message).help(
            "Conv, ConvTranspose, Gemm, MatMul and normalisations are, with constant weights",
        ));
    }
    let by_name: HashMap<&str, Draw> = draws.iter().map(|(name, draw)| (&**name, *draw)).collect();
    let mut kept = Vec::new();
    for (name, tensor) in constants(draft.graph_mut()) {
        match by_name.get(&*name) {
            Some(draw) => *tensor = drawn(tensor, *draw, seed, &name)?,
            None if is_many_floats(tensor) => kept.push(name),
            None => {}
        }
    }
    let parameters = draws.iter().map(|(name, _)| name.clone()).collect();
    Ok(Initialised { model: draft.finish()?, parameters, kept })
}

/// The constants of the main graph, initializers and those of nodes, with their names.
fn constants(graph: &mut GraphProto) -> Vec<(String, &mut TensorProto)> {
    let initializers = graph.initializer.iter_mut().map(|tensor| (tensor.name.clone(), tensor));
    let nodes = graph.node.iter_mut().filter_map(|node| {
        let name = node.output.first()?.clone();
        let holds = node.op_type == "Constant" && is_standard(&node.domain);
        let attribute = holds.then_some(&mut node.attribute)?.iter_mut();
        Some((name, attribute.filter(|a| a.name == "value").find_map(|a| a.t.as_mut())?))
    });
    initializers.chain(nodes).collect()
}

fn is_float(tensor: &TensorProto) -> bool {
    let element = Element::from_onnx(tensor.data_type);
    matches!(element, Element::F32 | Element::F16 | Element::Bf16 | Element::F64)
}

fn is_many_floats(tensor: &TensorProto) -> bool {
    is_float(tensor) && elements(&tensor.dims).is_ok_and(|count| count > 1)
}

/// The graph as one looks for parameters in it.
struct Reader<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
    makers: HashMap<&'a str, &'a NodeProto>,
}

/// Name, dimensions, and whether the last two are swapped on the way to the layer.
type Found<'a> = (&'a str, Vec<usize>, bool);

impl<'a> Reader<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let named = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let made = graph.node.iter().filter_map(|node| {
            let holds = node.op_type == "Constant" && is_standard(&node.domain);
            let tensor = holds.then(|| attribute(node, "value"))??.t.as_ref()?;
            Some((node.output.first()?.as_str(), tensor))
        });
        let makers = graph
            .node
            .iter()
            .flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node)));
        Self { tensors: named.chain(made).collect(), makers: makers.collect() }
    }

    /// The constant of floats that input `at` of `node` is, seen through what only passes it on.
    fn find(&self, node: &'a NodeProto, at: usize) -> Option<Found<'a>> {
        let mut name = node.input.get(at)?.as_str();
        let mut swapped = false;
        for _ in 0..MAX_STEPS {
            if let Some(tensor) = self.tensors.get(name) {
                let dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok());
                return is_float(tensor)
                    .then(|| Some((name, dims.collect::<Option<_>>()?, swapped)))?;
            }
            let maker = self.makers.get(name).filter(|node| is_standard(&node.domain))?;
            match maker.op_type.as_str() {
                "Identity" | "Cast" => {}
                "Transpose" => {
                    let perm = attribute(maker, "perm").map(|perm| perm.ints.as_slice());
                    if perm.is_some_and(|perm| perm != [1, 0]) {
                        return None;
                    }
                    swapped = !swapped;
                }
                _ => return None,
            }
            name = maker.input.first()?;
        }
        None
    }

    /// The weights of a product, input `at` of `node`, with their `fan_in`. Weights that are a
    /// factor on the left are `[outputs, inputs]`, those on the right `[inputs, outputs]`.
    fn factor(&self, node: &'a NodeProto, at: usize) -> Option<(&'a str, usize)> {
        let transposed = |name| int_attribute(node, name).unwrap_or(0) != 0;
        let flipped = node.op_type == "Gemm" && transposed(["transA", "transB"][at]);
        let (name, dims, swapped) = self.find(node, at)?;
        let [.., rows, columns] = dims[..] else { return None };
        let inputs_first = (at == 1) != (flipped != swapped);
        Some((name, if inputs_first { rows } else { columns }))
    }
}

/// What is drawn for which constant. One that several layers read is drawn for the first.
fn draws(graph: &GraphProto) -> Vec<(String, Draw)> {
    let reader = Reader::of(graph);
    let mut draws: Vec<(String, Draw)> = Vec::new();
    let mut known = HashMap::new();
    let mut put = |name: &str, draw: Draw| {
        if known.insert(name.to_owned(), ()).is_none() {
            draws.push((name.to_owned(), draw));
        }
    };
    // Products without a bias of their own, by the value they make: an Add behind them has it.
    let mut open: HashMap<&str, f64> = HashMap::new();
    for node in graph.node.iter().filter(|node| is_standard(&node.domain)) {
        let output = node.output.first().map(String::as_str).unwrap_or_default();
        let bias = |at: usize| reader.find(node, at).map(|(name, ..)| name);
        match node.op_type.as_str() {
            "Conv" | "ConvTranspose" => {
                let Some((weights, dims, false)) = reader.find(node, 1) else { continue };
                let bound = bound(dims.iter().skip(1).product());
                put(weights, Draw::Uniform(bound));
                match bias(2) {
                    Some(bias) => put(bias, Draw::Uniform(bound)),
                    None => drop(open.insert(output, bound)),
                }
            }
            "Gemm" | "MatMul" => {
                let found = reader.factor(node, 1).or_else(|| reader.factor(node, 0));
                let Some((weights, fan_in)) = found else { continue };
                let bound = bound(fan_in);
                put(weights, Draw::Uniform(bound));
                match bias(2).filter(|_| node.op_type == "Gemm") {
                    Some(bias) => put(bias, Draw::Uniform(bound)),
                    None => drop(open.insert(output, bound)),
                }
            }
            "Add" => {
                for (product, at) in [(0, 1), (1, 0)] {
                    let product = node.input.get(product).and_then(|name| open.get(name.as_str()));
                    if let (Some(bound), Some(bias)) = (product, bias(at)) {
                        put(bias, Draw::Uniform(*bound));
                    }
                }
            }
            "BatchNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "GroupNormalization"
            | "RMSNormalization" => {
                for (at, value) in [(1, 1.0), (2, 0.0), (3, 0.0), (4, 1.0)] {
                    if let Some(name) = bias(at) {
                        put(name, Draw::All(value));
                    }
                }
            }
            _ => {}
        }
    }
    draws
}

/// `√(6 / ((1 + a²) · fan_in))` with `a = √5`.
fn bound(fan_in: usize) -> f64 {
    1.0 / libm::sqrt(fan_in.max(1) as f64)
}

fn drawn(tensor: &TensorProto, draw: Draw, seed: u64, name: &str) -> Result<TensorProto> {
    let count = usize::try_from(elements(&tensor.dims)?).unwrap_or(usize::MAX);
    let mut raw = Vec::new();
    match draw {
        Draw::All(value) => (0..count).for_each(|_| push(&mut raw, tensor.data_type, value.into())),
        Draw::Uniform(bound) => {
            uniform(seed, name, count, bound, |value| push(&mut raw, tensor.data_type, value));
        }
    }
    Ok(TensorProto {
        name: tensor.name.clone(),
        dims: tensor.dims.clone(),
        data_type: tensor.data_type,
        doc_string: tensor.doc_string.clone(),
        raw_data: Some(raw.into()),
        ..Default::default()
    })
}

/// Numbers in ±`bound` that seed and name decide alone.
pub(crate) fn uniform(seed: u64, name: &str, count: usize, bound: f64, mut each: impl FnMut(f64)) {
    let stream = RandomWords::new(seed, &format!("parameter {name}"));
    let mut words = vec![0; CHUNK.min(count)];
    for (chunk, first) in (0_u64..).zip((0..count).step_by(CHUNK)) {
        let words = &mut words[..CHUNK.min(count - first)];
        stream.fill(chunk, 0, words);
        for &word in &*words {
            // The centre of the interval that a word stands for.
            let unit = (f64::from(word) + 0.5) / 4_294_967_296.0;
            each(bound * (2.0 * unit - 1.0));
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn push(raw: &mut Vec<u8>, data_type: i32, value: f64) {
    match Element::from_onnx(data_type) {
        Element::F64 => raw.extend(value.to_le_bytes()),
        Element::F16 => raw.extend(half::f16::from_f64(value).to_le_bytes()),
        Element::Bf16 => raw.extend(half::bf16::from_f64(value).to_le_bytes()),
        _ => raw.extend((value as f32).to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build;
    use crate::graph::constant::floats;

    fn read(model: &Model, name: &str) -> Vec<f32> {
        let graph = model.proto().graph.as_ref().unwrap();
        let found = graph.initializer.iter().find(|tensor| tensor.name == name);
        floats(found.unwrap()).unwrap()
    }

    /// A convolution, a normalisation, two products with their biases, and a constant of another
    /// kind.
    fn encoder() -> Model {
        let nodes = vec![
            build::node("Reshape", &["z", "shape"], &["grid"]),
            build::node("Conv", &["grid", "kernel", "kernel-bias"], &["conv"]),
            build::node("BatchNormalization", &["conv", "g", "b", "m", "v"], &["norm"]),
            build::node("Mul", &["norm", "layer-scale"], &["scaled"]),
            build::node("Flatten", &["scaled"], &["flat"]),
            build::node_with(
                "Gemm",
                &["flat", "outer", "outer-bias"],
                &["gemm"],
                &[build::int("transB", 1)],
            ),
            build::node("Transpose", &["inner"], &["inner-t"]),
            build::node("MatMul", &["gemm", "inner-t"], &["product"]),
            build::node("Add", &["inner-bias", "product"], &["image"]),
        ];
        let ones = |name: &str, dims: &[i64]| {
            let count: i64 = dims.iter().product();
            build::floats(name, dims, &vec![9.0; usize::try_from(count).unwrap()])
        };
        let constants = vec![
            build::ints("shape", &[4], &[-1, 2, 2, 2]),
            ones("kernel", &[400, 2, 1, 1]),
            ones("kernel-bias", &[400]),
            ones("g", &[400]),
            ones("b", &[400]),
            ones("m", &[400]),
            ones("v", &[400]),
            ones("layer-scale", &[400, 1, 1]),
            ones("outer", &[100, 1600]),
            ones("outer-bias", &[100]),
            ones("inner", &[48, 100]),
            ones("inner-bias", &[48]),
        ];
        build::read(&build::model(nodes, constants)).unwrap()
    }

    #[test]
    fn weights_fill_the_bounds_of_their_fan_in() {
        let made = encoder().initialised(7).unwrap();
        for (name, fan_in) in [
            ("kernel", 2.0_f32),
            ("kernel-bias", 2.0),
            ("outer", 1600.0),
            ("outer-bias", 1600.0),
            ("inner", 100.0),
            ("inner-bias", 100.0),
        ] {
            let (values, bound) = (read(&made.model, name), 1.0 / fan_in.sqrt());
            let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            assert!(largest <= bound && largest > 0.9 * bound, "{name}: {largest} {bound}");
            let n = values.len() as f32;
            let (mean, square) =
                (values.iter().sum::<f32>() / n, values.iter().map(|x| x * x).sum::<f32>() / n);
            // A uniform draw's deviation is its bound by √3.
            assert!(mean.abs() < 4.0 * bound / (3.0 * n).sqrt(), "{name}: {mean}");
            assert!(
                (square.sqrt() * 3.0_f32.sqrt() / bound - 1.0).abs() < 0.25,
                "{name}: {square}"
            );
        }
    }

    #[test]
    fn normalisations_begin_at_one_and_the_rest_is_kept_and_named() {
        let made = encoder().initialised(7).unwrap();
        for (name, value) in [("g", 1.0), ("b", 0.0), ("m", 0.0), ("v", 1.0), ("layer-scale", 9.0)]
        {
            assert_eq!(read(&made.model, name), vec![value; 400], "{name}");
        }
        assert_eq!(made.kept, ["layer-scale"]);
        assert_eq!(made.parameters.len(), 10, "{:?}", made.parameters);
    }

    #[test]
    fn a_seed_gives_its_own_parameters_and_tensors_differ() {
        let [a, again, other] = [7, 7, 8].map(|seed| encoder().initialised(seed).unwrap().model);
        assert_eq!(read(&a, "outer"), read(&again, "outer"));
        assert_ne!(read(&a, "outer"), read(&other, "outer"));
        assert_ne!(read(&a, "outer")[..48], read(&a, "inner")[..48]);
        // Bits are part of the promise.
        let first: Vec<u32> = read(&a, "inner")[..3].iter().map(|x| x.to_bits()).collect();
        assert_eq!(first, FIRST);
    }

    const FIRST: [u32; 3] = [3_162_820_569, 3_175_477_408, 3_176_164_762];

    #[test]
    fn weights_of_other_types_and_of_nodes_keep_their_place() {
        let half = TensorProto {
            data_type: 10,
            raw_data: Some(vec![0; 2 * 8 * 48].into()),
            ..build::floats("w", &[8, 48], &[])
        };
        let nodes = vec![
            build::node_with("Constant", &[], &["w"], &[build::tensor("value", half)]),
            build::node("Cast", &["w"], &["w32"]),
            build::node("MatMul", &["z", "w32"], &["image"]),
        ];
        let model = build::read(&build::model(nodes, vec![])).unwrap();
        let made = model.initialised(1).unwrap();
        assert_eq!(made.parameters, ["w"]);
        let graph = made.model.proto().graph.as_ref().unwrap();
        let tensor =
            graph.node.iter().find_map(|node| attribute(node, "value")?.t.as_ref()).unwrap();
        let values = floats(tensor).unwrap();
        assert_eq!((tensor.data_type, values.len()), (10, 8 * 48));
        assert!(values.iter().any(|x| x.abs() > 0.3) && values.iter().all(|x| x.abs() < 0.354));
    }

    #[test]
    fn a_model_without_parameters_is_refused() {
        let model =
            build::read(&build::model(vec![build::node("Tanh", &["z"], &["image"])], vec![]))
                .unwrap();
        let error = model.initialised(1).unwrap_err().to_string();
        assert!(error.contains("no constant of it is a parameter"), "{error}");
    }
}
