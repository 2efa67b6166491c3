//! Nodes that multiply each channel by a constant and add another.

use super::view::{View, input};
use crate::graph::constant::{attribute, int_attribute};
use crate::graph::proto::NodeProto;

/// `y = scale · x + shift`, channel by channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Affine {
    pub scale: Vec<f64>,
    pub shift: Vec<f64>,
}

/// How the tensor lies whose channels are counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub channels: usize,
    /// Axes behind that of the channels.
    pub behind: usize,
    /// The number of its dimensions, at least.
    pub rank: usize,
}

impl Affine {
    pub fn identity(channels: usize) -> Self {
        Self { scale: vec![1.0; channels], shift: vec![0.0; channels] }
    }

    /// This and then `next`: `n(t(x)) = n.scale · t.scale · x + n.scale · t.shift + n.shift`.
    pub fn then(&self, next: &Self) -> Self {
        let scales = self.scale.iter().zip(&next.scale);
        let shifts = self.shift.iter().zip(&next.scale).zip(&next.shift);
        Self {
            scale: scales.map(|(a, b)| a * b).collect(),
            shift: shifts.map(|((shift, scale), more)| shift * scale + more).collect(),
        }
    }

    /// Whether nothing is added.
    pub fn only_scales(&self) -> bool {
        self.shift.iter().all(|shift| *shift == 0.0)
    }

    /// What `node` does to its input `tensor`, which lies as `place` says; `None` if that is
    /// something else.
    pub fn of(view: &View<'_>, node: &NodeProto, tensor: &str, place: Place) -> Option<Self> {
        let identity = Self::identity(place.channels);
        let first = input(node, 0)? == tensor;
        let affine = match node.op_type.as_str() {
            "Identity" => identity,
            "BatchNormalization" if first => batch_normalization(view, node, place)?,
            operator @ ("Mul" | "Div" | "Add" | "Sub") => {
                // Which of the two is the constant; a tensor with itself has none.
                let constant = per_channel(view, input(node, usize::from(first))?, place)?;
                let negative = || constant.iter().map(|value| -value).collect();
                match (operator, first) {
                    ("Mul", _) => Self { scale: constant, ..identity },
                    ("Div", true) => Self {
                        scale: constant.iter().map(|value| 1.0 / value).collect(),
                        ..identity
                    },
                    ("Add", _) => Self { shift: constant, ..identity },
                    ("Sub", true) => Self { shift: negative(), ..identity },
                    ("Sub", false) => Self { scale: vec![-1.0; place.channels], shift: constant },
                    _ => return None,
                }
            }
            _ => return None,
        };
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        (finite(&affine.scale) && finite(&affine.shift)).then_some(affine)
    }
}

/// `scale · (x - mean) / √(variance + epsilon) + bias`, with running statistics.
fn batch_normalization(view: &View<'_>, node: &NodeProto, place: Place) -> Option<Affine> {
    let trains = int_attribute(node, "training_mode").unwrap_or(0) != 0;
    let by_pixel = int_attribute(node, "spatial") == Some(0);
    // It counts channels along the second axis.
    let second = place.rank == place.behind + 2;
    if trains || by_pixel || !second || node.output.iter().skip(1).any(|name| !name.is_empty()) {
        return None;
    }
    let values = |position: usize| {
        let name = input(node, position)?;
        (view.float_dims(name)? == [place.channels]).then(|| view.floats(name))?
    };
    let (scale, bias, mean, variance) = (values(1)?, values(2)?, values(3)?, values(4)?);
    let epsilon = attribute(node, "epsilon").and_then(|epsilon| epsilon.f).unwrap_or(1e-5);
    let factors = scale.values.iter().zip(&variance.values);
    let scale: Vec<f64> = factors
        .map(|(scale, variance)| {
            f64::from(*scale) / (f64::from(*variance) + f64::from(epsilon)).sqrt()
        })
        .collect();
    let shifts = bias.values.iter().zip(&mean.values).zip(&scale);
    let shift = shifts.map(|((bias, mean), scale)| f64::from(*bias) - f64::from(*mean) * scale);
    Some(Affine { shift: shift.collect(), scale })
}

/// The constant `name` as one value a channel; `None` if it varies along other axes.
fn per_channel(view: &View<'_>, name: &str, place: Place) -> Option<Vec<f64>> {
    let dims = view.float_dims(name)?;
    // One with more dimensions would give them to the result.
    if dims.len() > place.rank {
        return None;
    }
    if dims.iter().all(|dim| *dim == 1) {
        let value = *view.floats(name)?.values.first()?;
        return Some(vec![f64::from(value); place.channels]);
    }
    let axis = dims.len().checked_sub(1 + place.behind)?;
    let others = dims.iter().enumerate().filter(|(at, _)| *at != axis);
    let fits = dims[axis] == place.channels && others.map(|(_, dim)| *dim).all(|dim| dim == 1);
    fits.then(|| view.floats(name))?
        .map(|constant| constant.values.into_iter().map(f64::from).collect())
}
