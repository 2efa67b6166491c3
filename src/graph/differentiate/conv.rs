//! Convolution. The image's gradient is the output's, scattered through the kernel; the kernel's is
//! the output's, correlated with the image; the offset's is its sum over images and pixels
//! (Dumoulin and Visin 2016, *A guide to convolution arithmetic*, chapter 4).

use super::back::{Back, Gradients, beside_channels};
use super::window::{Window, correlated, scattered};

pub(super) fn rule(back: &mut Back<'_>) -> Gradients {
    let (x, w, g) = (back.input(0)?, back.input(1)?, back.gradient()?);
    let groups = usize::try_from(back.int("group", 1)).unwrap_or(1).max(1);
    let (image, kernel, places) = (back.dims_of(&x), back.dims_of(&w), back.dims_of(&g));
    let window = Window::of(back, &kernel[2..], &image[2..], &places[2..]);
    let dx = match back.needs(0) {
        true => Some(scattered(back, &g, &w, &window, groups)?),
        false => None,
    };
    let dw = match back.needs(1) {
        true => Some(correlated(back, &g, &x, &window, groups)?),
        false => None,
    };
    let db = match back.needs(2) {
        true => Some(back.sum(&g, &beside_channels(places.len()), false)?),
        false => None,
    };
    Ok(vec![dx, dw, db])
}
