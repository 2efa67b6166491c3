//! Windows that slide over images, and what comes back from under them. Any number of image axes.
//!
//! A window that is put down `out` times reaches over exactly `(out - 1) · stride + extent`
//! elements. What that is more than the image is padding, what it is less the last window leaves
//! over; with `after` counted that way (negative if something is left over), padding by number, by
//! mode and for a rounded-up count are all the same.

use super::back::Back;
use crate::error::Result;
use crate::graph::compose::{Attribute, CONV_IMAGE_GRADIENT, CONV_WEIGHT_GRADIENT, Tensor, signed};

/// How a window moves, axis by axis.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Before the image.
    pub before: Vec<i64>,
    /// Behind it; negative for what no window reaches.
    pub after: Vec<i64>,
    /// How long the image's axes are.
    pub image: Vec<usize>,
}

/// A window as attributes of genset's own operators.
pub(super) struct OwnAttributes {
    sizes: Vec<i64>,
    stride: Vec<i64>,
    dilation: Vec<i64>,
    before: Vec<i64>,
    group: [i64; 1],
}

impl OwnAttributes {
    pub fn list(&self) -> [Attribute<'_>; 5] {
        [
            Attribute::Ints("sizes", &self.sizes),
            Attribute::Ints("strides", &self.stride),
            Attribute::Ints("dilations", &self.dilation),
            Attribute::Ints("before", &self.before),
            Attribute::Ints("group", &self.group),
        ]
    }
}

impl Window {
    /// That of the node, whose image axes are `image` long and which puts it down `places` times.
    pub fn of(back: &Back<'_>, kernel: &[usize], image: &[usize], places: &[usize]) -> Self {
        let rank = kernel.len();
        let list = |name: &str| match back.list(name) {
            [] => vec![1; rank],
            list => list.iter().map(|&value| usize::try_from(value).unwrap_or(1)).collect(),
        };
        let (stride, dilation) = (list("strides"), list("dilations"));
        let mode = back.text("auto_pad", "NOTSET");
        let given = back.list("pads").to_vec();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for axis in 0..rank {
            let extent = (dilation[axis] * (kernel[axis] - 1) + 1) as i64;
            let reach = (places[axis] as i64 - 1) * stride[axis] as i64 + extent;
            let more = reach - image[axis] as i64;
            let first = match mode.as_str() {
                "SAME_UPPER" => more.max(0) / 2,
                "SAME_LOWER" => (more.max(0) + 1) / 2,
                "VALID" => 0,
                _ => given.get(axis).copied().unwrap_or(0),
            };
            before.push(first);
            after.push(more - first);
        }
        Self { kernel: kernel.to_vec(), stride, dilation, before, after, image: image.to_vec() }
    }

    /// As attributes of genset's own operators, with the sizes of the image or of the kernel.
    pub fn own_attributes(&self, sizes: &[usize], groups: usize) -> OwnAttributes {
        OwnAttributes {
            sizes: signed(sizes),
            stride: signed(&self.stride),
            dilation: signed(&self.dilation),
            before: self.before.clone(),
            group: [groups as i64],
        }
    }

    /// Whether windows lie side by side and cover the image exactly.
    pub fn tiles(&self) -> bool {
        let flush = |pads: &[i64]| pads.iter().all(|&pad| pad == 0);
        self.kernel == self.stride
            && self.dilation.iter().all(|&step| step == 1)
            && flush(&self.before)
            && flush(&self.after)
    }

    /// Every place of the kernel, the last axis fastest.
    pub fn offsets(&self) -> Vec<Vec<usize>> {
        let mut offsets = vec![Vec::new()];
        for &size in &self.kernel {
            offsets = offsets
                .iter()
                .flat_map(|offset| (0..size).map(|at| [&offset[..], &[at]].concat()))
                .collect();
        }
        offsets
    }
}

/// `[N, C, …]` with the window's padding around, and without what no window reaches.
pub(super) fn framed(back: &mut Back<'_>, x: &Tensor, window: &Window) -> Result<Tensor> {
    let frame = |pads: &[i64]| [&[0, 0], pads].concat();
    back.pad(x, &frame(&window.before), &frame(&window.after))
}

/// What lies under one place of the kernel, window by window: `[N, C, places…]` of a framed image.
pub(super) fn under(
    back: &mut Back<'_>,
    framed: &Tensor,
    window: &Window,
    offset: &[usize],
    places: &[usize],
) -> Result<Tensor> {
    let sizes = back.dims_of(framed);
    let mut cuts = Vec::new();
    for (axis, &at) in offset.iter().enumerate() {
        let (first, step) = (at * window.dilation[axis], window.stride[axis]);
        let last = first + (places[axis] - 1) * step + 1;
        if first > 0 || step > 1 || last < sizes[axis + 2] {
            cuts.push((axis + 2, first as i64, last as i64, step as i64));
        }
    }
    if cuts.is_empty() { Ok(framed.clone()) } else { back.slices(framed, &cuts) }
}

