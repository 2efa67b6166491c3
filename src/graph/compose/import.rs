//! A model's nodes copied into a graph that is being put together, with tensors of that graph in
//! the place of its inputs and parameters.
//!
//! *Parameters* are what training changes: initializers of `f32` with more than one element that
//! nodes read where they read weights, scales and offsets. Single numbers are constants of a
//! formula. The running mean and variance of a `BatchNormalization` are its *statistics*: training
//! does not differentiate them but moves them along.

use std::collections::{HashMap, HashSet};

use super::modernise::{Modern, modernise};
use super::{BATCH_NORM, Composer, Tensor, sequence};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::constant::{Constant, float_attribute, is_standard};
use crate::graph::operators::NodeName;
use crate::graph::proto::{GraphProto, NodeProto, TensorProto};
use crate::graph::{Element, Model, external};

/// An initializer that training changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// The initializer's name.
    pub name: String,
    /// Its sizes.
    pub dims: Vec<usize>,
    pub role: Role,
}

impl Parameter {
    /// Whether the loss is differentiated by it.
    pub fn is_trained(&self) -> bool {
        self.role.is_trained()
    }
}

/// What a tensor that training changes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// What inputs are multiplied by: a matrix, a kernel, an embedding.
    Weight,
    /// What is added, and what scales after a normalisation: weight decay leaves it alone.
    Offset,
    /// What is not differentiated: a running mean or variance, and what a training has besides,
    /// the memory of its optimizer and slow copies.
    State,
}

impl Role {
    /// Whether the loss is differentiated by it.
    pub fn is_trained(self) -> bool {
        self != Self::State
    }
}

/// How the statistics of one normalisation are to be moved along.
#[derive(Debug, Clone)]
pub(crate) struct Statistics {
    /// The initializers of the running mean and the running variance.
    pub names: [String; 2],
    /// The mean of this batch and its variance, unbiased, one number a channel.
    pub batch: [Tensor; 2],
    /// The share of the old value that is kept.
    pub momentum: f32,
}

/// What came of a model that was copied.
#[derive(Debug, Clone)]
pub(crate) struct Imported {
    /// In the order of the model's outputs.
    pub outputs: Vec<Tensor>,
    /// In the order of its normalisations; none of a copy that does not train.
    pub statistics: Vec<Statistics>,
}

impl Model {
    /// What training would change in this model, in the order of its initializers.
    pub(crate) fn trainable(&self) -> Vec<Parameter> {
        let Some(graph) = &self.proto().graph else { return Vec::new() };
        let roles = roles(graph);
        let known = graph.initializer.iter().filter_map(|tensor| {
            let dims: Vec<_> =
                tensor.dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
            let is_float = Element::from_onnx(tensor.data_type) == Element::F32;
            let role = *roles.get(tensor.name.as_str())?;
            let many = role == Role::State || dims.iter().product::<usize>() > 1;
            (is_float && many).then(|| Parameter { name: tensor.name.clone(), dims, role })
        });
        known.collect()
    }
}

/// What each name is to the nodes that read it; the first of them decides.
fn roles(graph: &GraphProto) -> HashMap<&str, Role> {
    let mut roles = HashMap::new();
    // From the last: what is only moved on its way is what those behind make of it.
    for node in graph.node.iter().rev().filter(|node| is_standard(&node.domain)) {
        for (position, name) in node.input.iter().enumerate() {
            let mut role = role(&node.op_type, position);
            if role.is_some() && MOVING.contains(&&*node.op_type) {
                let made = node.output.iter().filter_map(|made| roles.get(made.as_str())).next();
                role = Some(made.copied().unwrap_or(Role::Weight));
            }
            if let Some(role) = role {
                roles.insert(name.as_str(), role);
            }
        }
    }
    roles
}

