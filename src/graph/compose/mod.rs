//! Graphs put together node by node, every tensor of a known size.
//!
//! A [`Composer`] is where encoders, losses, gradients and optimizers are written down. A node is
//! added with [`Composer::op`] and gives a [`Tensor`]: the shape rules of this room say at once how
//! large it is, so a mistake is an error at the node that makes it. What is computed from sizes
//! alone becomes a constant. Everything speaks one version of the standard operators, [`OPSET`].

mod arithmetic;
mod import;
mod layout;
mod modernise;
mod own;
mod sequence;
mod tensor;
mod untie;

use std::collections::{HashMap, HashSet};

use prost::Message;

pub(crate) use self::import::{Imported, Parameter, Role, Statistics};
pub(in crate::graph) use self::layout::signed;
pub(crate) use self::own::{
    BATCH_NORM, BATCH_NORM_GRADIENT, CONV, CONV_IMAGE_GRADIENT, CONV_WEIGHT_GRADIENT, RELU_GRADIENT,
};
pub(crate) use self::tensor::{Attribute, Tensor};
use super::nodes::node;
use super::operators::NodeName;
use super::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue,
    ValueInfoProto,
};
use super::shape::{self, Fact, Values};
use super::{Element, Model};
use crate::error::{Error, Kind, Result, ResultExt};

/// The version of the standard operators that composed graphs are written in.
pub(crate) const OPSET: i64 = 20;

/// The version of the file format that came with it.
const IR_VERSION: i64 = 9;

/// Operators that only some runtimes have: genset's own, given to the runtime with the session.
pub(crate) const OWN_DOMAIN: &str = "genset";

/// A graph that is being put together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Composer {
    graph: GraphProto,
    facts: HashMap<String, Fact>,
    names: HashSet<String>,
    /// Constants that were asked for before, by type, sizes and bytes.
    constants: HashMap<(i32, Vec<i64>, Vec<u8>), Tensor>,
    /// What the names of new nodes begin with.
    scope: String,
    /// Whether nodes of [`OWN_DOMAIN`] may be in it, and whether any is.
    may_own: bool,
    has_own: bool,
}

impl Composer {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names of nodes begin with `scope` from now on; gives what they began with before.
    pub fn enter(&mut self, scope: &str) -> String {
        std::mem::replace(&mut self.scope, scope.to_owned())
    }

    /// The sizes of a tensor, outermost axis first.
    pub fn dims(&self, tensor: &Tensor) -> &[usize] {
        self.fact(tensor).dims.as_deref().unwrap_or_default()
    }

    /// How many elements a tensor has.
    pub fn count(&self, tensor: &Tensor) -> usize {
        self.dims(tensor).iter().product()
    }

    /// The type of a tensor's elements.
    pub fn element(&self, tensor: &Tensor) -> Element {
        self.fact(tensor).element.unwrap_or(Element::Other(0))
    }

    /// The elements of a short tensor of whole numbers, if nothing that is fed changes them.
    pub fn known_ints(&self, tensor: &Tensor) -> Option<&[i64]> {
        match self.fact(tensor).values.as_ref()? {
            Values::Ints(values) => Some(values),
            Values::Floats(_) => None,
        }
    }

    /// The only element of a tensor of floats, if nothing that is fed changes it.
    pub fn known_scalar(&self, tensor: &Tensor) -> Option<f64> {
        match self.known_floats(tensor)? {
            &[value] => Some(f64::from(value)),
            _ => None,
        }
    }

    /// The elements of a short tensor of floats, if nothing that is fed changes them.
    pub fn known_floats(&self, tensor: &Tensor) -> Option<&[f32]> {
        match self.fact(tensor).values.as_ref()? {
            Values::Floats(values) => Some(values),
            Values::Ints(_) => None,
        }
    }

    fn fact(&self, tensor: &Tensor) -> &Fact {
        // A tensor is made by a composer, with what is known of it.
        self.facts.get(tensor.name()).expect("a tensor of this graph")
    }

    /// The nodes so far; each comes after those that it reads from.
    pub(in crate::graph) fn nodes(&self) -> &[NodeProto] {
        &self.graph.node
    }

    /// The tensor that is called `name`, if there is one.
    pub fn tensor(&self, name: &str) -> Option<Tensor> {
        self.facts.contains_key(name).then(|| Tensor::named(name))
    }

