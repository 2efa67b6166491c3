//! A convolution or transposed convolution over two axes, its attributes read and checked.

use super::view::{View, input, ints, text};
use crate::graph::constant::int_attribute;
use crate::graph::draft::Floats;
use crate::graph::proto::NodeProto;

/// Strides, pads and dilations past this are no generator's.
const MAX_STEP: i64 = 1024;

/// One axis of a layer: with `n` pixels in, a transposed convolution gives
/// `stride · n + extra` out, a convolution of stride 1 `n + extra`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LayerAxis {
    pub kernel: i64,
    pub stride: i64,
    pub dilation: i64,
    /// What padding takes off, or puts on, before the first pixel.
    pub before: i64,
    pub extra: i64,
    /// Pixels in, where known.
    pub size: Option<i64>,
}

/// A `Conv` or `ConvTranspose` with constant `f32` weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    pub transposed: bool,
    pub axes: [LayerAxis; 2],
    pub group: usize,
    pub channels_in: usize,
    pub channels_out: usize,
}

/// Weights as a convolution has them: `[out, in / group, height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    pub out: usize,
    /// Input channels of one group.
    pub inner: usize,
    pub size: [usize; 2],
    pub values: Vec<f32>,
}

impl Layer {
    /// Reads `node`; `None` if it is no such layer, or says something that runtimes disagree on.
    pub fn of(view: &View<'_>, node: &NodeProto) -> Option<Self> {
        let transposed = match node.op_type.as_str() {
            "ConvTranspose" => true,
            "Conv" => false,
            _ => return None,
        };
        let dims = view.float_dims(input(node, 1)?)?;
        let [first, second, height, width] = dims[..] else { return None };
        let group = usize::try_from(int_attribute(node, "group").unwrap_or(1)).ok()?;
        if group == 0 || !first.is_multiple_of(group) || dims.contains(&0) {
            return None;
        }
        let wide = second.checked_mul(group)?;
        let (channels_in, channels_out) = if transposed { (first, wide) } else { (wide, first) };
        let given = ints(node, "kernel_shape");
        let kernel = [i64::try_from(height).ok()?, i64::try_from(width).ok()?];
        if !given.is_empty() && given != kernel {
            return None;
        }
        if let Some(bias) = input(node, 2).and_then(|bias| view.constant(bias))
            && bias.dims != [i64::try_from(channels_out).ok()?]
        {
            return None;
        }
        let sizes = view.dims(input(node, 0)?);
        let mut axes = [None; 2];
        for (at, axis) in axes.iter_mut().enumerate() {
            let size = sizes.as_ref().and_then(|sizes| *sizes.get(at + 2)?);
            let size = size.and_then(|size| i64::try_from(size).ok());
            *axis = Some(read_axis(node, transposed, at, kernel[at], size)?);
        }
        let axes = [axes[0]?, axes[1]?];
        Some(Self { transposed, axes, group, channels_in, channels_out })
    }

    /// Its weights in a convolution's order: those of a transposed one are
    /// `[in, out / group, height, width]`.
    pub fn kernel(&self, weights: &Floats) -> Kernel {
        let size = self.axes.map(|axis| usize::try_from(axis.kernel).unwrap_or(0));
        let (out, inner) = (self.channels_out, self.channels_in / self.group);
        if !self.transposed {
            return Kernel { out, inner, size, values: weights.values.clone() };
        }
        let (area, of_group) = (size[0] * size[1], out / self.group);
        let mut values = Vec::with_capacity(weights.values.len());
        for channel in 0..out {
            let group = channel / of_group;
            for from in group * inner..(group + 1) * inner {
                let start = (from * of_group + channel % of_group) * area;
                values.extend_from_slice(&weights.values[start..start + area]);
            }
        }
        Kernel { out, inner, size, values }
    }
}

fn read_axis(
    node: &NodeProto,
    transposed: bool,
    at: usize,
    kernel: i64,
    size: Option<i64>,
) -> Option<LayerAxis> {
    let number = |name: &str, at: usize, rank: usize, default: i64| match ints(node, name) {
        [] => Some(default),
        list if list.len() == rank => Some(list[at]),
        _ => None,
    };
    let stride = number("strides", at, 2, 1)?;
    let dilation = number("dilations", at, 2, 1)?;
    let pads = [number("pads", at, 4, 0)?, number("pads", at + 2, 4, 0)?];
    let more = if transposed { number("output_padding", at, 2, 0)? } else { 0 };
    let small = |value: i64, least: i64| (least..=MAX_STEP).contains(&value);
    if !(small(stride, 1) && small(dilation, 1) && small(more, 0)) || kernel > MAX_STEP {
        return None;
    }
    if !pads.iter().all(|pad| small(*pad, 0)) {
        return None;
    }
    let reach = dilation * (kernel - 1);
    let mode = text(node, "auto_pad").unwrap_or(b"NOTSET");
    let same = match mode {
        b"SAME_UPPER" | b"SAME_LOWER" => true,
        b"NOTSET" | b"" | b"VALID" => false,
        _ => return None,
    };
    // Of an odd number, one more goes where the mode says.
    let first_half = |total: i64| if mode == b"SAME_UPPER" { total / 2 } else { total - total / 2 };
    let of = |before: i64, extra: i64| LayerAxis { kernel, stride, dilation, before, extra, size };
    let pads = if mode == b"VALID" { [0, 0] } else { pads };
    if !transposed {
        // With stride 1, or of one pixel, the same size needs the whole reach as padding.
        let fixed = stride == 1 || size == Some(1);
        return match same {
            true => fixed.then(|| of(first_half(reach), 0)),
            false => Some(of(pads[0], pads[0] + pads[1] - reach)),
        };
    }
    let wanted = ints(node, "output_shape");
    if !wanted.is_empty() {
        // Either the two sizes alone, or behind batch and channels.
        let size = size?;
        let length = *wanted.get(wanted.len().checked_sub(2)? + at)?;
        let total = stride.checked_mul(size - 1)?.checked_add(more + reach + 1)?;
        let total = total.checked_sub(length)?;
        let fits = length > 0 && (0..=MAX_STEP).contains(&total);
        return fits.then(|| of(first_half(total), length - stride * size));
    }
    if same {
        // Where the kernel leaves gaps, the standard and the runtimes differ.
        let total = reach + 1 + more - stride;
        return (total >= 0).then(|| of(first_half(total), 0));
    }
    Some(of(pads[0], reach + 1 + more - pads[0] - pads[1] - stride))
}
