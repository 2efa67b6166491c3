//! How a convolution's images change its output: `[N, C, H, W]` from the gradient `[N, O, H', W']`
//! and the weights `[O, C / groups, kh, kw]`.
//!
//! For each place of the kernel, the gradient times the weights of that place is added to what lies
//! under it. At stride 1 that is a product that is summed right where it belongs.

use super::Shared;
use super::frame::{Frame, Matrix, product};
use super::scratch;
use crate::runtime::{Call, Operator, Threads};

pub(super) const OPERATOR: Operator = Operator {
    name: crate::graph::CONV_IMAGE_GRADIENT,
    inputs: 2,
    outputs: 1,
    lists: &["image", "strides", "dilations", "before", "group"],
    numbers: &[],
    sizes,
    compute,
};

fn groups(call: &Call<'_>) -> usize {
    call.lists[4].first().copied().unwrap_or(1).max(1)
}

fn sizes(call: &Call<'_>) -> Vec<Vec<usize>> {
    let [(g, _), (w, _)] = call.inputs else { return Vec::new() };
    vec![vec![g[0], w[1] * groups(call), call.lists[0][0], call.lists[0][1]]]
}

fn compute(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let groups = groups(call);
    let [(g_dims, g), (w_dims, w)] = call.inputs else { return };
    let pair = |list: &[usize]| [list[0], list[1]];
    let frame = Frame {
        inside: w_dims[1],
        outside: g_dims[1] / groups,
        image: pair(&call.lists[0]),
        places: pair(&g_dims[2..]),
        kernel: pair(&w_dims[2..]),
        stride: pair(&call.lists[1]),
        dilation: pair(&call.lists[2]),
        before: pair(&call.lists[3]),
    };
    let (g_len, w_len) =
        (frame.outside * frame.windows(), frame.outside * frame.inside * frame.taps());
    let x_len = frame.inside * frame.image.iter().product::<usize>();
    let out = Shared::of(outputs[0]);
    threads.each(g_dims[0] * groups, |at| {
        // SAFETY: every image is one call's.
        let image = unsafe { out.part(at * x_len, x_len) };
        let group = at % groups;
        one(&frame, &g[at * g_len..][..g_len], &w[group * w_len..][..w_len], image);
    });
}

/// One image, of one group.
fn one(frame: &Frame, g: &[f32], w: &[f32], image: &mut [f32]) {
    let (inside, outside, windows, taps) =
        (frame.inside, frame.outside, frame.windows(), frame.taps());
    // The weights of one place of the kernel, turned: [C, O].
    let weights = |tap: usize| Matrix {
        elements: &w[tap..],
        rows: inside,
        columns: outside,
        steps: [taps, inside * taps],
    };
    let gradient = Matrix { elements: g, rows: outside, columns: windows, steps: [windows, 1] };
    if taps == 1 && frame.is_dense() && frame.is_flush() {
        return product(0.0, weights(0), gradient, image, windows);
    }
    let framed_len = frame.framed_len();
    if frame.is_dense() {
        let span = frame.span();
        let plane = frame.framed()[0] * frame.framed()[1];
        scratch::with([framed_len, outside * span], |[framed, wide]| {
            framed.fill(0.0);
            frame.widen(g, wide);
            let gradient =
                Matrix { elements: wide, rows: outside, columns: span, steps: [span, 1] };
            for tap in 0..taps {
                product(1.0, weights(tap), gradient, &mut framed[frame.offset(tap)..], plane);
            }
            frame.take(framed, image);
        });
    } else {
        scratch::with([framed_len, inside * windows], |[framed, under]| {
            framed.fill(0.0);
            for tap in 0..taps {
                product(0.0, weights(tap), gradient, under, windows);
                frame.scatter(under, tap, framed);
            }
            frame.take(framed, image);
        });
    }
}
