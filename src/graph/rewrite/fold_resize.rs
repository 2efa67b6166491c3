//! Enlarging by whole factors and a convolution behind it, as convolutions of the small image.
//!
//! Along one axis let `u[j] = x[⌊j / a⌋]` for `j` in `0 .. a·n`: each pixel repeated `a` times. The
//! convolution of stride 1, with dilation `d` and padding `p` before, is
//!
//! ```text
//! y[o] = Σ_t w[t] · u[o - p + d·t] = Σ_t w[t] · x[⌊(o - p + d·t) / a⌋],
//! ```
//!
//! and `u[j]` is a zero of the padding, `j < 0` or `j ≥ a·n`, exactly when `⌊j / a⌋ < 0` or
//! `⌊j / a⌋ ≥ n`: when `x` is. Output `o + a` reads one pixel further with the same taps: that is the
//! layer of [`super::polyphase`], where several taps fall on one pixel and are summed beforehand. With
//! kernel 3 and `a = 2` the 9 products of an output become 4.
//!
//! `Resize` repeats pixels if it is `nearest` with a whole factor `a`, and rounds `j`'s place among
//! the pixels in to `⌊j / a⌋`. With `j = a·q + r`, `0 ≤ r < a`: `asymmetric` puts it at `q + r / a`,
//! where `floor` gives `q`, and so does `round_prefer_floor` if `r / a ≤ ½`, that is for `a ≤ 2`;
//! `half_pixel` puts it at `q + (2·r + 1 - a) / (2·a)`, less than ½ away from `q`, where both ways
//! of rounding give `q`. `Upsample` is the first of these.

use super::layer::Layer;
use super::polyphase::{Axis, Given, Polyphase, Weave, blocks};
use super::view::{View, input, ints, text};
use crate::graph::constant::int_attribute;
use crate::graph::draft::Draft;
use crate::graph::proto::NodeProto;

struct Plan {
    layer: Layer,
    axes: [Axis; 2],
    /// The small image.
    source: String,
}

fn plan(view: &View<'_>, node: &NodeProto, weave: Weave) -> Option<Plan> {
    let layer = Layer::of(view, node).filter(|layer| !layer.transposed)?;
    if layer.axes.iter().any(|axis| axis.stride != 1 || axis.dilation != 1) {
        return None;
    }
    let resize = view.maker(input(node, 0)?)?;
    let factors = factors(view, resize)?;
    let source = input(resize, 0)?;
    let blocks = blocks(factors, weave)?;
    let sizes = view.dims(source);
    let axis = |at: usize| {
        let (of, scale) = (layer.axes[at], factors[at]);
        let size = sizes.as_ref().and_then(|sizes| *sizes.get(at + 2)?);
        let size = size.and_then(|size| i64::try_from(size).ok());
        let given = Given { scale, extra: of.extra, size, taps: of.kernel, step: 1 };
        Axis::new(&given, blocks[at], |phase, tap| {
            Some((phase - of.before + tap).div_euclid(scale))
        })
    };
    let axes = [axis(0)?, axis(1)?];
    if weave == Weave::Concat && !axes[0].can_be_woven() {
        return None;
    }
    Some(Plan { layer, axes, source: source.to_owned() })
}

/// How often `node` repeats each pixel along height and width; `None` if it does anything else.
fn factors(view: &View<'_>, node: &NodeProto) -> Option<[i64; 2]> {
    if text(node, "mode").unwrap_or(b"nearest") != b"nearest" {
        return None;
    }
    let (scales, sizes) = match node.op_type.as_str() {
        "Upsample" => (1, None),
        // Until version 10 it was `Upsample` under a new name.
        "Resize" if view.opset < 11 => (1, None),
        "Resize" => (2, Some(3)),
        _ => return None,
    };
    let given = match input(node, scales).filter(|name| view.constant(name).is_some()) {
        Some(name) => view.floats(name)?.values,
        None => by_sizes(view, node, sizes?)?,
    };
    // Some resize only the axes they name.
    let named = ints(node, "axes");
    let mut all = [1.0_f32; 4];
    match named {
        [] => all.copy_from_slice(given.get(..4).filter(|_| given.len() == 4)?),
        _ if named.len() == given.len() => {
            for (axis, scale) in named.iter().zip(&given) {
                let axis = if *axis < 0 { *axis + 4 } else { *axis };
                *all.get_mut(usize::try_from(axis).ok()?)? = *scale;
            }
        }
        _ => return None,
    }
    let whole =
        |scale: f32| (scale.fract() == 0.0 && (1.0..=64.0).contains(&scale)).then_some(scale);
    #[allow(clippy::cast_possible_truncation)]
    let [height, width] = [whole(all[2])? as i64, whole(all[3])? as i64];
    let repeats = repeats(view, node, height.max(width));
    (all[..2] == [1.0, 1.0] && repeats).then_some([height, width])
}

/// The factors of a `Resize` to sizes that are known, as are those it comes from.
#[allow(clippy::cast_precision_loss)]
fn by_sizes(view: &View<'_>, node: &NodeProto, sizes: usize) -> Option<Vec<f32>> {
    let policy = text(node, "keep_aspect_ratio_policy").unwrap_or(b"stretch");
    if policy != b"stretch" || !ints(node, "axes").is_empty() {
        return None;
    }
    let to = view.ints(input(node, sizes)?)?;
    let from = view.dims(input(node, 0)?)?;
    let ([_, _, to_height, to_width], [_, _, height, width]) = (&to[..], from) else {
        return None;
    };
    let factor = |to: i64, from: Option<usize>| {
        let from = i64::try_from(from?).ok()?;
        (to > 0 && to % from == 0).then(|| (to / from) as f32)
    };
    // Batch and channels: a resized one would be no batch and no channel.
    Some(vec![1.0, 1.0, factor(*to_height, *height)?, factor(*to_width, *width)?])
}

/// Whether every pixel is repeated `scale` times, or fewer, as the proof says.
fn repeats(view: &View<'_>, node: &NodeProto, scale: i64) -> bool {
    if node.op_type == "Upsample" || view.opset < 11 {
        return true;
    }
    let place = text(node, "coordinate_transformation_mode").unwrap_or(b"half_pixel");
    let rounding = text(node, "nearest_mode").unwrap_or(b"round_prefer_floor");
    int_attribute(node, "antialias").unwrap_or(0) == 0
        && match (place, rounding) {
            (b"asymmetric", b"floor") => true,
            (b"asymmetric", b"round_prefer_floor") => scale <= 2,
            (b"half_pixel", b"round_prefer_floor" | b"round_prefer_ceil") => true,
            _ => false,
        }
}

/// Whether `node` is a convolution behind an enlargement that can be folded.
pub(super) fn fits(view: &View<'_>, node: &NodeProto, weave: Weave) -> bool {
    plan(view, node, weave).is_some()
}

/// Writes the convolution at `position` and what enlarges its input as phases.
pub(super) fn apply(draft: &mut Draft, position: usize, weave: Weave) -> Option<()> {
    let view = View::of(draft);
    let node = draft.graph().node[position].clone();
    let Plan { layer, axes, source } = plan(&view, &node, weave)?;
    let kernel = layer.kernel(&view.floats(input(&node, 1)?)?);
    let (bias, group) = (input(&node, 2), layer.group);
    let polyphase = Polyphase { axes: &axes, kernel: &kernel, group, source: &source, bias };
    polyphase.write(draft, position, weave);
    Some(())
}