/// The sum of what every window gives to an element of the image: `g` `[N, O, places…]` through
/// weights `[O, I / groups, kernel…]` to `[N, I, image…]`. It is what a convolution is transposed.
pub(super) fn scattered(
    back: &mut Back<'_>,
    g: &Tensor,
    weights: &Tensor,
    window: &Window,
    groups: usize,
) -> Result<Tensor> {
    let rank = window.kernel.len();
    if rank == 2 && back.may_own(g) {
        let inside = back.dims_of(weights)[1] * groups;
        let image = window.image.clone();
        let attributes = window.own_attributes(&image, groups);
        let dims = vec![back.dims_of(g)[0], inside, image[0], image[1]];
        return Ok(back
            .own(CONV_IMAGE_GRADIENT, &[g, weights], &attributes.list(), &[dims])
            .remove(0));
    }
    let reach = |axis: usize| (window.dilation[axis] * (window.kernel[axis] - 1)) as i64;
    let fits = |pads: &[i64]| (0..rank).all(|axis| pads[axis] <= reach(axis));
    let dense = window.stride.iter().all(|&stride| stride == 1);
    if dense && fits(&window.before) && fits(&window.after) {
        // A convolution by the same weights, turned round: runtimes are better at those.
        let turned = turned(back, weights, groups)?;
        let mut pads: Vec<i64> = (0..rank).map(|axis| reach(axis) - window.before[axis]).collect();
        pads.extend((0..rank).map(|axis| reach(axis) - window.after[axis]));
        let attributes = [
            Attribute::Ints("dilations", &signed(&window.dilation)),
            Attribute::Ints("pads", &pads),
            Attribute::Int("group", groups as i64),
        ];
        return back.op("Conv", &[g, &turned], &attributes);
    }
    let mut pads: Vec<i64> = window.before.clone();
    pads.extend(window.after.iter().map(|&after| after.max(0)));
    let more: Vec<i64> = window.after.iter().map(|&after| (-after).max(0)).collect();
    // A stride can only leave over less than itself.
    let attributes = [
        Attribute::Ints("strides", &signed(&window.stride)),
        Attribute::Ints("dilations", &signed(&window.dilation)),
        Attribute::Ints("pads", &pads),
        Attribute::Ints("output_padding", &more),
        Attribute::Int("group", groups as i64),
    ];
    back.op("ConvTranspose", &[g, weights], &attributes)
}

/// `[O, I / groups, kernel…]` as `[I, O / groups, kernel…]`, with the kernel turned round.
fn turned(back: &mut Back<'_>, weights: &Tensor, groups: usize) -> Result<Tensor> {
    let dims = back.dims_of(weights);
    let (out, inside) = (dims[0], dims[1]);
    let kernel = &dims[2..];
    let mut swapped = weights.clone();
    if groups == 1 {
        let order: Vec<usize> = [1, 0].into_iter().chain(2..dims.len()).collect();
        swapped = back.transpose(&swapped, &order)?;
    } else {
        swapped = back.reshape(&swapped, &[&[groups, out / groups, inside], kernel].concat())?;
        let order: Vec<usize> = [0, 2, 1].into_iter().chain(3..dims.len() + 1).collect();
        swapped = back.transpose(&swapped, &order)?;
        swapped = back.reshape(&swapped, &[&[groups * inside, out / groups], kernel].concat())?;
    }
    let axes: Vec<usize> = (2..dims.len()).collect();
    back.flip(&swapped, &axes)
}

/// How weights `[A, B / groups, kernel…]` change a sum of products of `[N, A, places…]` with what
/// lies under the windows of `[N, B, image…]`: for each place of the kernel, one matrix product
/// over all pixels.
pub(super) fn correlated(
    back: &mut Back<'_>,
    at_places: &Tensor,
    image: &Tensor,
    window: &Window,
    groups: usize,
) -> Result<Tensor> {
    let dims = back.dims_of(at_places);
    let (batch, a, places) = (dims[0], dims[1], dims[2..].to_vec());
    let pixels: usize = places.iter().product();
    let b = back.dims_of(image)[1];
    let (a_each, b_each) = (a / groups, b / groups);
    if places.len() == 2 && back.may_own(at_places) {
        let attributes = window.own_attributes(&window.kernel, groups);
        let dims = [&[a, b_each], &window.kernel[..]].concat();
        let made = back.own(CONV_WEIGHT_GRADIENT, &[at_places, image], &attributes.list(), &[dims]);
        return Ok(made[0].clone());
    }
    let left = back.reshape(at_places, &[batch, groups, a_each, pixels])?;
    let framed = framed(back, image, window)?;
    let mut parts = Vec::new();
    for offset in window.offsets() {
        let right = under(back, &framed, window, &offset, &places)?;
        let right = back.reshape(&right, &[batch, groups, b_each, pixels])?;
        let summed = match a_each * b_each {
            // Depthwise: products element by element, summed.
            1 => {
                let product = back.mul(&left, &right)?;
                back.sum(&product, &[0, 3], false)?
            }
            _ => {
                let turned = back.swap_last(&right)?;
                let product = back.matmul(&left, &turned)?;
                back.sum(&product, &[0], false)?
            }
        };
        parts.push(back.reshape(&summed, &[a, b_each, 1])?);
    }
    let joined = back.concat(&parts, 2)?;
    back.reshape(&joined, &[&[a, b_each], &window.kernel[..]].concat())
}
