//! The walk over the nodes, and which rule each operator has.

use std::collections::{HashMap, HashSet};

use super::call::Call;
use super::fact::Fact;
use super::{elementwise, layout, linear, parts, reduce, resize, source, values, window};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::Model;
use crate::graph::constant::is_standard;
use crate::graph::operators::NodeName;
use crate::graph::value::{Dim, ValueInfo};

/// Everything known of the tensors of `model`, by name.
pub(super) fn walk(model: &Model, inputs: &[(&str, Vec<usize>)]) -> Result<HashMap<String, Fact>> {
    let mut facts = HashMap::new();
    let Some(graph) = &model.proto().graph else { return Ok(facts) };
    let symbols = symbols(model, inputs)?;
    for tensor in &graph.initializer {
        facts.insert(tensor.name.clone(), Fact::of_tensor(tensor));
    }
    for tensor in &graph.sparse_initializer {
        if let Some(values) = &tensor.values {
            let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
            let fact = Fact { dims, values: None, ..Fact::of_tensor(values) };
            facts.insert(values.name.clone(), fact);
        }
    }
    for input in model.inputs() {
        let given = inputs.iter().find(|(name, _)| *name == input.name);
        let mut fact = declared(input, &symbols);
        if let Some((_, dims)) = given {
            fact.dims = Some(dims.clone());
        }
        fact.check().at(|| format!("input `{}`", input.name))?;
        facts.insert(input.name.clone(), fact);
    }
    let promised = graph.value_info.iter().chain(&graph.output);
    let promised: HashMap<&str, _> = promised.map(|value| (value.name.as_str(), value)).collect();
    let functions = model.proto().functions.iter();
    let functions: HashSet<_> = functions.map(|f| (f.domain.as_str(), f.name.as_str())).collect();
    let opset = model.opset().unwrap_or(i64::MAX);
    for node in &graph.node {
        let inputs = node.input.iter().map(|name| match name.as_str() {
            "" => None,
            name => Some(facts.get(name).unwrap_or(&UNKNOWN)),
        });
        let call = Call { node, inputs: inputs.collect(), opset };
        let is_local = functions.contains(&(node.domain.as_str(), node.op_type.as_str()));
        let mut made = if is_local { Vec::new() } else { self::made(&call)? };
        made.resize_with(node.output.len(), Fact::default);
        for (name, mut fact) in node.output.iter().zip(made) {
            if name.is_empty() {
                continue;
            }
            if let Some(value) = promised.get(name.as_str()) {
                let declared = declared(&ValueInfo::from_proto(value), &symbols);
                fact.dims = fact.dims.or(declared.dims);
                fact.element = fact.element.or(declared.element);
            }
            facts.insert(name.clone(), fact);
        }
    }
    Ok(facts)
}

/// The outputs of one node, with their values where those can be told.
///
/// # Errors
/// As [`walk`], with the node.
pub(super) fn made(call: &Call<'_>) -> Result<Vec<Fact>> {
    let place = || NodeName::of(call.node);
    let mut made = infer(call).at(place)?;
    for fact in &made {
        fact.check().at(place)?;
    }
    values::find(call, &mut made);
    Ok(made)
}

/// An input that no node made, in a file whose nodes are in no order.
const UNKNOWN: Fact = Fact { element: None, dims: None, values: None };

/// The sizes of the symbols in the inputs' dimensions.
fn symbols(model: &Model, inputs: &[(&str, Vec<usize>)]) -> Result<HashMap<String, usize>> {
    let mut symbols: HashMap<String, usize> = HashMap::new();
    for (name, dims) in inputs {
        let input = model.inputs().iter().find(|input| input.name == *name).ok_or_else(|| {
            let names: Vec<_> = model.inputs().iter().map(|input| input.name.as_str()).collect();
            Error::new(Kind::Argument, format!("it has no input `{name}`"))
                .help(format!("its inputs are {}", names.join(", ")))
        })?;
        let Some(shape) = &input.shape else { continue };
        let mut fits = shape.len() == dims.len();
        for (dim, &size) in shape.iter().zip(dims) {
            fits &= match dim {
                Dim::Fixed(fixed) => *fixed == size as u64,
                Dim::Symbol(symbol) => *symbols.entry(symbol.clone()).or_insert(size) == size,
                Dim::Unknown => true,
            };
        }
        if !fits {
            let message = format!("input {input} cannot be {dims:?}");
            return Err(Error::new(Kind::Argument, message));
        }
    }
    Ok(symbols)
}

