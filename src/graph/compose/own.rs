//! Operators of genset's own, which only some sessions have.
//!
//! Graphs hold them when they are asked for with [`Composer::with_own`]; each stands for several
//! standard ones, and does the same up to rounding.

use super::{Attribute, Composer, OWN_DOMAIN, Tensor};
use crate::graph::Element;

/// x, scale, offset → y, mean, variance: normalisation by the batch.
pub(crate) const BATCH_NORM: &str = "BatchNorm";
/// g, y', x, scale, mean, variance → dx, dscale, doffset.
pub(crate) const BATCH_NORM_GRADIENT: &str = "BatchNormGradient";
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
        let inputs = inputs.iter().map(|tensor| tensor.name().to_owned()).collect();
        let attributes = attributes.iter().map(Attribute::to_proto).collect();
        self.push(operator, OWN_DOMAIN, inputs, names.clone(), attributes);
        let known = names.iter().zip(outputs);
        known.map(|(name, dims)| self.made(name, element, dims)).collect()
    }
}
