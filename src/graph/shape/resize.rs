//! `Resize`, and `Upsample` as it was called before.
//!
//! Source: <https://onnx.ai/onnx/operators/onnx__Resize.html>

use super::call::{Call, axes, axis, contradiction, size};
use super::fact::Fact;
use crate::error::Result;
use crate::graph::constant::attribute;

/// What the new size is told by.
enum Told<'a> {
    Scales(&'a [f32]),
    Sizes(&'a [i64]),
}

pub(super) fn resize(call: &Call<'_>) -> Result<Vec<Fact>> {
    let Some(x) = call.dims(0) else { return Ok(call.like(0, None)) };
    let Some(told) = told(call) else { return Ok(call.like(0, None)) };
    let length = match told {
        Told::Scales(scales) => scales.len(),
        Told::Sizes(sizes) => sizes.len(),
    };
    let all: Vec<i64> = (0..x.len() as i64).collect();
    let along = call.list("axes").unwrap_or(&all);
    if length != along.len() {
        let message = format!("{length} sizes or scales for {} axes of ", along.len());
        return Err(contradiction(message + &call.show(0)));
    }
    axes(along, x.len())?;
    let along = along.iter().map(|&number| axis(number, x.len())).collect::<Result<Vec<_>>>()?;
    let mut dims = x.to_vec();
    match told {
        // A part that is cut out has a size of its own.
        Told::Scales(_) if call.text("coordinate_transformation_mode") == b"tf_crop_and_resize" => {
            return Ok(call.like(0, None));
        }
        Told::Scales(scales) => {
            for (&at, &scale) in along.iter().zip(scales) {
                dims[at] = scaled(x[at], scale, f32::floor)?;
            }
        }
        Told::Sizes(sizes) => {
            let ratio = |(&at, &wanted): (&usize, &i64)| wanted as f32 / x[at] as f32;
            let ratios = along.iter().zip(sizes).map(ratio);
            let kept = match call.text("keep_aspect_ratio_policy") {
                b"not_larger" => ratios.reduce(f32::min),
                b"not_smaller" => ratios.reduce(f32::max),
                _ => None,
            };
            for (&at, &wanted) in along.iter().zip(sizes) {
                dims[at] = match kept {
                    Some(scale) => scaled(x[at], scale, f32::round)?,
                    None => size(wanted.into())?,
                };
            }
        }
    }
    Ok(call.like(0, Some(dims)))
}

fn told<'a>(call: &Call<'a>) -> Option<Told<'a>> {
    if let Some(scales) = attribute(call.node, "scales") {
        return Some(Told::Scales(&scales.floats));
    }
    let (scales, sizes) = match call.node.op_type.as_str() {
        "Resize" if call.opset >= 11 => (2, 3),
        _ => (1, usize::MAX),
    };
    match (call.ints(sizes), call.floats(scales)) {
        (Some(sizes), _) if !sizes.is_empty() => Some(Told::Sizes(sizes)),
        (_, Some(scales)) if !scales.is_empty() => Some(Told::Scales(scales)),
        _ => None,
    }
}

/// As runtimes have it: the product as an `f32`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn scaled(length: usize, scale: f32, round: fn(f32) -> f32) -> Result<usize> {
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(contradiction(format!("a scale of {scale}")));
    }
    size(round(length as f32 * scale) as i128)
}
