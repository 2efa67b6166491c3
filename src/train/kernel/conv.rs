//! Convolution and its gradients: images `[N, C, H, W]`, weights `[O, C / groups, kh, kw]`, and what
//! comes of them, `[N, O, H', W']` (Dumoulin and Visin 2016, chapters 2 and 4).
//!
//! Weights are read in blocks of rows, packed once a call; images where they lie once they are framed. Several
//! images are framed together; how many, and in how many parts the gradients of the weights are summed
//! up, depends on sizes alone.

use super::Shared;
use super::frame::{Frame, LINE};
use super::fused::{BEYOND, Inner, LEFT, Offsets, Outer, RIGHT, ROWS, Set, inner, outer};
use super::scratch;
use crate::runtime::{Call, Operator, Threads};

/// x, w → y.
pub(super) const FORWARD: Operator = Operator {
    name: crate::graph::CONV,
    inputs: 2,
    outputs: 1,
    lists: &["sizes", "strides", "dilations", "before", "group"],
    numbers: &[],
    sizes: |call| {
        let [(x, _), (w, _)] = call.inputs else { return Vec::new() };
        vec![vec![x[0], w[0], call.lists[0][0], call.lists[0][1]]]
    },
    compute: forward,
};

/// g, w → dx.
pub(super) const IMAGE: Operator = Operator {
    name: crate::graph::CONV_IMAGE_GRADIENT,
    sizes: |call| {
        let [(g, _), (w, _)] = call.inputs else { return Vec::new() };
        vec![vec![g[0], w[1] * groups(call), call.lists[0][0], call.lists[0][1]]]
    },
    compute: image_gradient,
    ..FORWARD
};

/// g, x → dw.
pub(super) const WEIGHT: Operator = Operator {
    name: crate::graph::CONV_WEIGHT_GRADIENT,
    sizes: |call| {
        let [(g, _), (x, _)] = call.inputs else { return Vec::new() };
        vec![vec![g[1], x[1] / groups(call), call.lists[0][0], call.lists[0][1]]]
    },
    compute: weight_gradient,
    ..FORWARD
};

/// Parts that gradients of weights are summed up in, at most.
const PARTS: usize = 16;

/// Elements that all parts together may have: 64 MiB.
const ELEMENTS: usize = 16 << 20;

fn groups(call: &Call<'_>) -> usize {
    call.lists[4].first().copied().unwrap_or(1).max(1)
}

/// How the node lies on `images` images of the size `image`, for one group, with weights of the
/// sizes `w` and places for its windows `y`.
fn frame(call: &Call<'_>, images: usize, image: [usize; 2], [w, y]: [&[usize]; 2]) -> Frame {
    let pair = |list: &[usize]| [list[0], list[1]];
    let frame = Frame {
        inside: w[1],
        outside: w[0] / groups(call),
        image,
        places: pair(y),
        kernel: pair(&w[2..]),
        stride: pair(&call.lists[1]),
        dilation: pair(&call.lists[2]),
        before: pair(&call.lists[3]),
        many: 1,
    };
    frame.for_images(images)
}

/// Images of one group that are framed together.
#[derive(Clone, Copy)]
struct Chunk {
    first: usize,
    many: usize,
    group: usize,
    groups: usize,
}

impl Chunk {
    /// How many there are of each group.
    fn count(frame: &Frame, images: usize) -> usize {
        images.div_ceil(frame.many)
    }

    /// That of number `number`, of `group`.
    fn new(frame: &Frame, images: usize, number: usize, [group, groups]: [usize; 2]) -> Self {
        let first = number * frame.many;
        Self { first, many: frame.many.min(images - first), group, groups }
    }

    /// Where each of its images begins, among all images of all groups of `len` elements.
    fn places(self, len: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..self.many)
            .map(move |number| (number, ((self.first + number) * self.groups + self.group) * len))
    }
}

/// The weights of a group.
fn of_group<'w>(w: &'w [f32], frame: &Frame, group: usize) -> &'w [f32] {
    let len = frame.outside * frame.columns();
    &w[group * len..][..len]
}

