//! Reverse-mode differentiation: from a graph that computes a number to one that also computes how
//! that number changes with any of its tensors.
//!
//! The nodes are gone through once, from the last to the first. Each is given the gradients of its
//! outputs and adds, in ordinary nodes, those of its inputs; what several nodes read is the sum of
//! what each gives. Which nodes an operator adds is its rule, one file a family, with the
//! derivative that it follows (Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 3, for
//! the method). Gradients are again nodes with rules, so they can be differentiated in turn.

mod average_pool;
mod back;
mod binary;
mod conv;
mod conv_transpose;
mod extreme;
mod gather;
mod gelu;
mod linear;
mod max_pool;
mod model;
mod norm;
mod parts;
mod reduce;
mod reshape;
mod resize;
mod softmax;
mod unary;
mod window;

use std::collections::{HashMap, HashSet};

use self::back::{Back, Gradients};
pub use self::model::DIRECTION;
use super::compose::{BATCH_NORM, Composer, Tensor};
use super::operators::NodeName;
use crate::error::{Error, Kind, Result, ResultExt};

type Rule = fn(&mut Back<'_>) -> Gradients;

/// Every operator with a rule.
const RULES: &[(&str, Rule)] = &[
    ("Abs", unary::abs),
    ("Add", binary::sum),
    ("AveragePool", average_pool::rule),
    ("BatchNormalization", norm::batch),
    ("Cast", unary::cast),
    ("Celu", unary::celu),
    ("Clip", unary::clip),
    ("Concat", parts::concat),
    ("Conv", conv::rule),
    ("ConvTranspose", conv_transpose::rule),
    ("Cos", unary::cos),
    ("DepthToSpace", reshape::depth_to_space),
    ("Div", binary::div),
    ("Elu", unary::elu),
    ("Erf", unary::erf),
    ("Exp", unary::exp),
    ("Expand", reshape::expand),
    ("Flatten", reshape::reshape),
    ("Gather", gather::rule),
    ("Gelu", gelu::rule),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", average_pool::global),
    ("GlobalMaxPool", max_pool::global),
    ("HardSigmoid", unary::hard_sigmoid),
    ("HardSwish", unary::hard_swish),
    ("Identity", unary::identity),
    ("InstanceNormalization", norm::instance),
    ("LayerNormalization", norm::layer),
    ("LeakyRelu", unary::leaky_relu),
    ("Log", unary::log),
    ("LogSoftmax", softmax::log_softmax),
    ("LpNormalization", norm::unit),
    ("MatMul", linear::matmul),
    ("Max", extreme::several),
    ("MaxPool", max_pool::rule),
    ("Mean", binary::mean),
    ("Min", extreme::several),
    ("Mish", unary::mish),
    ("Mul", binary::mul),
    ("Neg", unary::neg),
    ("PRelu", binary::prelu),
    ("Pad", parts::pad),
    ("Pow", binary::pow),
    ("ReduceL1", reduce::l1),
    ("ReduceL2", reduce::l2),
    ("ReduceLogSum", reduce::log_sum),
    ("ReduceLogSumExp", reduce::log_sum_exp),
    ("ReduceMax", extreme::reduce),
    ("ReduceMean", reduce::mean),
    ("ReduceMin", extreme::reduce),
    ("ReduceSum", reduce::sum),
    ("ReduceSumSquare", reduce::sum_square),
    ("Reciprocal", unary::reciprocal),
    ("Relu", unary::relu),
    ("Reshape", reshape::reshape),
    ("Resize", resize::rule),
    ("Selu", unary::selu),
    ("Sigmoid", unary::sigmoid),
    ("Sin", unary::sin),
    ("Slice", parts::slice),
    ("Softmax", softmax::softmax),
    ("Softplus", unary::softplus),
    ("Softsign", unary::softsign),
    ("SpaceToDepth", reshape::space_to_depth),
    ("Split", parts::split),
    ("Sqrt", unary::sqrt),
    ("Squeeze", reshape::reshape),
    ("Sub", binary::sub),
    ("Sum", binary::sum),
    ("Tanh", unary::tanh),
    ("Tile", reshape::tile),
    ("Transpose", reshape::transpose),
    ("Unsqueeze", reshape::reshape),
    ("Where", binary::choose),
];

/// Operators of genset's own with a rule.
const OWN_RULES: &[(&str, Rule)] = &[(BATCH_NORM, norm::own)];

/// Operators that are flat wherever they are smooth: nothing comes back through them.
const FLAT: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Ceil",
    "ConstantOfShape",
    "Equal",
    "EyeLike",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Not",
    "OneHot",
    "Or",
    "Range",
    "Round",
    "Shape",
    "Sign",
    "Size",
    "Xor",
];