    /// An input of the graph.
    ///
    /// # Errors
    /// [`Kind::Model`] if there is something of that name already.
    pub fn input(&mut self, name: &str, element: Element, dims: &[usize]) -> Result<Tensor> {
        self.claim(name)?;
        self.graph.input.push(described(name, element, dims));
        Ok(self.made(name, element, dims))
    }

    /// Makes `tensor` an output of the graph, under the name `name`.
    ///
    /// # Errors
    /// [`Kind::Model`] if there is something of that name already.
    pub fn output(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let (element, dims) = (self.element(tensor), self.dims(tensor).to_vec());
        if tensor.name() != name {
            self.claim(name)?;
            self.graph.node.push(node("Identity", name, &[tensor.name()], name, vec![]));
            self.made(name, element, &dims);
        }
        self.graph.output.push(described(name, element, &dims));
        Ok(())
    }

    /// A node with one output.
    ///
    /// # Errors
    /// [`Kind::Model`] with the node and the shapes that do not fit each other.
    pub fn op(
        &mut self,
        operator: &str,
        inputs: &[&Tensor],
        attributes: &[Attribute<'_>],
    ) -> Result<Tensor> {
        let inputs: Vec<_> = inputs.iter().map(|tensor| Some(*tensor)).collect();
        let mut made = self.ops(operator, &inputs, attributes, 1)?;
        Ok(made.remove(0))
    }

    /// A node with `outputs` outputs, some of whose inputs may be left out.
    ///
    /// # Errors
    /// As [`Composer::op`].
    pub fn ops(
        &mut self,
        operator: &str,
        inputs: &[Option<&Tensor>],
        attributes: &[Attribute<'_>],
        outputs: usize,
    ) -> Result<Vec<Tensor>> {
        let attributes = attributes.iter().copied().map(Attribute::to_proto).collect();
        self.add(operator, inputs, attributes, outputs)
    }

    pub(in crate::graph) fn add(
        &mut self,
        operator: &str,
        inputs: &[Option<&Tensor>],
        attribute: Vec<AttributeProto>,
        outputs: usize,
    ) -> Result<Vec<Tensor>> {
        let names: Vec<_> = (0..outputs).map(|_| self.fresh(operator)).collect();
        let name = |tensor: &Option<&Tensor>| {
            tensor.map(|tensor| tensor.name().to_owned()).unwrap_or_default()
        };
        let node = NodeProto {
            name: names[0].clone(),
            op_type: operator.to_owned(),
            input: inputs.iter().map(name).collect(),
            output: names.clone(),
            attribute,
            ..Default::default()
        };
        let known = inputs.iter().map(|tensor| tensor.map(|tensor| self.fact(tensor))).collect();
        let mut facts = shape::of_node(&node, known, OPSET)?;
        facts.resize_with(outputs, Fact::default);
        if let [Fact { element: Some(element), values: Some(values), dims: Some(dims) }] =
            &facts[..]
        {
            // Computed from sizes alone: there is nothing left to do when the graph runs.
            let (element, values, dims) = (*element, values.clone(), dims.clone());
            if let Some(constant) = self.constant_of(element, &dims, &values) {
                return Ok(vec![constant]);
            }
        }
        if facts.iter().any(|fact| fact.dims.is_none() || fact.element.is_none()) {
            let message = "the sizes of what it makes are not known".to_owned();
            return Err(Error::new(Kind::Model, message)
                .at(NodeName::of(&node))
                .help("export the encoder with sizes that do not depend on what images show"));
        }
        self.graph.node.push(node);
        Ok(names.iter().zip(facts).map(|(name, fact)| self.known(name, fact)).collect())
    }

    fn constant_of(&mut self, element: Element, dims: &[usize], values: &Values) -> Option<Tensor> {
        match (values, element) {
            (Values::Ints(values), Element::I64) => Some(self.int_tensor(dims, values)),
            (Values::Floats(values), Element::F32) => {
                let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Some(self.constant(element, dims, raw))
            }
            _ => None,
        }
    }

    /// A constant, of little-endian bytes. The same one twice is one tensor.
    pub(in crate::graph) fn constant(
        &mut self,
        element: Element,
        dims: &[usize],
        raw: Vec<u8>,
    ) -> Tensor {
        let key = (element.to_onnx(), signed(dims), raw);
        if let Some(tensor) = self.constants.get(&key) {
            return tensor.clone();
        }
        let name = self.fresh_in("", "constant");
        let proto = tensor_proto(&name, element, dims, key.2.clone());
        let tensor = self.initializer(proto);
        self.constants.insert(key, tensor.clone());
        tensor
    }

    /// A constant of `f32` called `name`, which must be new.
    pub fn named(&mut self, name: &str, dims: &[usize], values: &[f64]) -> Tensor {
        #[allow(clippy::cast_possible_truncation)]
        let raw: Vec<u8> = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
        self.initializer(tensor_proto(name, Element::F32, dims, raw))
    }

    /// An initializer that training changes: nothing is concluded from what it is before.
    ///
    /// # Errors
    /// [`Kind::Model`] if there is something of that name already.
    pub fn parameter(&mut self, name: &str, dims: &[usize], values: &[f32]) -> Result<Tensor> {
        self.claim(name)?;
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.initializer.push(tensor_proto(name, Element::F32, dims, raw));
        Ok(self.made(name, Element::F32, dims))
    }

    /// A constant as it is, under its own name, which must be new.
    pub(in crate::graph) fn initializer(&mut self, proto: TensorProto) -> Tensor {
        self.names.insert(proto.name.clone());
        let tensor = self.known(&proto.name, Fact::of_tensor(&proto));
        self.graph.initializer.push(proto);
        tensor
    }

    /// Takes a name that nothing has yet.
    fn claim(&mut self, name: &str) -> Result<()> {
        if self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let message = format!("two tensors of the graph would be named `{name}`");
        Err(Error::new(Kind::Model, message).help("rename one in the encoder's file"))
    }

    fn made(&mut self, name: &str, element: Element, dims: &[usize]) -> Tensor {
        self.known(name, Fact::of(Some(element), Some(dims.to_vec())))
    }

    fn known(&mut self, name: &str, fact: Fact) -> Tensor {
        self.facts.insert(name.to_owned(), fact);
        Tensor::named(name)
    }

    fn fresh(&mut self, stem: &str) -> String {
        let scope = self.scope.clone();
        self.fresh_in(&scope, stem)
    }

    /// A name that nothing has yet: `scope/stem_7`.
    fn fresh_in(&mut self, scope: &str, stem: &str) -> String {
        let base = if scope.is_empty() { stem.to_owned() } else { format!("{scope}/{stem}") };
        // Names grow with the number of nodes; counting from there finds a free one at once.
        let mut number = self.graph.node.len() + self.graph.initializer.len();
        loop {
            let name = format!("{base}_{number}");
            if self.names.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }

    /// As [`Composer::finish`], for inputs and outputs of any first axis; with `any_size` also of
    /// any image axes. Nothing in the graph may depend on those sizes.
    ///
    /// # Errors
    /// As [`Composer::finish`].
    pub fn finish_for_any_batch(mut self, name: &str, any_size: bool) -> Result<Model> {
        const NAMES: [(usize, &str); 3] = [(0, "batch"), (2, "height"), (3, "width")];
        let open = if any_size { &NAMES[..] } else { &NAMES[..1] };
        for value in self.graph.input.iter_mut().chain(&mut self.graph.output) {
            let tensor = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
            let Some(TypeValue::Tensor(TensorType { shape: Some(shape), .. })) = tensor else {
                continue;
            };
            for (axis, symbol) in open {
                if let Some(dim) = shape.dim.get_mut(*axis) {
                    dim.value = Some(DimensionValue::Param((*symbol).to_owned()));
                }
            }
        }
        self.finish(name)
    }

    /// The graph as a model called `name`, without what no output needs.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn finish(mut self, name: &str) -> Result<Model> {
        if self.may_own {
            self.own_convolutions();
        }
        let version = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
        let mut opset_import = vec![version("", OPSET)];
        if self.has_own {
            opset_import.push(version(OWN_DOMAIN, 1));
        }
        let mut graph = self.graph;
        graph.name = name.to_owned();
        super::rewrite::sweep_graph(&mut graph);
        let proto = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "genset".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            opset_import,
            graph: Some(graph),
            ..Default::default()
        };
        super::scope::check(&proto).at(|| name.to_owned())?;
        Model::from_bytes(name, proto.encode_to_vec().into())
    }
}

/// A tensor of little-endian bytes.
fn tensor_proto(name: &str, element: Element, dims: &[usize], raw: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: signed(dims),
        data_type: element.to_onnx(),
        raw_data: Some(raw.into()),
        ..Default::default()
    }
}

fn described(name: &str, element: Element, dims: &[usize]) -> ValueInfoProto {
    let dim = |&size: &usize| Dimension {
        value: Some(DimensionValue::Value(size as i64)),
        ..Default::default()
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = TensorType { elem_type: element.to_onnx(), shape };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() }),
        ..Default::default()
    }
}