/// Weights in blocks of [`ROWS`] rows: for row `row` of `rows` and column `k` of `columns`, `at(row,
/// k)` says which weight it is. Blocks are behind each other; the last has zeros at its end.
fn packed(
    w: &[f32],
    rows: usize,
    columns: usize,
    at: impl Fn(usize, usize) -> usize,
) -> Vec<[f32; ROWS]> {
    let mut blocks = vec![[0.0; ROWS]; rows.div_ceil(ROWS) * columns];
    for row in 0..rows {
        for k in 0..columns {
            blocks[row / ROWS * columns + k][row % ROWS] = w[at(row, k)];
        }
    }
    blocks
}

fn forward(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let [(x_dims, x), (w_dims, w)] = call.inputs else { return };
    let groups = groups(call);
    let frame = frame(call, x_dims[0], [x_dims[2], x_dims[3]], [w_dims, &call.lists[0]]);
    let columns = frame.columns();
    let weights: Vec<_> = (0..groups)
        .map(|group| {
            packed(of_group(w, &frame, group), frame.outside, columns, |row, k| row * columns + k)
        })
        .collect();
    convolved(&frame, x_dims[0], x, &weights, outputs[0], threads);
}

/// Images convolved by the weights of each group, packed: rows are channels of what comes of them,
/// columns their own channels and, in each, the places of the kernel.
fn convolved(
    frame: &Frame,
    images: usize,
    x: &[f32],
    weights: &[Vec<[f32; ROWS]>],
    y: &mut [f32],
    threads: &Threads<'_>,
) {
    let (groups, columns) = (weights.len(), frame.columns());
    let under = frame.under();
    let offsets = Offsets::of(&under);
    let (x_len, y_len) = (frame.image_len(), frame.made_len());
    let y = Shared::of(y);
    let set = Set::best();
    threads.each(Chunk::count(frame, images) * groups, |part| {
        let group = part % groups;
        let chunk = Chunk::new(frame, images, part / groups, [group, groups]);
        scratch::with([frame.framed_len(), frame.outside * frame.wide()], |[framed, wide]| {
            framed.fill(0.0);
            for (number, at) in chunk.places(x_len) {
                frame.put(&x[at..][..x_len], number, framed);
            }
            let span = frame.span(chunk.many);
            for (block, weights) in weights[group].chunks_exact(columns).enumerate() {
                let rows = ROWS.min(frame.outside - block * ROWS);
                let target = &mut wide[block * ROWS * frame.wide()..];
                let of = Outer { weights, offsets, source: framed, span };
                outer(set, of, target, frame.wide(), rows, false);
            }
            for (number, at) in chunk.places(y_len) {
                // SAFETY: every image, of every group, is one call's.
                frame.narrow(wide, number, unsafe { y.part(at, y_len) });
            }
        });
    });
}