/// Operators that only move elements, or cut them apart.
const MOVING: &[&str] = &[
    "Cast",
    "CastLike",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// What `operator` takes what it reads at `position` for, if for a parameter.
pub(super) fn role(operator: &str, position: usize) -> Option<Role> {
    match (operator, position) {
        ("BatchNormalization", 3 | 4) => Some(Role::State),
        (
            "BatchNormalization"
            | "LayerNormalization"
            | "InstanceNormalization"
            | "GroupNormalization"
            | "RMSNormalization",
            1 | 2,
        ) => Some(Role::Offset),
        ("Conv" | "ConvTranspose" | "Gemm", 2) => Some(Role::Offset),
        ("Conv" | "ConvTranspose" | "Gemm" | "MatMul", 0 | 1) => Some(Role::Weight),
        ("Gather", 0) => Some(Role::Weight),
        // A position embedding is added, a layer's scale multiplied; both are left undecayed.
        ("Add" | "Sub" | "Mul" | "Div" | "PRelu" | "Concat" | "Expand", _) => Some(Role::Offset),
        (moving, 0) if MOVING.contains(&moving) => Some(Role::Weight),
        _ => None,
    }
}

impl Composer {
    /// Copies the nodes of `model`. `inputs` are in the order of its inputs; `parameters` by the
    /// names of its initializers, the others stay constants. A copy that `trains` normalises by
    /// the statistics of its batch.
    ///
    /// # Errors
    /// [`Kind::Model`] with the node for operators that cannot be brought to this version of the
    /// standard ones, sizes that are not known, local functions, and weights that are not there.
    pub fn import(
        &mut self,
        model: &Model,
        inputs: &[Tensor],
        parameters: &HashMap<String, Tensor>,
        trains: bool,
    ) -> Result<Imported> {
        self.copy(model, inputs, parameters, trains).at(|| model.name().to_owned())
    }

    fn copy(
        &mut self,
        model: &Model,
        inputs: &[Tensor],
        parameters: &HashMap<String, Tensor>,
        trains: bool,
    ) -> Result<Imported> {
        let Some(graph) = &model.proto().graph else {
            return Err(Error::new(Kind::Model, "has no graph"));
        };
        let opset = model.opset().unwrap_or(1);
        let mut copy = Copy {
            model,
            names: HashMap::new(),
            lists: HashMap::new(),
            statistics: Vec::new(),
            trains,
        };
        let names = model.inputs().iter().map(|input| input.name.as_str());
        copy.names.extend(names.zip(inputs.iter().cloned()));
        let read: HashSet<&str> =
            graph.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
        for tensor in graph.initializer.iter().filter(|tensor| read.contains(tensor.name.as_str()))
        {
            let known = match parameters.get(&tensor.name) {
                Some(parameter) => parameter.clone(),
                None => self.copied(model, tensor)?,
            };
            copy.names.insert(&tensor.name, known);
        }
        let outside = self.enter("");
        for node in &graph.node {
            self.enter(if node.name.is_empty() { &node.op_type } else { &node.name });
            copy.node(self, node, opset).at(|| NodeName::of(node))?;
        }
        self.enter(&outside);
        let outputs = graph.output.iter().map(|output| {
            let made = copy.names.get(output.name.as_str()).cloned();
            made.ok_or_else(|| Error::new(Kind::Model, format!("never makes `{}`", output.name)))
        });
        Ok(Imported { outputs: outputs.collect::<Result<_>>()?, statistics: copy.statistics })
    }

    /// A constant of `model` in this graph.
    fn copied(&mut self, model: &Model, tensor: &TensorProto) -> Result<Tensor> {
        let mut proto = external::whole(tensor, model.path())?.into_owned();
        proto.name = self.fresh_in("", &format!("constant/{}", tensor.name));
        Ok(self.initializer(proto))
    }
}

struct Copy<'a> {
    model: &'a Model,
    /// By the model's names, what they are here.
    names: HashMap<&'a str, Tensor>,
    /// The same of lists of tensors.
    lists: HashMap<&'a str, Vec<Tensor>>,
    statistics: Vec<Statistics>,
    trains: bool,
}

