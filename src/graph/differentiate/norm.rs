//! Normalisations. With x̂ the normalised input, σ its deviation, γ the scale and m how many
//! elements share a mean, y = γ x̂ + β and, with h = γ g and means over those elements,
//!
//! dx = (h - mean h - x̂ · mean(h x̂)) / σ, dγ = Σ g x̂, dβ = Σ g
//!
//! (Ioffe and Szegedy 2015, section 3; Ba, Kiros and Hinton 2016; Ulyanov and others 2016).

use super::back::{Back, Gradients, beside_channels, only};
use super::reduce::over;
use crate::error::Result;
use crate::graph::compose::{Attribute, BATCH_NORM_GRADIENT, Tensor};

/// One number a channel, as `[C, 1, …]`, to be stretched over `[N, C, …]` of rank `rank`.
fn by_channel(back: &mut Back<'_>, per_channel: &Tensor, rank: usize) -> Result<Tensor> {
    let mut dims = vec![back.count(per_channel)];
    dims.resize(rank.saturating_sub(1).max(1), 1);
    back.reshape(per_channel, &dims)
}

/// 1 / √(variance + ε).
fn inverse_deviation(back: &mut Back<'_>, variance: &Tensor, epsilon: f64) -> Result<Tensor> {
    let more = back.shift(variance, epsilon)?;
    let root = back.unary("Sqrt", &more)?;
    back.unary("Reciprocal", &root)
}