fn image_gradient(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let [(g_dims, g), (w_dims, w)] = call.inputs else { return };
    let (groups, images) = (groups(call), g_dims[0]);
    let image = [call.lists[0][0], call.lists[0][1]];
    let frame = frame(call, images, image, [w_dims, &g_dims[2..]]);
    let (taps, columns) = (frame.taps(), frame.columns());
    if let Some(turned) = frame.turned() {
        // A convolution too, of the gradient, by the weights turned round.
        let turned = turned.for_images(images);
        let weights: Vec<_> = (0..groups)
            .map(|group| {
                let at = |row, k| k / taps * columns + row * taps + (taps - 1 - k % taps);
                packed(of_group(w, &frame, group), frame.inside, frame.outside * taps, at)
            })
            .collect();
        return convolved(&turned, images, g, &weights, outputs[0], threads);
    }
    // For each group and each place of the kernel: rows are channels of the image.
    let weights: Vec<_> = (0..groups * taps)
        .map(|part| {
            let (group, tap) = (part / taps, part % taps);
            let at = |row, k| k * columns + row * taps + tap;
            packed(of_group(w, &frame, group), frame.inside, frame.outside, at)
        })
        .collect();
    let rows: Vec<usize> = (0..frame.outside).map(|k| k * frame.wide()).collect();
    let offsets = Offsets::of(&rows);
    let (x_len, y_len) = (frame.image_len(), frame.made_len());
    let dx = Shared::of(outputs[0]);
    let set = Set::best();
    threads.each(Chunk::count(&frame, images) * groups, |part| {
        let group = part % groups;
        let chunk = Chunk::new(&frame, images, part / groups, [group, groups]);
        scratch::with([frame.framed_len(), frame.outside * frame.wide()], |[framed, wide]| {
            framed.fill(0.0);
            wide.fill(0.0);
            for (number, at) in chunk.places(y_len) {
                frame.widen(&g[at..][..y_len], number, wide);
            }
            let span = frame.span(chunk.many);
            for tap in 0..taps {
                let weights = &weights[group * taps + tap];
                for (block, weights) in weights.chunks_exact(frame.outside).enumerate() {
                    let rows = ROWS.min(frame.inside - block * ROWS);
                    let target = &mut framed[block * ROWS * frame.channel() + frame.offset(tap)..];
                    let of = Outer { weights, offsets, source: wide, span };
                    outer(set, of, target, frame.channel(), rows, true);
                }
            }
            for (number, at) in chunk.places(x_len) {
                // SAFETY: every image, of every group, is one call's.
                frame.take(framed, number, unsafe { dx.part(at, x_len) });
            }
        });
    });
}

fn weight_gradient(call: &Call<'_>, outputs: &mut [&mut [f32]], threads: &Threads<'_>) {
    let [(g_dims, g), (x_dims, x)] = call.inputs else { return };
    let (groups, images) = (groups(call), g_dims[0]);
    let w_dims = [g_dims[1], x_dims[1] / groups, call.lists[0][0], call.lists[0][1]];
    let frame = frame(call, images, [x_dims[2], x_dims[3]], [&w_dims, &g_dims[2..]]);
    let (x_len, y_len) = (frame.image_len(), frame.made_len());
    let chunks = Chunk::count(&frame, images);
    let len = outputs[0].len();
    let parts = (ELEMENTS / len.max(1)).clamp(2, PARTS).min(chunks).max(1);
    let turned = frame.inside >= LINE;
    let of_chunk = if turned { by_place } else { by_channel };
    scratch::with([parts * len], |[sums]| {
        let shared = Shared::of(sums);
        threads.each(parts, |part| {
            // SAFETY: every part is one call's.
            let sums = unsafe { shared.part(part * len, len) };
            sums.fill(0.0);
            for number in part * chunks / parts..(part + 1) * chunks / parts {
                for (group, sums) in sums.chunks_exact_mut(len / groups).enumerate() {
                    let chunk = Chunk::new(&frame, images, number, [group, groups]);
                    let of = chunk
                        .places(1)
                        .map(|(_, at)| (&x[at * x_len..][..x_len], &g[at * y_len..][..y_len]));
                    of_chunk(&frame, &of.collect::<Vec<_>>(), sums);
                }
            }
        });
        let sums: Vec<_> = sums.chunks_exact(len).collect();
        let out = Shared::of(outputs[0]);
        threads.each(len / frame.columns(), |row| {
            // SAFETY: every row is one call's.
            let out = unsafe { out.part(row * frame.columns(), frame.columns()) };
            let group = row / frame.outside * frame.outside * frame.columns();
            let own = row % frame.outside;
            if turned {
                for tap in 0..frame.taps() {
                    let from = group + (tap * frame.outside + own) * frame.inside;
                    gathered(&sums, from, frame.inside, |channel, sum| {
                        out[channel * frame.taps() + tap] = sum;
                    });
                }
            } else {
                gathered(&sums, group + own * frame.columns(), frame.columns(), |k, sum| {
                    out[k] = sum
                });
            }
        });
    });
}

/// Adds up what all parts have from element `from` on, `count` of them, in the order of the parts.
fn gathered(parts: &[&[f32]], from: usize, count: usize, mut put: impl FnMut(usize, f32)) {
    scratch::with([count], |[total]| {
        total.copy_from_slice(&parts[0][from..][..count]);
        for part in &parts[1..] {
            total.iter_mut().zip(&part[from..][..count]).for_each(|(to, from)| *to += from);
        }
        total.iter().enumerate().for_each(|(at, sum)| put(at, *sum));
    });
}