impl<'a> Copy<'a> {
    fn node(&mut self, composer: &mut Composer, node: &'a NodeProto, opset: i64) -> Result<()> {
        if let Some(constant) = Constant::of_node(node) {
            let made = match constant {
                Constant::Tensor(tensor) => composer.copied(self.model, tensor)?,
                Constant::Float(value) => composer.floats(Element::F32, &[], &[f64::from(value)]),
                Constant::Floats(values) => {
                    let values: Vec<f64> = values.iter().copied().map(f64::from).collect();
                    composer.floats(Element::F32, &[values.len()], &values)
                }
                Constant::Int(value) => composer.int_tensor(&[], &[value]),
                Constant::Ints(values) => composer.ints(values),
            };
            self.names.insert(&node.output[0], made);
            return Ok(());
        }
        if let ("SequenceAt", [list, place]) = (node.op_type.as_str(), &node.input[..])
            && let (Some(list), Some(place)) =
                (self.lists.get(list.as_str()), self.names.get(place.as_str()))
        {
            self.names.insert(&node.output[0], sequence::at(composer, list, place)?);
            return Ok(());
        }
        let inputs = node.input.iter().map(|name| match name.as_str() {
            "" => Ok(None),
            name => self.names.get(name).cloned().map(Some).ok_or_else(|| {
                Error::new(Kind::Model, format!("it reads `{name}`, which nothing makes"))
            }),
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        if let ("SplitToSequence", [Some(x), lengths @ ..]) = (node.op_type.as_str(), &inputs[..]) {
            let lengths = lengths.first().and_then(Option::as_ref);
            let parts = sequence::parts(composer, node, x, lengths)?;
            self.lists.insert(&node.output[0], parts);
            return Ok(());
        }
        let made = match (node.op_type.as_str(), &inputs[..]) {
            (
                "BatchNormalization",
                [Some(x), Some(scale), Some(offset), Some(mean), Some(variance)],
            ) if self.trains && is_standard(&node.domain) => {
                let epsilon = float_attribute(node, "epsilon").unwrap_or(1e-5);
                let (y, batch) =
                    composer.batch_norm(x, [scale, offset], [mean, variance], epsilon)?;
                self.statistics.push(Statistics {
                    names: [node.input[3].clone(), node.input[4].clone()],
                    batch,
                    momentum: float_attribute(node, "momentum").unwrap_or(0.9),
                });
                vec![y]
            }
            _ => match modernise(composer, node, inputs, opset)? {
                Modern::Made(made) => made,
                Modern::Node { operator, inputs, attributes, outputs } => {
                    let inputs: Vec<_> = inputs.iter().map(Option::as_ref).collect();
                    composer.add(&operator, &inputs, attributes, outputs)?
                }
            },
        };
        let names = node.output.iter().map(String::as_str).zip(made);
        self.names.extend(names.filter(|(name, _)| !name.is_empty()));
        Ok(())
    }
}

impl Composer {
    /// Channels normalised by the mean and variance of this batch, then scaled and shifted; and
    /// the mean and the unbiased variance (Ioffe and Szegedy 2015). `running` are the statistics so
    /// far, which change nothing.
    ///
    /// # Errors
    /// As [`Composer::op`].
    pub fn batch_norm(
        &mut self,
        x: &Tensor,
        [scale, offset]: [&Tensor; 2],
        running: [&Tensor; 2],
        epsilon: f32,
    ) -> Result<(Tensor, [Tensor; 2])> {
        use super::Attribute::{Float, Int};
        let channels = self.dims(x).get(1).copied().unwrap_or(1);
        if self.may_own(x) {
            let dims = [self.dims(x).to_vec(), vec![channels], vec![channels]];
            let inputs = [x, scale, offset];
            let made = self.own(BATCH_NORM, &inputs, &[Float("epsilon", epsilon)], &dims);
            let unbiased = self.unbiased(x, &made[2])?;
            return Ok((made[0].clone(), [made[1].clone(), unbiased]));
        }
        // With momentum 0 the "running" outputs are those of this batch, the variance biased. Runtimes
        // write them over the two inputs, whoever else reads those: so both are tensors that only
        // this node reads, and that no other node can be found to compute as well.
        let attributes =
            [Float("epsilon", epsilon), Float("momentum", 0.0), Int("training_mode", 1)];
        let only = self.nodes().len() as f64 + 2.0;
        let running = [self.scale(running[0], only)?, self.scale(running[1], only)?];
        let inputs = [Some(x), Some(scale), Some(offset), Some(&running[0]), Some(&running[1])];
        let made = self.ops("BatchNormalization", &inputs, &attributes, 3)?;
        let [y, mean, variance] = &made[..] else { unreachable!("three were asked for") };
        let unbiased = self.unbiased(x, variance)?;
        Ok((y.clone(), [mean.clone(), unbiased]))
    }

    /// The variances of the channels of `x` as those of what they are drawn from.
    fn unbiased(&mut self, x: &Tensor, variance: &Tensor) -> Result<Tensor> {
        let each = self.count(x) / self.count(variance).max(1);
        self.scale(variance, each as f64 / each.saturating_sub(1).max(1) as f64)
    }
}
