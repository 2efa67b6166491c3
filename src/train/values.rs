//! What numbers an encoder sees for a pixel: intensities from 0 to 1, perhaps normalised.

use super::encoder::Encoder;
use crate::error::Result;
use crate::graph::compose::{Composer, Tensor};
use crate::graph::{Element, EncoderInput};
use crate::load::GroupForm;
use crate::recipe::{Dtype, Layout};

/// The element type of the tensor that delivered images are fed as.
pub(super) fn element(dtype: Dtype) -> Element {
    match dtype {
        Dtype::U8 => Element::U8,
        Dtype::F16 => Element::F16,
        Dtype::F32 => Element::F32,
    }
}

/// Delivered images `[B, V, …]` as the encoder takes them: `[B · V, C, H, W]` of `f32`. Bytes become
/// intensities, `input` is applied, one channel becomes as many as the encoder has.
pub(super) fn seen(
    c: &mut Composer,
    delivered: &Tensor,
    form: &GroupForm,
    encoder: &Encoder,
    input: Option<&EncoderInput>,
) -> Result<Tensor> {
    let images = c.dims(delivered)[0] * form.views;
    let [channels, height, width] = [form.form.channels, form.form.height, form.form.width];
    let mut x = match form.form.layout {
        Layout::Nchw => c.reshape(delivered, &[images, channels, height, width])?,
        Layout::Nhwc => {
            let x = c.reshape(delivered, &[images, height, width, channels])?;
            c.transpose(&x, &[0, 3, 1, 2])?
        }
    };
    x = c.cast(&x, Element::F32)?;
    let unit = if form.form.dtype == Dtype::U8 { 1.0 / 255.0 } else { 1.0 };
    let done = match input {
        // Floats that were normalised already.
        None => vec![[unit, 0.0]; channels],
        Some(input) => input.coefficients(channels)?.iter().map(|[f, o]| [f * unit, *o]).collect(),
    };
    let same = |at: usize, none: f64| done.iter().all(|pair| pair[at] == none);
    for (at, none, operator) in [(0, 1.0, "Mul"), (1, 0.0, "Add")] {
        if !same(at, none) {
            let numbers: Vec<f64> = done.iter().map(|pair| pair[at]).collect();
            let numbers = c.floats(Element::F32, &[1, channels, 1, 1], &numbers);
            x = c.op(operator, &[&x, &numbers], &[])?;
        }
    }
    if channels < encoder.channels() {
        x = c.expand(&x, &[images, encoder.channels(), height, width])?;
    }
    Ok(x)
}
