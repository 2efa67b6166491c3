//! Operators that slide a window: convolutions, transposed convolutions, pooling.
//!
//! Source: <https://onnx.ai/onnx/operators/onnx__Conv.html>, `ConvTranspose`, `MaxPool`; where they
//! leave a case open, as ONNX Runtime has it.

use super::call::{Call, contradiction, size};
use super::fact::Fact;
use crate::error::Result;
use crate::graph::constant::attribute;
use crate::graph::value::Element;

/// How a window moves along one axis. Sizes are `i128`, which no file can overflow.
struct Step {
    /// From the first element under the window to behind the last.
    extent: i128,
    stride: i128,
    /// Before and behind.
    pads: (i128, i128),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    /// As the attribute says.
    Given,
    None,
    /// So that only the stride shrinks or grows the image.
    Same,
}

pub(super) fn conv(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(x), Some(w)) = (call.dims(0), call.dims(1)) else { return Ok(call.like(0, None)) };
    let misfit = |why: &str| {
        contradiction(format!("weights {} do not fit {}: {why}", call.show(1), call.show(0)))
    };
    if x.len() < 3 || x.len() != w.len() {
        return Err(misfit("both need a batch, channels and the same image axes"));
    }
    let groups = groups(call)?;
    if x[1] as i128 != w[1] as i128 * groups {
        return Err(misfit(&format!("in {groups} groups they take {}", w[1] as i128 * groups)));
    }
    if w[0] as i128 % groups != 0 {
        return Err(misfit(&format!("{} channels are no {groups} groups", w[0])));
    }
    let (steps, padding) = steps(call, &w[2..])?;
    let mut dims = vec![x[0], w[0]];
    for (&length, step) in x[2..].iter().zip(&steps) {
        dims.push(size(step.places(length, padding, false))?);
    }
    Ok(call.like(0, Some(dims)))
}

pub(super) fn conv_transpose(call: &Call<'_>) -> Result<Vec<Fact>> {
    let (Some(x), Some(w)) = (call.dims(0), call.dims(1)) else { return Ok(call.like(0, None)) };
    let misfit = |why: &str| {
        contradiction(format!("weights {} do not fit {}: {why}", call.show(1), call.show(0)))
    };
    if x.len() < 3 || x.len() != w.len() {
        return Err(misfit("both need channels and the same image axes"));
    }
    let groups = groups(call)?;
    if x[1] != w[0] || x[1] as i128 % groups != 0 {
        return Err(misfit(&format!("in {groups} groups they take {}", w[0])));
    }
    let (steps, padding) = steps(call, &w[2..])?;
    let extra = listed(call, "output_padding", steps.len(), 0)?;
    let wanted = call.list("output_shape").map(|shape| match shape.len() {
        // Some exporters give the batch and the channels too.
        n if n == steps.len() + 2 => Ok(&shape[2..]),
        n if n == steps.len() => Ok(shape),
        _ => Err(contradiction(format!("output_shape {shape:?} of {} axes", steps.len()))),
    });
    let wanted = wanted.transpose()?;
    let mut dims = vec![x[0], size(w[1] as i128 * groups)?];
    for (axis, (&length, step)) in x[2..].iter().zip(&steps).enumerate() {
        let whole = (length as i128 - 1) * step.stride + step.extent + extra[axis];
        dims.push(size(match (wanted, padding) {
            (Some(wanted), _) => i128::from(wanted[axis]),
            (None, Padding::Given) => whole - step.pads.0 - step.pads.1,
            (None, Padding::None) => whole,
            // A window smaller than its stride leaves nothing to crop.
            (None, Padding::Same) => whole.min(length as i128 * step.stride),
        })?);
    }
    Ok(call.like(0, Some(dims)))
}

