//! The weights of linear layers as matrices from values in to values out.

use super::body::Bodies;
use super::constant::{Constant, attribute, floats, int_attribute, is_standard};
use super::proto::{DimensionValue, ModelProto, NodeProto, TypeValue};

/// Constant folding goes this deep: a weight that is cast, scaled and transposed.
const MAX_FOLDS: usize = 4;

/// A label beside a latent is no longer than this; a file could declare any number.
const MAX_ROW: usize = 1 << 20;

/// `[rows, columns]`, row by row: how much of a value in reaches a value out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub rows: usize,
    pub columns: usize,
    values: Vec<f32>,
    /// Whether the layer works on every pixel alike.
    pub spatial: bool,
}

impl Matrix {
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

/// A constant tensor, read.
pub(super) struct Weights {
    dims: Vec<usize>,
    values: Vec<f32>,
}

/// The constant that `name` means, also if it is cast, scaled or transposed first, as some
/// exporters leave it; `None` if it is no constant of the file itself.
pub(super) fn read(model: &ModelProto, bodies: &Bodies<'_>, name: &str) -> Option<Weights> {
    fold(model, bodies, name, MAX_FOLDS)
}

fn fold(model: &ModelProto, bodies: &Bodies<'_>, name: &str, depth: usize) -> Option<Weights> {
    if let Some(constant) = bodies.constant(0, name) {
        let Constant::Tensor(tensor) = constant else { return None };
        let dims = tensor.dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<_>>()?;
        return Some(Weights { dims, values: floats(tensor)? })
            .filter(|weights| weights.values.len() == weights.dims.iter().product::<usize>());
    }
    let depth = depth.checked_sub(1)?;
    let nodes = &model.graph.as_ref()?.node;
    let node = nodes.iter().find(|node| node.output.first().is_some_and(|n| n == name))?;
    if !is_standard(&node.domain) {
        return None;
    }
    let input = |position: usize| fold(model, bodies, node.input.get(position)?, depth);
    match node.op_type.as_str() {
        "Identity" | "Cast" => input(0),
        "Transpose" => {
            let weights = input(0)?;
            let [rows, columns] = weights.dims[..] else { return None };
            let swapped = attribute(node, "perm").is_none_or(|perm| perm.ints == [1, 0]);
            swapped.then(|| Weights {
                dims: vec![columns, rows],
                values: (0..rows * columns)
                    .map(|i| weights.values[i % rows * columns + i / rows])
                    .collect(),
            })
        }
        "Mul" => {
            let scalar = |at| bodies.input(0, node, at).and_then(Constant::scalar);
            let (mut weights, factor) = match (scalar(0), scalar(1)) {
                (_, Some(factor)) => (input(0)?, factor),
                (Some(factor), None) => (input(1)?, factor),
                (None, None) => return None,
            };
            #[allow(clippy::cast_possible_truncation)]
            weights.values.iter_mut().for_each(|w| *w *= factor as f32);
            Some(weights)
        }
        _ => None,
    }
}

/// `alpha · x · B`, or `B` transposed.
pub(super) fn gemm(node: &NodeProto, weights: &Weights) -> Option<Matrix> {
    let [outer, inner] = weights.dims[..] else { return None };
    if int_attribute(node, "transA").unwrap_or(0) != 0 {
        return None;
    }
    let alpha = attribute(node, "alpha").and_then(|alpha| alpha.f).unwrap_or(1.0);
    let transposed = int_attribute(node, "transB").unwrap_or(0) != 0;
    let (rows, columns) = if transposed { (inner, outer) } else { (outer, inner) };
    let entry = |i: usize| match transposed {
        true => weights.values[i % columns * rows + i / columns],
        false => weights.values[i],
    };
    let values = (0..rows * columns).map(|i| alpha * entry(i)).collect();
    Some(Matrix { rows, columns, values, spatial: false })
}

/// `x · B`.
pub(super) fn matmul(weights: &Weights) -> Option<Matrix> {
    let [rows, columns] = weights.dims[..] else { return None };
    Some(Matrix { rows, columns, values: weights.values.clone(), spatial: false })
}

/// A convolution whose kernel is one pixel.
pub(super) fn conv(node: &NodeProto, weights: &Weights) -> Option<Matrix> {
    let (columns, rows) = (*weights.dims.first()?, *weights.dims.get(1)?);
    if weights.dims[2..].iter().any(|size| *size != 1) || groups(node) != 1 {
        return None;
    }
    let entry = |i: usize| weights.values[i % columns * rows + i / columns];
    let values = (0..rows * columns).map(entry).collect();
    Some(Matrix { rows, columns, values, spatial: true })
}

/// A transposed convolution as it acts on one pixel: the whole kernel, less what padding crops.
pub(super) fn conv_transpose(node: &NodeProto, weights: &Weights) -> Option<Matrix> {
    let (rows, channels) = (*weights.dims.first()?, *weights.dims.get(1)?);
    let kernel = &weights.dims[2..];
    let listed = |name: &str| attribute(node, name).map_or(&[][..], |a| &a.ints);
    let (pads, dilations) = (listed("pads"), listed("dilations"));
    let automatic = attribute(node, "auto_pad").and_then(|a| a.s.as_ref());
    if groups(node) != 1 || automatic.is_some_and(|text| *text != "NOTSET" && *text != "VALID") {
        return None;
    }
    let number = |list: &[i64], at: usize, default: usize| {
        list.get(at).and_then(|n| usize::try_from(*n).ok()).unwrap_or(default)
    };
    // Which places of the flattened kernel stay in the output.
    let mut kept = vec![0];
    for (axis, &size) in kernel.iter().enumerate() {
        let dilation = number(dilations, axis, 1);
        let extent = size.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        let (before, after) = (number(pads, axis, 0), number(pads, axis + kernel.len(), 0));
        let inside =
            |k: &usize| k * dilation >= before && (k * dilation).saturating_add(after) < extent;
        let taps: Vec<usize> = (0..size).filter(inside).collect();
        kept = kept.iter().flat_map(|at| taps.iter().map(move |tap| at * size + tap)).collect();
    }
    let area: usize = kernel.iter().product();
    let mut values = Vec::with_capacity(rows * channels * kept.len());
    for plane in weights.values.chunks_exact(area.max(1)) {
        values.extend(kept.iter().map(|&at| plane[at]));
    }
    Some(Matrix { rows, columns: channels * kept.len(), values, spatial: true })
}

fn groups(node: &NodeProto) -> i64 {
    int_attribute(node, "group").unwrap_or(1)
}

/// How many values a row of `name` has, as far as the file says: an input, a declared value, or
/// rows of a constant table.
pub(super) fn row_length(model: &ModelProto, bodies: &Bodies<'_>, name: &str) -> Option<usize> {
    let graph = model.graph.as_ref()?;
    let mut declared = graph.input.iter().chain(&graph.value_info);
    if let Some(value) = declared.find(|value| value.name == name)
        && let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref()?.value.as_ref()
    {
        let dims = &tensor.shape.as_ref()?.dim;
        let mut sizes = dims.get(1..)?.iter().map(|dim| match dim.value {
            Some(DimensionValue::Value(size)) => usize::try_from(size).ok(),
            _ => None,
        });
        let length = sizes.try_fold(1_usize, |length, size| length.checked_mul(size?));
        return length.filter(|length| *length <= MAX_ROW);
    }
    let node = graph.node.iter().find(|node| node.output.first().is_some_and(|n| n == name))?;
    if node.op_type != "Gather" || !is_standard(&node.domain) {
        return None;
    }
    match bodies.input(0, node, 0)? {
        Constant::Tensor(table) if table.dims.len() == 2 => usize::try_from(table.dims[1]).ok(),
        _ => None,
    }
}