/// `BatchNormalization`, by the statistics of the batch or by those that it was given. Its
/// statistics have no gradient of their own.
pub(super) fn batch(back: &mut Back<'_>) -> Gradients {
    let (x, scale, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let trains = back.int("training_mode", 0) != 0;
    let (mean, variance) = match trains {
        true => (back.made(1)?, back.made(2)?),
        false => (back.input(3)?, back.input(4)?),
    };
    let epsilon = back.float("epsilon", 1e-5);
    let dims = back.dims_of(&x);
    let axes = beside_channels(dims.len());
    let inverse = inverse_deviation(back, &variance, epsilon)?;
    let mean = by_channel(back, &mean, dims.len())?;
    let centred = back.sub(&x, &mean)?;
    let product = back.mul(&g, &centred)?;
    let dot = back.sum(&product, &axes, false)?;
    let d_scale = back.mul(&dot, &inverse)?;
    let d_offset = back.sum(&g, &axes, false)?;
    let factor = back.mul(&scale, &inverse)?;
    let whole = by_channel(back, &factor, dims.len())?;
    let mut dx = back.mul(&g, &whole)?;
    if trains {
        // All that is one number a channel first: what is as large as the image is gone through
        // once for each factor.
        let share = 1.0 / (back.count(&x) / dims[1].max(1)) as f64;
        let slope = back.mul(&factor, &inverse)?;
        let slope = back.mul(&slope, &d_scale)?;
        let slope = back.scale(&slope, -share)?;
        let slope = by_channel(back, &slope, dims.len())?;
        let level = back.mul(&factor, &d_offset)?;
        let level = back.scale(&level, -share)?;
        let level = by_channel(back, &level, dims.len())?;
        let along = back.mul(&centred, &slope)?;
        let along = back.add2(&along, &level)?;
        dx = back.add2(&dx, &along)?;
    }
    Ok(vec![Some(dx), Some(d_scale), Some(d_offset)])
}

/// Genset's own, by the statistics of the batch, and through a ReLU behind it.
pub(super) fn own(back: &mut Back<'_>) -> Gradients {
    let (x, scale, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let (y, mean, variance) = (back.made(0)?, back.made(1)?, back.made(2)?);
    let open = back.rectified.remove(y.name());
    #[allow(clippy::cast_possible_truncation)]
    let attributes = [
        Attribute::Float("epsilon", back.float("epsilon", 1e-5) as f32),
        Attribute::Ints("after_relu", &[open.is_some().into()]),
    ];
    let y = open.unwrap_or_else(|| g.clone());
    let (dims, channels) = (back.dims_of(&x), back.dims_of(&scale));
    let sizes = [dims, channels.clone(), channels];
    let inputs = [&g, &y, &x, &scale, &mean, &variance];
    Ok(back.own(BATCH_NORM_GRADIENT, &inputs, &attributes, &sizes).into_iter().map(Some).collect())
}

/// (h - mean h - x̂ · mean(h x̂)) / σ, with means over `axes`.
fn normalised(
    back: &mut Back<'_>,
    h: &Tensor,
    normal: &Tensor,
    inverse: &Tensor,
    axes: &[usize],
) -> Result<Tensor> {
    let level = back.mean(h, axes, true)?;
    let product = back.mul(h, normal)?;
    let slope = back.mean(&product, axes, true)?;
    let along = back.mul(normal, &slope)?;
    let rest = back.sub(h, &level)?;
    let rest = back.sub(&rest, &along)?;
    back.mul(&rest, inverse)
}

/// `LayerNormalization`, whose further outputs are the mean and 1/σ.
pub(super) fn layer(back: &mut Back<'_>) -> Gradients {
    let (x, scale, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let (mean, inverse) = (back.made(1)?, back.made(2)?);
    let from = back.axis_of(&x, back.int("axis", -1));
    let axes: Vec<usize> = (from..back.dims(&x).len()).collect();
    let centred = back.sub(&x, &mean)?;
    let normal = back.mul(&centred, &inverse)?;
    let h = back.mul(&g, &scale)?;
    let dx = normalised(back, &h, &normal, &inverse, &axes)?;
    let mut gradients = vec![Some(dx)];
    let product = back.mul(&g, &normal)?;
    for (position, gradient) in [(1, &product), (2, &g)] {
        let Some(parameter) = back.optional(position) else { continue };
        let dims = back.dims_of(&parameter);
        gradients.push(Some(back.unstretch(gradient, &dims)?));
    }
    Ok(gradients)
}

/// `InstanceNormalization`: each channel of each image by itself.
pub(super) fn instance(back: &mut Back<'_>) -> Gradients {
    let (x, scale, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let epsilon = back.float("epsilon", 1e-5);
    let rank = back.dims(&x).len();
    let axes: Vec<usize> = (2..rank).collect();
    let mean = back.mean(&x, &axes, true)?;
    let centred = back.sub(&x, &mean)?;
    let square = back.square(&centred)?;
    let variance = back.mean(&square, &axes, true)?;
    let inverse = inverse_deviation(back, &variance, epsilon)?;
    let normal = back.mul(&centred, &inverse)?;
    let scale = by_channel(back, &scale, rank)?;
    let h = back.mul(&g, &scale)?;
    let dx = normalised(back, &h, &normal, &inverse, &axes)?;
    let others = beside_channels(rank);
    let product = back.mul(&g, &normal)?;
    let d_scale = back.sum(&product, &others, false)?;
    let d_offset = back.sum(&g, &others, false)?;
    Ok(vec![Some(dx), Some(d_scale), Some(d_offset)])
}

/// `LpNormalization` along an axis, y = x / ‖x‖: (g - u · Σ g y) / ‖x‖, with u = y for the
/// Euclidean norm and sign x for the sum of absolute values.
pub(super) fn unit(back: &mut Back<'_>) -> Gradients {
    let (x, y, g) = (back.input(0)?, back.made(0)?, back.gradient()?);
    let axis = back.axis_of(&x, back.int("axis", -1));
    let (operator, along) = match back.int("p", 2) {
        1 => ("ReduceL1", back.unary("Sign", &x)?),
        _ => ("ReduceL2", y.clone()),
    };
    let length = back.reduce(operator, &x, &[axis], true)?;
    let product = back.mul(&g, &y)?;
    let dot = back.sum(&product, &[axis], true)?;
    let along = back.mul(&along, &dot)?;
    let rest = back.sub(&g, &along)?;
    only(over(back, &rest, &length)?)
}
