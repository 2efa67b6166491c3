//! Transposed convolution: the gradient of its input is a convolution of the output's gradient by
//! the same weights, and that of the weights the same correlation as a convolution's, with input
//! and output in each other's place (Dumoulin and Visin 2016, chapter 4).

use super::back::{Back, Gradients, beside_channels};
use super::window::{Window, correlated};
use crate::graph::compose::{Attribute, signed};

pub(super) fn rule(back: &mut Back<'_>) -> Gradients {
    let (x, w, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let groups = usize::try_from(back.int("group", 1)).unwrap_or(1).max(1);
    let (places, kernel, image) = (back.dims_of(&x), back.dims_of(&w), back.dims_of(&g));
    if back.text("auto_pad", "NOTSET") != "NOTSET" || !back.list("output_shape").is_empty() {
        return back.unable("with `auto_pad` or `output_shape`");
    }
    let window = Window::of(back, &kernel[2..], &image[2..], &places[2..]);
    let dx = match back.needs(0) {
        true => {
            let pads: Vec<i64> = window
                .before
                .iter()
                .copied()
                .chain(window.after.iter().map(|&p| p.max(0)))
                .collect();
            let attributes = [
                Attribute::Ints("strides", &signed(&window.stride)),
                Attribute::Ints("dilations", &signed(&window.dilation)),
                Attribute::Ints("pads", &pads),
                Attribute::Int("group", groups as i64),
            ];
            Some(back.op("Conv", &[&g, &w], &attributes)?)
        }
        false => None,
    };
    let dw = match back.needs(1) {
        true => Some(correlated(back, &x, &g, &window, groups)?),
        false => None,
    };
    let db = match back.needs(2) {
        true => Some(back.sum(&g, &beside_channels(image.len()), false)?),
        false => None,
    };
    Ok(vec![dx, dw, db])
}
