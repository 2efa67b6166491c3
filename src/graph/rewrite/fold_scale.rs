//! Constants that scale and shift channels, moved into the weights of the layer beside them.
//!
//! Let a layer be `y_k = Σ_c W_kc · x_c + b_k` for output channel `k` and input channels `c`, where
//! `W_kc · x_c` is a product, a convolution or a transposed convolution: linear in `x_c`.
//!
//! *Behind it*, `z_k = f_k · y_k + g_k` is `Σ_c (f_k · W_kc) · x_c + (f_k · b_k + g_k)`: the same
//! layer with other weights. That holds for `BatchNormalization` with running statistics, where
//! `f = scale / √(variance + ε)` and `g = bias - f · mean`, and for `Mul`, `Div`, `Add` and `Sub`
//! with a constant a channel; one after another they compose.
//!
//! *Before it*, `x_c = f_c · u_c + g_c` gives `Σ_c (W_kc · f_c) · u_c + (b_k + Σ_c W_kc · g_c)`. The
//! last sum is a constant where every output sees every tap of the kernel: in a product and in a
//! convolution without padding. Zeros that padding puts around `x` are zeros around `u`, so `f`
//! alone may always move; a transposed convolution has borders of its own, so there `f` alone too.
//!
//! What lies between the two must be read by nobody else. A node that lies between two layers goes
//! into the first.

use super::affine::{Affine, Place};
use super::layer::Layer;
use super::view::{View, input, ints, text};
use crate::graph::constant::{attribute, int_attribute};
use crate::graph::draft::Draft;
use crate::graph::nodes::{float, int, node};
use crate::graph::proto::NodeProto;

/// No chain of such nodes is longer.
const MAX_CHAIN: usize = 16;

/// A layer with constant weights, as the proof sees it.
struct Linear {
    kind: Kind,
    inputs: usize,
    outputs: usize,
    /// Input channels of one group.
    inner: usize,
    /// Values of a kernel: 1 in a product.
    area: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `padded` if some output sees less than the whole kernel.
    Conv {
        padded: bool,
    },
    ConvTranspose,
    Gemm {
        transposed: bool,
    },
    MatMul,
}

/// Nodes that can move into a layer.
struct Plan {
    linear: Linear,
    /// Behind it: positions, in order, and what they do together.
    behind: Vec<usize>,
    after: Affine,
    /// Before it: positions, from the layer backwards, what they do, and what they read.
    before: Vec<usize>,
    ahead: Affine,
    source: String,
}

impl Linear {
    fn of(view: &View<'_>, node: &NodeProto) -> Option<Self> {
        if let Some(layer) = Layer::of(view, node) {
            let bias = input(node, 2).is_none_or(|bias| view.float_dims(bias).is_some());
            let padded = ints(node, "pads").iter().any(|pad| *pad != 0)
                || matches!(text(node, "auto_pad"), Some(b"SAME_UPPER" | b"SAME_LOWER"));
            let area: i64 = layer.axes.iter().map(|axis| axis.kernel).product();
            return bias.then_some(Self {
                kind: if layer.transposed { Kind::ConvTranspose } else { Kind::Conv { padded } },
                inputs: layer.channels_in,
                outputs: layer.channels_out,
                inner: layer.channels_in / layer.group,
                area: usize::try_from(area).ok()?,
            });
        }
        let product = matches!(node.op_type.as_str(), "Gemm" | "MatMul");
        let dims = product.then(|| view.float_dims(input(node, 1)?))??;
        let [first, second] = dims[..] else { return None };
        let on = |name: &str| int_attribute(node, name).unwrap_or(0) != 0;
        let (kind, transposed) = match node.op_type == "Gemm" {
            true => (Kind::Gemm { transposed: on("transB") }, on("transB")),
            false => (Kind::MatMul, false),
        };
        let (inputs, outputs) = if transposed { (second, first) } else { (first, second) };
        if let Kind::Gemm { .. } = kind
            && (on("transA") || gemm_bias(view, node, outputs).is_none())
        {
            return None;
        }
        Some(Self { kind, inputs, outputs, inner: inputs, area: 1 })
    }

    /// How its output and its input lie.
    fn places(&self, view: &View<'_>, node: &NodeProto) -> (Place, Place) {
        let (behind, rank) = match self.kind {
            Kind::Conv { .. } | Kind::ConvTranspose => (2, 4),
            Kind::Gemm { .. } => (0, 2),
            Kind::MatMul => {
                let dims = input(node, 0).and_then(|name| view.dims(name));
                (0, dims.map_or(1, |dims| dims.len()))
            }
        };
        let place = |channels| Place { channels, behind, rank };
        (place(self.outputs), place(self.inputs))
    }