/// Every operator that can be differentiated, in alphabetical order.
pub(crate) fn operators() -> Vec<&'static str> {
    RULES.iter().map(|(operator, _)| *operator).collect()
}

impl Composer {
    /// How the number `loss` changes with each of `of`: tensors of their sizes. `None` for one
    /// that the loss does not depend on. Nothing comes back through the tensors in `stopped`.
    ///
    /// # Errors
    /// [`Kind::Argument`] if the loss is more than one number; [`Kind::Model`] with the node for
    /// an operator without a rule, and what is differentiable where it is not.
    pub(crate) fn gradients(
        &mut self,
        loss: &Tensor,
        of: &[Tensor],
        stopped: &[Tensor],
    ) -> Result<Vec<Option<Tensor>>> {
        if self.count(loss) != 1 {
            let message = format!("the loss has the sizes {:?}; one number", self.dims(loss));
            return Err(Error::new(Kind::Argument, message).help("take its mean or its sum"));
        }
        let stopped: HashSet<&str> = stopped.iter().map(Tensor::name).collect();
        let nodes = self.nodes().to_vec();
        // What depends on any of `of`; the rest has no gradient that anybody asks for.
        let mut live: HashSet<&str> = of.iter().map(Tensor::name).collect();
        for node in &nodes {
            if node.input.iter().any(|name| live.contains(name.as_str())) {
                let made = node.output.iter().map(String::as_str);
                live.extend(made.filter(|name| !stopped.contains(name)));
            }
        }
        let one = self.scalar(loss, 1.0);
        let dims = self.dims(loss).to_vec();
        let mut found = HashMap::new();
        found.insert(loss.name().to_owned(), vec![self.expand(&one, &dims)?]);
        let mut rectified = HashMap::new();
        let outside = self.enter("gradient");
        for node in nodes.iter().rev() {
            let needs: Vec<bool> =
                node.input.iter().map(|name| live.contains(name.as_str())).collect();
            let is_read = node.output.iter().any(|name| found.contains_key(name));
            if !needs.contains(&true) || !is_read || FLAT.contains(&&*node.op_type) {
                continue;
            }
            let mut given = Vec::new();
            for name in &node.output {
                let parts = found.remove(name).unwrap_or_default();
                let total = self.total(parts)?.filter(|_| live.contains(name.as_str()));
                if let Some(total) = &total {
                    // Somebody may ask for it.
                    found.insert(name.clone(), vec![total.clone()]);
                }
                given.push(total);
            }
            let rules = if node.domain.is_empty() { RULES } else { OWN_RULES };
            let rule = rules.iter().find(|(operator, _)| *operator == node.op_type);
            let (_, rule) = rule.ok_or_else(|| {
                let message = format!("`{}` cannot be differentiated", node.op_type);
                Error::new(Kind::Model, message)
                    .at(NodeName::of(node))
                    .help(format!("operators that can: {}", operators().join(", ")))
            })?;
            let mut back = Back { composer: self, node, given, needs, rectified: &mut rectified };
            let gradients = rule(&mut back).at(|| NodeName::of(node))?;
            for (name, gradient) in node.input.iter().zip(gradients) {
                let Some(gradient) = gradient.filter(|_| live.contains(name.as_str())) else {
                    continue;
                };
                debug_assert_eq!(
                    self.tensor(name).map(|tensor| self.dims(&tensor).to_vec()),
                    Some(self.dims(&gradient).to_vec()),
                    "{}: `{name}`",
                    node.op_type
                );
                found.entry(name.clone()).or_insert_with(Vec::new).push(gradient);
            }
        }
        self.enter(&outside);
        of.iter()
            .map(|tensor| self.total(found.remove(tensor.name()).unwrap_or_default()))
            .collect()
    }

    fn total(&mut self, parts: Vec<Tensor>) -> Result<Option<Tensor>> {
        let mut parts = parts.into_iter();
        let Some(mut total) = parts.next() else { return Ok(None) };
        for part in parts {
            total = self.add2(&total, &part)?;
        }
        Ok(Some(total))
    }
}
