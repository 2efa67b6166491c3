//! Operators of genset's own, which only some sessions have.
//!
//! Graphs hold them when they are asked for with [`Composer::with_own`]; each stands for several
//! standard ones, and does the same up to rounding.

use super::{Attribute, Composer, OWN_DOMAIN, Tensor};
use crate::graph::Element;
use crate::graph::constant::{attribute, int_attribute};
use crate::graph::nodes::node as then;
use crate::graph::proto::NodeProto;

/// x, scale, offset → y, mean, variance: normalisation by the batch.
pub(crate) const BATCH_NORM: &str = "BatchNorm";
/// g, y', x, scale, mean, variance → dx, dscale, doffset.
pub(crate) const BATCH_NORM_GRADIENT: &str = "BatchNormGradient";
/// x, weights → a convolution of images, without an offset.
pub(crate) const CONV: &str = "Conv";
/// g, x → how a convolution's weights change its output.
pub(crate) const CONV_WEIGHT_GRADIENT: &str = "ConvWeightGradient";
/// g, weights → how its images do.
pub(crate) const CONV_IMAGE_GRADIENT: &str = "ConvImageGradient";
/// g, y → g where y is above 0.
pub(crate) const RELU_GRADIENT: &str = "ReluGradient";

impl Composer {
    /// An empty graph that may hold operators of genset's own.
    pub fn with_own() -> Self {
        Self { may_own: true, ..Self::default() }
    }

    /// Whether a node on `tensor` may be one of those: they are for `f32`.
    pub fn may_own(&self, tensor: &Tensor) -> bool {
        self.may_own && self.element(tensor) == Element::F32
    }

    /// A node of [`OWN_DOMAIN`], whose outputs are of the given sizes and of the first input's type.
    pub fn own(
        &mut self,
        operator: &str,
        inputs: &[&Tensor],
        attributes: &[Attribute<'_>],
        outputs: &[Vec<usize>],
    ) -> Vec<Tensor> {
        self.has_own = true;
        let element = self.element(inputs[0]);
        let names: Vec<_> = outputs.iter().map(|_| self.fresh(operator)).collect();
        self.graph.node.push(NodeProto {
            name: names[0].clone(),
            op_type: operator.to_owned(),
            domain: OWN_DOMAIN.to_owned(),
            input: inputs.iter().map(|tensor| tensor.name().to_owned()).collect(),
            output: names.clone(),
            attribute: attributes.iter().copied().map(Attribute::to_proto).collect(),
            ..Default::default()
        });
        let known = names.iter().zip(outputs);
        known.map(|(name, dims)| self.made(name, element, dims)).collect()
    }
}

/// Of a row of pixels and its padding, what should be pixels, for a convolution of genset's own to be
/// the faster one.
const FULL: f64 = 0.55;

/// Fewer channels than this leave most of a block of its results empty.
const FEW: usize = 4;

impl Composer {
    /// Puts genset's own convolution in the place of the standard one, where it is the faster.
    pub(super) fn own_convolutions(&mut self) {
        let nodes = std::mem::take(&mut self.graph.node);
        for node in nodes {
            match self.own_convolution(&node) {
                Some(made) => self.graph.node.extend(made),
                None => self.graph.node.push(node),
            }
        }
    }

    fn own_convolution(&mut self, node: &NodeProto) -> Option<Vec<NodeProto>> {
        if node.op_type != "Conv" || !node.domain.is_empty() {
            return None;
        }
        let tensor = |name: &String| self.tensor(name);
        let [x, w] = [tensor(node.input.first()?)?, tensor(node.input.get(1)?)?];
        let y = tensor(node.output.first()?)?;
        let dims = |tensor: &Tensor| self.dims(tensor).to_vec();
        let (x_dims, w_dims, y_dims) = (dims(&x), dims(&w), dims(&y));
        let mode = attribute(node, "auto_pad").and_then(|mode| mode.s.as_deref());
        let is_plain = mode.is_none_or(|mode| mode == b"NOTSET");
        if !(is_plain && self.may_own(&x) && x_dims.len() == 4) {
            return None;
        }
        let list = |name: &str, default: i64| {
            let list = attribute(node, name).map(|list| list.ints.clone()).unwrap_or_default();
            if list.is_empty() { vec![default; 2] } else { list[..2].to_vec() }
        };
        let (strides, dilations) = (list("strides", 1), list("dilations", 1));
        let group = int_attribute(node, "group").unwrap_or(1);
        let plane: f64 = (0..2)
            .map(|axis| {
                let reach = (w_dims[axis + 2] as i64 - 1) * dilations[axis] / strides[axis];
                y_dims[axis + 2] as f64 + reach as f64
            })
            .product();
        let windows = (y_dims[2] * y_dims[3]) as f64;
        if windows < FULL * plane || w_dims[0] / usize::try_from(group).ok()?.max(1) < FEW {
            return None;
        }
        self.has_own = true;
        let sizes = [y_dims[2] as i64, y_dims[3] as i64];
        let attributes = [
            Attribute::Ints("sizes", &sizes),
            Attribute::Ints("strides", &strides),
            Attribute::Ints("dilations", &dilations),
            Attribute::Ints("before", &list("pads", 0)),
            Attribute::Ints("group", &[group]),
        ];
        let bias = node.input.get(2).filter(|name| !name.is_empty()).cloned();
        let mut made = node.clone();
        made.domain = OWN_DOMAIN.to_owned();
        made.attribute = attributes.map(Attribute::to_proto).to_vec();
        made.input.truncate(2);
        let Some(bias) = bias else { return Some(vec![made]) };
        // What is added to each channel comes after.
        let channels = self.sizes(&[w_dims[0], 1, 1]);
        let [product, offset] = ["product", "offset"].map(|what| self.fresh_in("", what));
        made.name.clone_from(&product);
        let output = std::mem::replace(&mut made.output[0], product.clone());
        let shaped = then("Reshape", &offset, &[&bias, channels.name()], &offset, vec![]);
        let sum = then("Add", &output, &[&product, &offset], &output, vec![]);
        Some(vec![made, shaped, sum])
    }
}