/// An image of a chunk, and the gradient of what came of it.
type Pair<'a> = (&'a [f32], &'a [f32]);

/// Places whose products are added up before they are added to others.
const PLACES: usize = 256;

/// Adds to `sums` `[taps, O, C]` what the images of a chunk have to say: for every place, the gradient of
/// each output times all channels under each place of the kernel.
fn by_place(frame: &Frame, images: &[Pair<'_>], sums: &mut [f32]) {
    let (inside, outside) = (frame.inside, frame.outside);
    let pixels = frame.places[0] * frame.places[1];
    let blocks = outside.div_ceil(ROWS);
    let set = Set::best();
    let under: Vec<usize> = (0..frame.taps()).map(|tap| frame.offset(tap) * inside).collect();
    let mut at = Vec::with_capacity(images.len() * pixels);
    let packed = blocks * images.len() * pixels;
    scratch::with([frame.turned_len(), packed * ROWS], |[framed, gradients]| {
        let gradients = gradients.as_chunks_mut::<ROWS>().0;
        framed.fill(0.0);
        for (number, (x, g)) in images.iter().enumerate() {
            frame.put_turned(x, number, framed);
            at.extend(frame.windows(number).map(|place| place * inside));
            for (row, g) in g.chunks_exact(pixels).enumerate() {
                let first = (row / ROWS * images.len() + number) * pixels;
                let block = &mut gradients[first..first + pixels];
                // Rows that there are not keep what was there: nothing is made of their sums.
                block.iter_mut().zip(g).for_each(|(block, g)| block[row % ROWS] = *g);
            }
        }
        for (few, at) in at.chunks(PLACES).enumerate() {
            let offsets = Offsets::of(at);
            for block in 0..blocks {
                let first = block * images.len() * pixels + few * PLACES;
                let weights = &gradients[first..first + at.len()];
                let rows = ROWS.min(outside - block * ROWS);
                for (tap, under) in under.iter().enumerate() {
                    let source = &framed[*under..];
                    let of = Outer { weights, offsets, source, span: inside };
                    let target = &mut sums[(tap * outside + block * ROWS) * inside..];
                    outer(set, of, target, inside, rows, true);
                }
            }
        }
    });
}

/// Adds to `sums` `[O, C, taps]` the same, for few channels.
fn by_channel(frame: &Frame, images: &[Pair<'_>], sums: &mut [f32]) {
    let places = frame.under();
    let lens = [frame.framed_len() + BEYOND, frame.outside * frame.wide()];
    scratch::with(lens, |[framed, wide]| {
        framed.fill(0.0);
        wide.fill(0.0);
        for (number, (x, g)) in images.iter().enumerate() {
            frame.put(x, number, framed);
            frame.widen(g, number, wide);
        }
        let span = frame.span(images.len());
        products(Set::best(), frame, &places, [wide, framed], span, sums);
    });
}

/// Adds to `sums` `[O, C · taps]` the products of every row of `wide` with what lies under every
/// place of the kernel in every channel.
fn products(
    set: Set,
    frame: &Frame,
    places: &[usize],
    [wide, framed]: [&[f32]; 2],
    span: usize,
    sums: &mut [f32],
) {
    let columns = places.len();
    for row in (0..frame.outside).step_by(LEFT) {
        // At the end of either side the last row stands in for those that are not there.
        let left = std::array::from_fn(|l| (row + l).min(frame.outside - 1) * frame.wide());
        for column in (0..columns).step_by(RIGHT) {
            let right = std::array::from_fn(|r| places[(column + r).min(columns - 1)]);
            let block: Inner = inner(set, (wide, left), (framed, right), span);
            for (l, block) in block.iter().enumerate().take(frame.outside - row) {
                let at = (row + l) * columns + column;
                let count = RIGHT.min(columns - column);
                sums[at..at + count].iter_mut().zip(block).for_each(|(to, from)| *to += from);
            }
        }
    }
}