    /// By position in the weights: the output and the input channel.
    fn channels(&self, at: usize) -> (usize, usize) {
        let (outer, of_group) = (at / self.area, self.outputs / (self.inputs / self.inner));
        match self.kind {
            Kind::Conv { .. } => {
                let (out, inner) = (outer / self.inner, outer % self.inner);
                (out, out / of_group * self.inner + inner)
            }
            Kind::ConvTranspose => {
                let from = outer / of_group;
                (from / self.inner * of_group + outer % of_group, from)
            }
            Kind::Gemm { transposed: true } => (at / self.inputs, at % self.inputs),
            Kind::Gemm { .. } | Kind::MatMul => (at % self.outputs, at / self.outputs),
        }
    }

    /// Its bias, one value an output channel.
    fn bias(&self, view: &View<'_>, node: &NodeProto) -> Option<Vec<f64>> {
        match self.kind {
            Kind::Gemm { .. } => gemm_bias(view, node, self.outputs),
            Kind::MatMul => Some(vec![0.0; self.outputs]),
            Kind::Conv { .. } | Kind::ConvTranspose => match input(node, 2) {
                None => Some(vec![0.0; self.outputs]),
                Some(name) => {
                    let bias = view.floats(name)?;
                    Some(bias.values.into_iter().map(f64::from).collect())
                }
            },
        }
    }
}

/// The bias of a `Gemm` a column, times `beta`; `None` if it differs by row or is not known.
fn gemm_bias(view: &View<'_>, node: &NodeProto, columns: usize) -> Option<Vec<f64>> {
    let Some(name) = input(node, 2) else { return Some(vec![0.0; columns]) };
    let dims = view.float_dims(name)?;
    let beta = attribute(node, "beta").and_then(|beta| beta.f).unwrap_or(1.0);
    let fits = match dims[..] {
        [] => true,
        [n] | [1, n] => n == 1 || n == columns,
        _ => false,
    };
    let values = fits.then(|| view.floats(name))??.values;
    let times = |value: &f32| f64::from(beta) * f64::from(*value);
    Some(match values[..] {
        [one] => vec![times(&one); columns],
        _ => values.iter().map(times).collect(),
    })
}

/// What can move into `node`.
fn plan(view: &View<'_>, node: &NodeProto) -> Option<Plan> {
    let linear = Linear::of(view, node)?;
    let (output, source) = (node.output.first()?, input(node, 0)?);
    let (place_out, place_in) = linear.places(view, node);
    let (behind, after) = behind(view, output, place_out);
    let shifts = match linear.kind {
        Kind::Conv { padded } => !padded,
        Kind::Gemm { .. } => true,
        Kind::ConvTranspose | Kind::MatMul => false,
    };
    let mut plan = Plan {
        behind,
        after,
        before: Vec::new(),
        ahead: Affine::identity(linear.inputs),
        source: source.to_owned(),
        linear,
    };
    plan.look_ahead(view, place_in, shifts);
    // A product has no bias: a shift alone behind it is as well where it is.
    let bare = plan.linear.kind == Kind::MatMul && !plan.after.only_scales();
    let pays = plan.behind.len() > usize::from(bare) || !plan.before.is_empty();
    pays.then_some(plan)
}

/// The nodes behind the tensor `name` that scale and shift it: positions, in order, and what they
/// do together.
fn behind(view: &View<'_>, name: &str, place: Place) -> (Vec<usize>, Affine) {
    let (mut positions, mut after) = (Vec::new(), Affine::identity(place.channels));
    let mut name = name;
    while positions.len() < MAX_CHAIN
        && let Some((position, node)) = view.only_reader(name)
        && let Some(next) = Affine::of(view, node, name, place)
        && let Some(output) = node.output.first()
    {
        positions.push(position);
        after = after.then(&next);
        name = output;
    }
    (positions, after)
}

impl Plan {
    /// Finds the nodes before the layer.
    fn look_ahead(&mut self, view: &View<'_>, place: Place, shifts: bool) {
        let whole = self.source.clone();
        while self.before.len() < MAX_CHAIN {
            let Some((position, from, affine)) = ahead_of(view, &self.source, place) else { break };
            if !(shifts || affine.only_scales()) {
                break;
            }
            self.before.push(position);
            self.ahead = affine.then(&self.ahead);
            self.source = from;
        }
        if !self.before.is_empty() && is_behind_a_layer(view, &self.source) {
            self.before.clear();
            self.ahead = Affine::identity(place.channels);
            self.source.clone_from(&whole);
        }
    }
}

/// Whether `name`, or what it is scaled and shifted from, comes out of a layer that takes such
/// nodes itself.
fn is_behind_a_layer(view: &View<'_>, name: &str) -> bool {
    let mut name = name;
    for _ in 0..MAX_CHAIN {
        let Some(node) = view.maker(name) else { return false };
        if let Some(linear) = Linear::of(view, node) {
            return !behind(view, name, linear.places(view, node).0).0.is_empty();
        }
        let scales = ["Identity", "BatchNormalization", "Mul", "Div", "Add", "Sub"];
        let from = node.input.iter().find(|input| view.constant(input).is_none());
        match from.filter(|_| scales.contains(&node.op_type.as_str())) {
            Some(from) => name = from,
            None => return false,
        }
    }
    false
}