/// What the file says of a value, with known symbols as their sizes.
fn declared(value: &ValueInfo, symbols: &HashMap<String, usize>) -> Fact {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).ok(),
        Dim::Symbol(symbol) => symbols.get(symbol).copied(),
        Dim::Unknown => None,
    };
    let dims = value.shape.as_ref().and_then(|shape| shape.iter().map(size).collect());
    Fact::of(Some(value.element).filter(|element| element.bits().is_some()), dims)
}

/// The outputs of one node, as far as its operator has a rule.
fn infer(call: &Call<'_>) -> Result<Vec<Fact>> {
    let operator = call.node.op_type.as_str();
    let same = || Ok(call.like(0, call.dims(0).map(<[_]>::to_vec)));
    if !is_standard(&call.node.domain) {
        let known =
            call.node.domain == "com.microsoft" && elementwise::SAME_IN_RUNTIME.contains(&operator);
        return if known { same() } else { Ok(Vec::new()) };
    }
    match operator {
        "ArgMax" | "ArgMin" => reduce::extreme(call),
        "AveragePool" | "LpPool" | "MaxPool" => window::pool(call),
        "BatchNormalization" => reduce::batch_normalization(call),
        "Cast" => Ok(elementwise::cast(call)),
        "CastLike" => Ok(vec![Fact::of(call.element(1), call.dims(0).map(<[_]>::to_vec))]),
        "Concat" => parts::concat(call),
        "Constant" => Ok(source::constant(call)),
        "ConstantOfShape" => source::constant_of_shape(call),
        "Conv" => window::conv(call),
        "ConvTranspose" => window::conv_transpose(call),
        "DepthToSpace" | "SpaceToDepth" => layout::blocks(call),
        "Dropout" => Ok(elementwise::dropout(call)),
        "Einsum" => linear::einsum(call),
        "Expand" => layout::expand(call),
        "EyeLike" | "RandomNormalLike" | "RandomUniformLike" => Ok(source::like(call)),
        "Flatten" => layout::flatten(call),
        "Gather" => parts::gather(call),
        "GatherElements" => Ok(parts::gather_elements(call)),
        "GatherND" => parts::gather_nd(call),
        "Gemm" => linear::gemm(call),
        "GlobalAveragePool" | "GlobalLpPool" | "GlobalMaxPool" => window::global(call),
        "InstanceNormalization" => reduce::instance_normalization(call),
        "IsInf" | "IsNaN" => Ok(vec![Fact::of(
            Some(crate::graph::value::Element::Bool),
            call.dims(0).map(<[_]>::to_vec),
        )]),
        "LayerNormalization" => reduce::layer_normalization(call),
        "MatMul" | "MatMulInteger" => linear::matmul(call),
        "OneHot" => source::one_hot(call),
        "PRelu" => elementwise::prelu(call),
        "Pad" => parts::pad(call),
        "RandomNormal" | "RandomUniform" => source::random(call),
        "Range" => source::range(call),
        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax"
        | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => {
            reduce::reduce(call)
        }
        "Reshape" => layout::reshape(call),
        "Resize" | "Upsample" => resize::resize(call),
        "Shape" => Ok(source::shape(call)),
        "Size" => Ok(source::scalar()),
        "Slice" => parts::slice(call),
        "Split" => parts::split(call),
        "Squeeze" => layout::squeeze(call),
        "Tile" => layout::tile(call),
        "TopK" => parts::top_k(call),
        "Transpose" => layout::transpose(call),
        "Unsqueeze" => layout::unsqueeze(call),
        "Where" => elementwise::choice(call),
        _ if elementwise::SAME.contains(&operator) => same(),
        _ if elementwise::STRETCHED.contains(&operator) => elementwise::stretched(call),
        _ if elementwise::COMPARED.contains(&operator) => elementwise::compared(call),
        _ => Ok(Vec::new()),
    }
}