/// `MaxPool`, `AveragePool`, `LpPool`; the first also gives places.
pub(super) fn pool(call: &Call<'_>) -> Result<Vec<Fact>> {
    let dims = match (call.dims(0), call.list("kernel_shape")) {
        (Some(x), Some(kernel)) => {
            let kernel: Option<Vec<usize>> =
                kernel.iter().map(|k| usize::try_from(*k).ok()).collect();
            let kernel = kernel.filter(|kernel| kernel.len() + 2 == x.len());
            let misfit = || {
                let window = call.list("kernel_shape").unwrap_or_default();
                contradiction(format!("a window of {window:?} does not fit {}", call.show(0)))
            };
            let (steps, padding) = steps(call, &kernel.ok_or_else(misfit)?)?;
            let ceil = call.int("ceil_mode", 0) != 0;
            let mut dims = x[..2].to_vec();
            for (&length, step) in x[2..].iter().zip(&steps) {
                dims.push(size(step.places(length, padding, ceil))?);
            }
            Some(dims)
        }
        _ => None,
    };
    Ok(vec![Fact::of(call.element(0), dims.clone()), Fact::of(Some(Element::I64), dims)])
}

/// One value for every channel.
pub(super) fn global(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    if x.len() < 3 {
        return Err(contradiction(format!("{} has no image axes", call.show(0))));
    }
    let one = |(axis, &length): (usize, &usize)| if axis < 2 { length } else { 1 };
    Ok(call.like(0, Some(x.iter().enumerate().map(one).collect())))
}

impl Step {
    /// The number of places for the window along `length` elements.
    fn places(&self, length: usize, padding: Padding, ceil: bool) -> i128 {
        let length = length as i128;
        let (before, behind) = match padding {
            Padding::Same => return (length + self.stride - 1) / self.stride,
            Padding::None => (0, 0),
            Padding::Given => self.pads,
        };
        let room = length + before + behind - self.extent;
        if room < 0 {
            return room.div_euclid(self.stride) + 1;
        }
        if !ceil {
            return room / self.stride + 1;
        }
        let places = (room + self.stride - 1) / self.stride + 1;
        // A window that begins in the padding behind the image sees nothing.
        if (places - 1) * self.stride >= length + before { places - 1 } else { places }
    }
}

fn groups(call: &Call<'_>) -> Result<i128> {
    match call.int("group", 1) {
        groups @ 1.. => Ok(groups.into()),
        groups => Err(contradiction(format!("{groups} groups"))),
    }
}

/// How a window of `kernel` moves along each axis.
fn steps(call: &Call<'_>, kernel: &[usize]) -> Result<(Vec<Step>, Padding)> {
    if let Some(said) = call.list("kernel_shape")
        && !said.iter().map(|&size| i128::from(size)).eq(kernel.iter().map(|&k| k as i128))
    {
        let message = format!("kernel_shape is {said:?}, the weights have {kernel:?}");
        return Err(contradiction(message));
    }
    let padding = match call.text("auto_pad") {
        b"" | b"NOTSET" => Padding::Given,
        b"VALID" => Padding::None,
        b"SAME_UPPER" | b"SAME_LOWER" => Padding::Same,
        other => {
            let other = String::from_utf8_lossy(other);
            return Err(contradiction(format!("auto_pad is `{other}`")));
        }
    };
    let rank = kernel.len();
    let strides = listed(call, "strides", rank, 1)?;
    let dilations = listed(call, "dilations", rank, 1)?;
    let pads = listed(call, "pads", 2 * rank, 0)?;
    let mut steps = Vec::with_capacity(rank);
    for (axis, &kernel) in kernel.iter().enumerate() {
        let (stride, dilation) = (strides[axis], dilations[axis]);
        if stride < 1 || dilation < 1 || kernel == 0 {
            let message = format!("window {kernel}, stride {stride}, dilation {dilation}");
            return Err(contradiction(message));
        }
        let extent = (kernel as i128 - 1) * dilation + 1;
        steps.push(Step { extent, stride, pads: (pads[axis], pads[axis + rank]) });
    }
    Ok((steps, padding))
}

/// The attribute `name`: so many numbers, `default` if left out.
fn listed(call: &Call<'_>, name: &str, length: usize, default: i128) -> Result<Vec<i128>> {
    match attribute(call.node, name).map(|attribute| attribute.ints.as_slice()) {
        None | Some([]) => Ok(vec![default; length]),
        Some(list) if list.len() == length => Ok(list.iter().map(|&n| n.into()).collect()),
        Some(list) => Err(contradiction(format!("{name} is {list:?}, not {length} numbers"))),
    }
}
