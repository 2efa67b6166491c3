//! Maxima over windows: each window's gradient goes to the element that it chose, and an element
//! that several windows chose gets the sum.

use super::back::{Back, Gradients, only};
use super::extreme::shared;
use crate::graph::compose::Attribute;

/// `MaxPool`, whose second output says where in the whole tensor each maximum was.
pub(super) fn rule(back: &mut Back<'_>) -> Gradients {
    let (x, places, g) = (back.input(0)?, back.made(1)?, back.gradient()?);
    if back.int("storage_order", 0) != 0 {
        return back.unable("in column order");
    }
    let (image, many, chosen) = (back.dims_of(&x), back.count(&x), back.count(&g));
    let zero = back.scalar(&g, 0.0);
    let zeros = back.expand(&zero, &[many])?;
    let flat = back.reshape(&g, &[chosen])?;
    let places = back.reshape(&places, &[chosen])?;
    let attributes = [Attribute::Int("axis", 0), Attribute::Text("reduction", "add")];
    let gradient = back.op("ScatterElements", &[&zeros, &places, &flat], &attributes)?;
    only(back.reshape(&gradient, &image)?)
}

/// `GlobalMaxPool`: equal maxima of one image share the gradient.
pub(super) fn global(back: &mut Back<'_>) -> Gradients {
    let (x, y, g) = (back.input(0)?, back.made(0)?, back.gradient()?);
    let axes: Vec<usize> = (2..back.dims(&x).len()).collect();
    only(shared(back, [&x, &y, &g], &axes)?)
}
