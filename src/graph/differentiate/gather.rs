//! `Gather`: every row of the gradient is added to the row that it was read from. An embedding's
//! rows that nobody read get zero, those read twice get both.

use super::back::{Back, Gradients, only};
use crate::graph::Element;
use crate::graph::compose::Attribute;

pub(super) fn rule(back: &mut Back<'_>) -> Gradients {
    let (data, places, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let axis = back.axis_of(&data, back.int("axis", 0));
    let dims = back.dims_of(&data);
    let many = back.count(&places);
    if let Some(&[place]) = back.known_ints(&places) {
        // One row, as a class token is taken out: the rest is zeros.
        let mut row = dims.clone();
        row[axis] = 1;
        let g = back.reshape(&g, &row)?;
        let length = dims[axis] as i64;
        let place = if place < 0 { place + length } else { place };
        let (mut before, mut after) = (vec![0; dims.len()], vec![0; dims.len()]);
        before[axis] = place;
        after[axis] = length - place - 1;
        return only(back.pad(&g, &before, &after)?);
    }
    let mut rows = dims.clone();
    rows[axis] = many;
    let g = back.reshape(&g, &rows)?;
    let mut along = vec![1; dims.len()];
    along[axis] = many;
    let places = back.cast(&places, Element::I64)?;
    let places = back.reshape(&places, &along)?;
    let places = back.expand(&places, &rows)?;
    let zero = back.scalar(&g, 0.0);
    let zeros = back.expand(&zero, &dims)?;
    let attributes = [Attribute::Int("axis", axis as i64), Attribute::Text("reduction", "add")];
    only(back.op("ScatterElements", &[&zeros, &places, &g], &attributes)?)
}
