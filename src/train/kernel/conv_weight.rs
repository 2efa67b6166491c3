//! How a convolution's weights change its output: `[O, C / groups, kh, kw]` from the gradient
//! `[N, O, H', W']` and the images `[N, C, H, W]`.
//!
//! For each place of the kernel it is one product of the gradient with what lies under that place,
//! over all pixels of all images. Images are summed up in a few parts, whose number depends on sizes
//! alone, and the parts in their order.

use super::Shared;
use super::frame::{Frame, Matrix, product};
use super::scratch;
use crate::runtime::{Call, Operator, Threads};

pub(super) const OPERATOR: Operator = Operator {
    name: crate::graph::CONV_WEIGHT_GRADIENT,
    inputs: 2,
    outputs: 1,
    lists: &["kernel", "strides", "dilations", "before", "group"],
    numbers: &[],
    sizes,
    compute,
};

/// Parts that images are summed up in, at most.
const PARTS: usize = 16;

/// Elements that all parts together may have: 64 MiB.
const ELEMENTS: usize = 16 << 20;

/// Fewer channels than this are too few columns for a product of each place of the kernel.
const FEW: usize = 12;

fn groups(call: &Call<'_>) -> usize {
    call.lists[4].first().copied().unwrap_or(1).max(1)
}

fn frame(call: &Call<'_>) -> Frame {
    let pair = |list: &[usize]| [list[0], list[1]];
    let ([g, x], groups) = ([&call.inputs[0].0, &call.inputs[1].0], groups(call));
    Frame {
        inside: x[1] / groups,
        outside: g[1] / groups,
        image: pair(&x[2..]),
        places: pair(&g[2..]),
        kernel: pair(&call.lists[0]),
        stride: pair(&call.lists[1]),
        dilation: pair(&call.lists[2]),
        before: pair(&call.lists[3]),
    }
}

fn sizes(call: &Call<'_>) -> Vec<Vec<usize>> {
    let frame = frame(call);
    vec![vec![frame.outside * groups(call), frame.inside, frame.kernel[0], frame.kernel[1]]]
}

fn compute(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let (frame, groups) = (frame(call), groups(call));
    let [(g_dims, g), (_, x)] = call.inputs else { return };
    let images = g_dims[0];
    let len = outputs[0].len();
    let parts = (ELEMENTS / len.max(1)).clamp(2, PARTS).min(images).max(1);
    let mut sums = vec![0.0_f32; parts * len];
    let shared = Shared::of(&mut sums);
    let (g_len, x_len) =
        (frame.outside * frame.windows(), frame.inside * frame.image.iter().product::<usize>());
    threads.each(parts, |part| {
        // SAFETY: every part is one call's.
        let sum = unsafe { shared.part(part * len, len) };
        let (first, last) = (part * images / parts, (part + 1) * images / parts);
        for image in first..last {
            for group in 0..groups {
                let at = image * groups + group;
                let one = len / groups;
                add(
                    &frame,
                    &g[at * g_len..][..g_len],
                    &x[at * x_len..][..x_len],
                    &mut sum[group * one..][..one],
                );
            }
        }
    });
    // Each part has the weights of a group as [taps, O, C], or, with few channels, as [O, C, taps].
    let taps_last = is_narrow(&frame);
    let (taps, inside, outside) = (frame.taps(), frame.inside, frame.outside);
    let out = Shared::of(outputs[0]);
    let rows = groups * outside;
    threads.each(rows.min(64), |part| {
        let count = rows.min(64);
        for row in part * rows / count..(part + 1) * rows / count {
            let (group, o) = (row / outside, row % outside);
            // SAFETY: every row is one call's.
            let out = unsafe { out.part(row * inside * taps, inside * taps) };
            out.fill(0.0);
            for part in 0..parts {
                let sum = &sums[part * len + group * (len / groups)..][..len / groups];
                if taps_last {
                    let sum = &sum[o * inside * taps..][..inside * taps];
                    out.iter_mut().zip(sum).for_each(|(to, from)| *to += from);
                    continue;
                }
                for tap in 0..taps {
                    let sum = &sum[(tap * outside + o) * inside..][..inside];
                    let places = out[tap..].iter_mut().step_by(taps);
                    places.zip(sum).for_each(|(to, from)| *to += from);
                }
            }
        }
    });
}

fn is_narrow(frame: &Frame) -> bool {
    frame.inside < FEW && frame.taps() > 1
}

/// Adds what one image, of one group, gives to the weights.
fn add(frame: &Frame, g: &[f32], x: &[f32], sum: &mut [f32]) {
    let (inside, outside, windows) = (frame.inside, frame.outside, frame.windows());
    let gradient = Matrix { elements: g, rows: outside, columns: windows, steps: [windows, 1] };
    if frame.taps() == 1 && frame.is_dense() && frame.is_flush() {
        let under = Matrix { elements: x, rows: windows, columns: inside, steps: [1, windows] };
        return product(1.0, gradient, under, sum, inside);
    }
    let framed_len = frame.framed_len();
    let plane = frame.framed()[0] * frame.framed()[1];
    if is_narrow(frame) {
        let columns = inside * frame.taps();
        scratch::with([framed_len, columns * windows, inside * windows], |[framed, all, one]| {
            frame.put(x, framed);
            for tap in 0..frame.taps() {
                frame.gather(framed, tap, one);
                for (channel, line) in one.chunks_exact(windows).enumerate() {
                    let row = channel * frame.taps() + tap;
                    all[row * windows..][..windows].copy_from_slice(line);
                }
            }
            let under = Matrix { elements: all, rows: windows, columns, steps: [1, windows] };
            product(1.0, gradient, under, sum, columns);
        });
    } else if frame.is_dense() {
        let span = frame.span();
        scratch::with([framed_len, outside * span], |[framed, wide]| {
            frame.put(x, framed);
            frame.widen(g, wide);
            let gradient =
                Matrix { elements: wide, rows: outside, columns: span, steps: [span, 1] };
            for (tap, sum) in sum.chunks_exact_mut(outside * inside).enumerate() {
                let elements = &framed[frame.offset(tap)..];
                let under = Matrix { elements, rows: span, columns: inside, steps: [1, plane] };
                product(1.0, gradient, under, sum, inside);
            }
        });
    } else {
        scratch::with([framed_len, inside * windows], |[framed, one]| {
            frame.put(x, framed);
            for (tap, sum) in sum.chunks_exact_mut(outside * inside).enumerate() {
                frame.gather(framed, tap, one);
                let under =
                    Matrix { elements: one, rows: windows, columns: inside, steps: [1, windows] };
                product(1.0, gradient, under, sum, inside);
            }
        });
    }
}
