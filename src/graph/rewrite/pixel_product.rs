//! A layer that reads a single pixel, as a product.
//!
//! With one pixel in, `n = 1`, each output of a convolution or transposed convolution is a sum over
//! the input channels alone:
//!
//! ```text
//! y_k[o] = Σ_c W_kc[t(o)] · x_c + b_k,
//! ```
//!
//! where `t(o)` is the tap that meets the pixel in output `o`: along one axis `t = (o + p) / d` for a
//! transposed convolution with padding `p` and dilation `d`, as `a·i + d·t = o + p` with `i = 0`; and
//! `t = (p - a·o) / d` for a convolution of stride `a`, as `a·o - p + d·t = 0`. Where that is no
//! whole number, or no tap of the kernel, the output is the bias. So the layer is `x · M + b` with
//! `M[c, (k, o)] = W_kc[t(o)]`, reshaped to channels, height and width: `Gemm` and `Reshape`. It is
//! the first layer of every DCGAN.
//!
//! Offered for one group alone; of several, most of `M` would be zeros.

use super::layer::Layer;
use super::view::{View, input, ints};
use crate::graph::draft::Draft;
use crate::graph::nodes::{int, node};
use crate::graph::proto::NodeProto;

/// The matrix may be larger than the kernel by this factor: zeros that output padding adds.
const MAX_GROWTH: usize = 4;

struct Plan {
    layer: Layer,
    /// By output along each axis: the tap that it sees.
    taps: [Vec<Option<usize>>; 2],
    /// What holds the channels: the input, or what was reshaped to it.
    source: String,
    /// Whether that still has axes for height and width.
    spatial: bool,
}

fn plan(view: &View<'_>, node: &NodeProto) -> Option<Plan> {
    let layer = Layer::of(view, node).filter(|layer| layer.group == 1)?;
    let strides = ints(node, "strides");
    let taps = |at: usize| {
        let axis = layer.axes[at];
        let stride = strides.get(at).copied().unwrap_or(1);
        if axis.size != Some(1) {
            return None;
        }
        let count = match layer.transposed {
            true => stride + axis.extra,
            // Less the whole reach, one pixel and its padding leave room for one output more.
            false => axis.extra.div_euclid(stride) + 1,
        };
        let tap = |output: i64| {
            let distance =
                if layer.transposed { output + axis.before } else { axis.before - stride * output };
            let tap = distance.div_euclid(axis.dilation);
            let meets = distance.rem_euclid(axis.dilation) == 0 && (0..axis.kernel).contains(&tap);
            meets.then(|| usize::try_from(tap).ok())?
        };
        (1..=1 << 16).contains(&count).then(|| (0..count).map(tap).collect::<Vec<_>>())
    };
    let taps = [taps(0)?, taps(1)?];
    let kernel = layer.axes[0].kernel * layer.axes[1].kernel;
    let size = taps[0].len() * taps[1].len();
    if size > MAX_GROWTH * usize::try_from(kernel).ok()? {
        return None;
    }
    let given = input(node, 0)?;
    // Rows that were given two axes more just to be convolved need not be.
    let flat = view.maker(given).filter(|maker| maker.op_type == "Reshape").and_then(|reshape| {
        let rows = input(reshape, 0)?;
        let dims = view.dims(rows)?;
        (dims.len() == 2 && dims[1] == Some(layer.channels_in)).then(|| rows.to_owned())
    });
    let spatial = flat.is_none();
    Some(Plan { layer, taps, source: flat.unwrap_or_else(|| given.to_owned()), spatial })
}

/// Whether `node` is a layer of one pixel, with a bias that can be repeated.
pub(super) fn fits(view: &View<'_>, node: &NodeProto) -> bool {
    let known = input(node, 2).is_none_or(|bias| view.float_dims(bias).is_some());
    // A `Gemm` without bias came with version 11.
    known && (view.opset >= 11 || input(node, 2).is_some()) && plan(view, node).is_some()
}

/// Writes the layer at `position` as a product.
pub(super) fn apply(draft: &mut Draft, position: usize) -> Option<()> {
    let view = View::of(draft);
    let layer_node = draft.graph().node[position].clone();
    let Plan { layer, taps, source, spatial } = plan(&view, &layer_node)?;
    let kernel = layer.kernel(&view.floats(input(&layer_node, 1)?)?);
    let bias = match input(&layer_node, 2) {
        Some(bias) => Some(view.floats(bias)?.values),
        None => None,
    };
    let [rows, columns] = &taps;
    let area = rows.len() * columns.len();
    let width = kernel.out * area;
    let mut matrix = vec![0.0; kernel.inner * width];
    let [_, across] = kernel.size;
    for (at, plane) in kernel.values.chunks_exact(kernel.size[0] * across).enumerate() {
        let (out, from) = (at / kernel.inner, at % kernel.inner);
        let line = &mut matrix[from * width + out * area..][..area];
        for (y, row) in rows.iter().enumerate() {
            for (x, column) in columns.iter().enumerate() {
                if let (Some(row), Some(column)) = (row, column) {
                    line[y * columns.len() + x] = plane[row * across + column];
                }
            }
        }
    }
    let output = layer_node.output.first()?.clone();
    let weight = draft.add_floats(&format!("{output}_matrix"), &[kernel.inner, width], &matrix);
    let mut nodes = Vec::new();
    let mut from = source;
    if spatial {
        let flat = draft.fresh(&format!("{output}_pixel"));
        nodes.push(node("Flatten", &flat, &[&from], &flat, vec![int("axis", 1)]));
        from = flat;
    }
    let product = draft.fresh(&format!("{output}_product"));
    let mut inputs = vec![from, weight];
    if let Some(bias) = bias {
        let spread: Vec<f32> = bias.iter().flat_map(|b| std::iter::repeat_n(*b, area)).collect();
        inputs.push(draft.add_floats(&format!("{output}_row"), &[width], &spread));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    nodes.push(node("Gemm", &product, &inputs, &product, vec![]));
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // 0 keeps the batch.
    let shape = [0, number(kernel.out), number(rows.len()), number(columns.len())];
    let shape = draft.add_ints(&format!("{output}_shape"), &shape);
    let name = draft.fresh(&format!("{output}_image"));
    nodes.push(node("Reshape", &name, &[&product, &shape], &output, vec![]));
    draft.replace(position, nodes);
    Some(())
}