/// The node that makes `name` for one reader alone by scaling and shifting: its position, what it
/// reads, what it does.
fn ahead_of(view: &View<'_>, name: &str, place: Place) -> Option<(usize, String, Affine)> {
    view.only_reader(name)?;
    let position = view.position(name)?;
    let node = view.maker(name)?;
    let is_constant = |input: &&String| view.constant(input).is_some();
    let from = node.input.iter().find(|input| !is_constant(input))?;
    let affine = Affine::of(view, node, from, place)?;
    // A constant could stretch what it meets to more channels, or more dimensions.
    let small = node.input.iter().filter(is_constant).all(|constant| {
        view.float_dims(constant).is_some_and(|dims| dims.is_empty() || dims == [1])
    });
    let keeps = matches!(node.op_type.as_str(), "BatchNormalization" | "Identity") || small;
    let fits = |dims: &[Option<usize>]| {
        let axis = dims.len().checked_sub(1 + place.behind);
        dims.len() >= place.rank && axis.is_some_and(|axis| dims[axis] == Some(place.channels))
    };
    (keeps || view.dims(from).is_some_and(fits)).then(|| (position, from.clone(), affine))
}

/// Whether something can move into `node`.
pub(super) fn fits(view: &View<'_>, node: &NodeProto) -> bool {
    plan(view, node).is_some()
}

/// Moves what can be moved into the node at `position`, and gives the name of its output from then
/// on: that of the last node that was behind it.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn apply(draft: &mut Draft, position: usize) -> Option<String> {
    let view = View::of(draft);
    let mut layer = draft.graph().node[position].clone();
    let Plan { linear, behind, after, before, ahead, source } = plan(&view, &layer)?;
    let weights = view.floats(input(&layer, 1)?)?;
    let mut bias = linear.bias(&view, &layer)?;
    let alpha = match linear.kind {
        Kind::Gemm { .. } => attribute(&layer, "alpha").and_then(|alpha| alpha.f).unwrap_or(1.0),
        _ => 1.0,
    };
    let mut values = Vec::with_capacity(weights.values.len());
    for (at, weight) in weights.values.iter().enumerate() {
        let (out, from) = linear.channels(at);
        let weight = f64::from(alpha) * f64::from(*weight);
        bias[out] += weight * ahead.shift[from];
        values.push((after.scale[out] * weight * ahead.scale[from]) as f32);
    }
    let bias = bias.iter().zip(&after.scale).zip(&after.shift);
    let bias: Vec<f32> = bias.map(|((b, scale), shift)| (b * scale + shift) as f32).collect();
    if values.iter().chain(&bias).any(|value| !value.is_finite()) {
        return None;
    }
    let last = behind.last().map_or(position, |last| *last);
    let output = draft.graph().node[last].output.first()?.clone();
    let stem = layer.output.first()?.clone();
    let weight = draft.add_floats(&format!("{stem}_scaled_weight"), &weights.dims, &values);
    layer.input.truncate(2);
    layer.input[0] = source;
    layer.input[1] = weight;
    layer.output[0].clone_from(&output);
    let had_bias = draft.graph().node[position].input.get(2).is_some_and(|name| !name.is_empty());
    let wants_bias = had_bias || bias.iter().any(|bias| *bias != 0.0);
    let mut nodes = Vec::new();
    let mut named = output.clone();
    match linear.kind {
        Kind::MatMul if wants_bias => {
            let bias = draft.add_floats(&format!("{stem}_shift"), &[bias.len()], &bias);
            let product = draft.fresh(&format!("{stem}_product"));
            layer.output[0].clone_from(&product);
            named.clone_from(&product);
            let name = draft.fresh(&format!("{stem}_shifted"));
            nodes.push(node("Add", &name, &[&product, &bias], &output, vec![]));
        }
        Kind::Gemm { transposed } => {
            let attributes =
                vec![float("alpha", 1.0), float("beta", 1.0), int("transB", transposed.into())];
            layer.attribute = attributes;
            layer.input.push(draft.add_floats(&format!("{stem}_bias"), &[bias.len()], &bias));
        }
        _ if wants_bias => {
            layer.input.push(draft.add_floats(&format!("{stem}_bias"), &[bias.len()], &bias));
        }
        _ => {}
    }
    nodes.insert(0, layer);
    let gone: Vec<usize> = behind.into_iter().chain(before).collect();
    draft.replace_and_remove(position, nodes, &gone);
    Some(named)
}
