//! Means over windows: each window's gradient, divided by how many elements it counted, goes to
//! each of them.

use super::back::{Back, Gradients, only};
use super::window::{Window, scattered};
use crate::error::Result;
use crate::graph::compose::Tensor;

/// `AveragePool`.
pub(super) fn rule(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let (image, places) = (back.dims_of(&x), back.dims_of(&g));
    let kernel: Vec<usize> =
        back.list("kernel_shape").iter().map(|&k| usize::try_from(k).unwrap_or(1)).collect();
    let window = Window::of(back, &kernel, &image[2..], &places[2..]);
    let share = shares(back, &g, &window, &image[2..], &places[2..])?;
    if window.tiles() {
        let gradient = repeated(back, &share, &kernel)?;
        return only(back.reshape(&gradient, &image)?);
    }
    // All channels alike: each image of each channel is one of one channel.
    let planes = image[0] * image[1];
    let flat = back.reshape(&share, &[&[planes, 1], &places[2..]].concat())?;
    let count: usize = kernel.iter().product();
    let element = back.element(&x);
    let ones = back.floats(element, &[&[1, 1], &kernel[..]].concat(), &vec![1.0; count]);
    let gradient = scattered(back, &flat, &ones, &window, 1)?;
    only(back.reshape(&gradient, &image)?)
}

/// `g` divided by how many elements each window counts.
fn shares(
    back: &mut Back<'_>,
    g: &Tensor,
    window: &Window,
    image: &[usize],
    places: &[usize],
) -> Result<Tensor> {
    let with_frame = back.int("count_include_pad", 0) != 0;
    let pads = back.list("pads").to_vec();
    // Per axis, how many elements each window counts; windows are products of those.
    let mut counts = vec![1.0];
    for axis in 0..places.len() {
        let behind = pads.get(axis + places.len()).copied().unwrap_or(0);
        let (low, high) = match with_frame {
            true => (-window.before[axis], image[axis] as i64 + behind),
            false => (0, image[axis] as i64),
        };
        let along = (0..places[axis]).map(|place| {
            let first = (place * window.stride[axis]) as i64 - window.before[axis];
            let taken = (0..window.kernel[axis])
                .map(|at| first + (at * window.dilation[axis]) as i64)
                .filter(|at| (low..high).contains(at));
            taken.count() as f64
        });
        let along: Vec<f64> = along.collect();
        counts = counts.iter().flat_map(|one| along.iter().map(move |two| one * two)).collect();
    }
    if counts.windows(2).all(|pair| pair[0] == pair[1]) {
        return back.scale(g, 1.0 / counts[0]);
    }
    let shares: Vec<f64> = counts.iter().map(|count| 1.0 / count).collect();
    let element = back.element(g);
    let shares = back.floats(element, &[&[1, 1], places].concat(), &shares);
    back.mul(g, &shares)
}

/// Every element as a block of `kernel`.
fn repeated(back: &mut Back<'_>, g: &Tensor, kernel: &[usize]) -> Result<Tensor> {
    let dims = back.dims_of(g);
    let (mut apart, mut blocks) = (dims[..2].to_vec(), dims[..2].to_vec());
    for (&size, &block) in dims[2..].iter().zip(kernel) {
        apart.extend([size, 1]);
        blocks.extend([size, block]);
    }
    let apart = back.reshape(g, &apart)?;
    back.expand(&apart, &blocks)
}

/// `GlobalAveragePool`: the window is the image.
pub(super) fn global(back: &mut Back<'_>) -> Gradients {
    let (x, g) = (back.input(0)?, back.gradient()?);
    let image = back.dims_of(&x);
    let pixels: usize = image[2..].iter().product();
    let share = back.scale(&g, 1.0 / pixels as f64)?;
    only(back.expand(&share, &image)?)
}
