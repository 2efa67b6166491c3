//! A strided transposed convolution as convolutions of stride 1, interleaved.
//!
//! Along one axis, with stride `a`, dilation `d` and padding `p` before,
//!
//! ```text
//! y[o] = Σ x[i] · w[t]  over all i, t with  a·i + d·t = o + p,
//! ```
//!
//! so tap `t` takes part in output `o` if `a` divides `o + p - d·t`, and then reads pixel
//! `i = (o + p - d·t) / a`. Output `o + a` reads pixel `i + 1` with the same taps: that is the layer
//! of [`super::polyphase`], with at most one tap an offset, and its proof holds. Output padding only
//! makes `L` larger. Within a phase the taps are those with `d·t ≡ o + p (mod a)`: one in `a / g`
//! with `g = gcd(a, d)`, whose offsets lie `d / g` apart, and that is the dilation of its
//! convolution.
//!
//! As phases every product of the layer is computed exactly once, where a transposed convolution
//! computes all products of the kernel and adds them up where they overlap. Joined, the kernel is as
//! large as all phases' offsets together: for kernel 4 and stride 2 that is 9 products in place of 4,
//! but in one call.

use super::layer::Layer;
use super::polyphase::{Axis, Given, Polyphase, Weave, blocks, gcd};
use super::view::{View, input};
use crate::graph::draft::Draft;
use crate::graph::proto::NodeProto;

/// In how many convolutions, and how they are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One a phase, put together by `DepthToSpace`.
    Phases,
    /// One a phase, put together by `Concat`.
    Woven,
    /// One for all phases.
    Joined,
}

/// A strided transposed convolution that can be written as phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transposed {
    /// That it makes; as many has every phase.
    pub channels: usize,
    /// `[height, width]`.
    pub stride: [usize; 2],
    /// `[height, width]`.
    pub kernel: [usize; 2],
    /// Whether it has neither groups nor dilation.
    pub is_dense: bool,
    /// The channels of all phases together, where [`super::Rewrite::JoinedPhases`] fits.
    pub joined_channels: Option<usize>,
}

/// What a transposed convolution becomes.
struct Plan {
    layer: Layer,
    axes: [Axis; 2],
}

fn plan(view: &View<'_>, node: &NodeProto, form: Form) -> Option<Plan> {
    let layer = Layer::of(view, node).filter(|layer| layer.transposed)?;
    let weave = if form == Form::Woven { Weave::Concat } else { Weave::DepthToSpace };
    let blocks = blocks(layer.axes.map(|axis| axis.stride), weave)?;
    let axis = |at: usize| {
        let of = layer.axes[at];
        let (scale, dilation, before) = (of.stride, of.dilation, of.before);
        let step = if of.kernel == 1 { 1 } else { dilation / gcd(scale, dilation) };
        let given = Given { scale, extra: of.extra, size: of.size, taps: of.kernel, step };
        Axis::new(&given, blocks[at], |phase, tap| {
            let distance = phase + before - dilation * tap;
            (distance.rem_euclid(scale) == 0).then(|| distance.div_euclid(scale))
        })
    };
    let axes = [axis(0)?, axis(1)?];
    let known = input(node, 2).is_none_or(|bias| view.float_dims(bias).is_some());
    let fits = match form {
        Form::Phases => true,
        Form::Woven => axes[0].can_be_woven(),
        // Its channels are split the other way, which `DepthToSpace` learnt in version 11; its bias
        // has to be repeated, so known; and a dilation would leave holes.
        Form::Joined => view.opset >= 11 && known && axes.iter().all(Axis::is_dense),
    };
    fits.then_some(Plan { layer, axes })
}

/// What `node` is, if it is a transposed convolution that can be written as phases.
pub(super) fn transposed(view: &View<'_>, node: &NodeProto) -> Option<Transposed> {
    let Plan { layer, .. } = plan(view, node, Form::Phases)?;
    let size = |value: i64| usize::try_from(value).ok();
    let [vertical, horizontal] = layer.axes;
    let stride = [size(vertical.stride)?, size(horizontal.stride)?];
    let together = layer.channels_out.checked_mul(stride[0])?.checked_mul(stride[1])?;
    Some(Transposed {
        channels: layer.channels_out,
        stride,
        kernel: [size(vertical.kernel)?, size(horizontal.kernel)?],
        is_dense: layer.group == 1 && layer.axes.iter().all(|axis| axis.dilation == 1),
        joined_channels: fits(view, node, Form::Joined).then_some(together),
    })
}

/// Whether `node` can be written in this form.
pub(super) fn fits(view: &View<'_>, node: &NodeProto, form: Form) -> bool {
    plan(view, node, form).is_some()
}

/// Writes the node at `position` in this form; `None` if it does not fit.
pub(super) fn apply(draft: &mut Draft, position: usize, form: Form) -> Option<()> {
    let view = View::of(draft);
    let node = draft.graph().node[position].clone();
    let Plan { layer, axes } = plan(&view, &node, form)?;
    let kernel = layer.kernel(&view.floats(input(&node, 1)?)?);
    let bias = input(&node, 2);
    let values = match (form, bias) {
        (Form::Joined, Some(bias)) => Some(view.floats(bias)?.values),
        _ => None,
    };
    let axes = if form == Form::Joined { axes.each_ref().map(Axis::joined) } else { axes };
    let (source, group) = (input(&node, 0)?, layer.group);
    let polyphase = Polyphase { axes: &axes, kernel: &kernel, group, source, bias };
    match form {
        Form::Phases => polyphase.write(draft, position, Weave::DepthToSpace),
        Form::Woven => polyphase.write(draft, position, Weave::Concat),
        Form::Joined => polyphase.write_joined(draft, position, values.as_deref()),
    }
    Some(())
}
