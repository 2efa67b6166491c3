//! A layer that makes more pixels than it reads, as convolutions of what it reads.
//!
//! Along one axis let output pixel `o` of such a layer be
//!
//! ```text
//! y[o] = Σ_t w[t] · x[source(o, t)],        source(o + a, t) = source(o, t) + 1,
//! ```
//!
//! with `x` zero outside of its `n` pixels, for `o` in `0 .. L` with `L = a·n + c`: every `a` pixels
//! out the layer moves on by one pixel in. Choose a *block* `s = a·σ` and write `o = s·q + r` with
//! `0 ≤ r < s`. Then `source(o, t) = σ·q + e` with `e = source(r, t)`, so that
//!
//! ```text
//! y[s·q + r] = Σ_e ( Σ_{t: source(r, t) = e} w[t] ) · x[σ·q + e]:
//! ```
//!
//! for every *phase* `r` a convolution of stride `σ` whose kernel at offset `e` is the sum of the
//! taps that fall on it. The phases, interleaved, are the output: `DepthToSpace` with block `s` does
//! that for both axes at once, so `s` is a common multiple of both axes' `a`; where they are equal
//! `σ` is 1 and no pixel is skipped.
//!
//! *Borders.* A convolution reads zeros outside of `x`, as the layer does, so what is left is that
//! all phases have equally many outputs, with paddings that are not negative. Let each start at
//! block `A ≤ 0` and put `lo`, `hi` for the least and greatest offset of a phase. Its padding before
//! is `-(σ·A + lo)`, not negative if `A ≤ ⌊-lo / σ⌋`. With `m = before + after - (hi - lo + 1)` equal
//! for all phases each has `⌊(n + m) / σ⌋ + 1` outputs. The last block that is wanted is
//! `⌈L / s⌉ - 1 = ⌊(a·n + c - 1) / (a·σ)⌋ = ⌊(n + ⌊(c - 1) / a⌋) / σ⌋`, so `m ≥ ⌊(c - 1) / a⌋ - σ·A`
//! reaches it, and `m ≥ -(hi + 1 + σ·A)` keeps the padding after from being negative. `Slice` then
//! takes away `-s·A` pixels in front and what is over behind, `s·(n + m + 1 + A) - L` for `σ = 1`,
//! which does not depend on `n`; for `σ > 1` it does, and `n` must be known.
//!
//! *Woven.* Instead of by `DepthToSpace`, `s` phases `[N, C, H, W]` of a row of pixels can be put
//! together by `Concat` along a further, innermost axis: `[N, C, H, W, s]` lies in memory as
//! `[N, C, H, s·W]` does with the pixels interleaved. Rows so made, joined along the last axis,
//! `[N, C, H, s·(s·W)]`, lie as `[N, C, s·H, s·W]` does. Only copies are left, and each axis has a
//! block of its own, `s = a` and `σ = 1`; but the last shape has to be written down, with the height
//! as a number. On ONNX Runtime's CPU provider that is several times faster than its `DepthToSpace`;
//! on OpenVINO slower.

use super::layer::Kernel;
use super::nodes::{int, list, node, text};
use crate::graph::draft::Draft;
use crate::graph::proto::NodeProto;

/// More phases than this do not pay, and a file could ask for millions.
const MAX_BLOCK: i64 = 8;

/// One axis of the layer: which taps each phase has, by offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    /// `σ`.
    stride: i64,
    /// All offsets of a phase differ by multiples of this.
    step: i64,
    /// By phase: offsets and the taps that fall on them, ascending; never empty.
    phases: Vec<Vec<(i64, Vec<usize>)>>,
    /// `A`.
    first: i64,
    /// `m`.
    margin: i64,
    /// Pixels to take away in front and behind.
    crop: [i64; 2],
    /// Pixels before that, where known.
    whole: Option<i64>,
}

/// What the proof above needs to know of an axis.
pub(super) struct Given {
    /// `a`.
    pub scale: i64,
    /// `c`.
    pub extra: i64,
    /// `n`, where known.
    pub size: Option<i64>,
    /// The number of taps.
    pub taps: i64,
    /// Offsets within a phase differ by multiples of this.
    pub step: i64,
}

/// How phases are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weave {
    /// All at once; one block for both axes.
    DepthToSpace,
    /// Pixels, then rows; the height must be known.
    Concat,
}

/// The blocks of two axes with these scales; `None` if one is too large, or nothing is scaled.
pub(super) fn blocks(scales: [i64; 2], weave: Weave) -> Option<[i64; 2]> {
    let [a, b] = scales;
    let blocks = match weave {
        Weave::DepthToSpace => [a / gcd(a, b) * b; 2],
        Weave::Concat => scales,
    };
    let fits = blocks.iter().all(|block| (1..=MAX_BLOCK).contains(block));
    (fits && blocks != [1, 1]).then_some(blocks)
}

pub(super) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Axis {
    /// Sorts the taps of an axis; `source(r, t)` is the offset of tap `t` in phase `r`, if it has
    /// one there. `None` if what is over at the end depends on a size that is not known.
    pub fn new(
        given: &Given,
        block: i64,
        source: impl Fn(i64, i64) -> Option<i64>,
    ) -> Option<Self> {
        let (scale, extra) = (given.scale, given.extra);
        let stride = block / scale;
        let phases: Vec<_> = (0..block)
            .map(|phase| {
                let mut taps: Vec<(i64, Vec<usize>)> = Vec::new();
                let mut found: Vec<_> =
                    (0..given.taps).filter_map(|tap| Some((source(phase, tap)?, tap))).collect();
                found.sort_unstable();
                for (offset, tap) in found {
                    let tap = usize::try_from(tap).unwrap_or(0);
                    match taps.last_mut() {
                        Some((last, list)) if *last == offset => list.push(tap),
                        _ => taps.push((offset, vec![tap])),
                    }
                }
                // A phase without taps is a constant: a kernel of one zero.
                if taps.is_empty() { vec![(0, Vec::new())] } else { taps }
            })
            .collect();
        let ends = || phases.iter().map(|taps| (taps[0].0, taps[taps.len() - 1].0));
        let first = ends().map(|(low, _)| (-low).div_euclid(stride)).min()?.min(0);
        let wanted = (extra - 1).div_euclid(scale) - stride * first;
        let margin = ends().map(|(_, high)| -(high + 1 + stride * first)).max()?.max(wanted);
        let whole = given.size.map(|n| block * ((n + margin).div_euclid(stride) + 1));
        let behind = match (stride, given.size, whole) {
            (1, ..) => block * (margin + 1 + first) - extra,
            (_, Some(n), Some(whole)) => whole + block * first - (scale * n + extra),
            _ => return None,
        };
        let crop = [-block * first, behind];
        Some(Self { stride, step: given.step, phases, first, margin, crop, whole })
    }

    /// Whether rows along this axis, the first, can be put together by `Concat`.
    pub fn can_be_woven(&self) -> bool {
        self.whole.is_some() || self.phases.len() == 1
    }

    /// The same axis with the offsets of all phases in one kernel: every phase is an output channel
    /// of its own, zero where it has no tap.
    pub fn joined(&self) -> Self {
        let low = self.phases.iter().map(|taps| taps[0].0).min().unwrap_or(0);
        let high = self.phases.iter().map(|taps| taps[taps.len() - 1].0).max().unwrap_or(0);
        let spread = |taps: &Vec<(i64, Vec<usize>)>| {
            let at = |offset| taps.iter().find(|(other, _)| *other == offset);
            (low..=high)
                .map(|offset| (offset, at(offset).map_or_else(Vec::new, |(_, taps)| taps.clone())))
                .collect()
        };
        Self { step: 1, phases: self.phases.iter().map(spread).collect(), ..self.clone() }
    }

    /// Whether offsets lie side by side.
    pub fn is_dense(&self) -> bool {
        self.step == 1
    }

    /// The kernel of `phase`: by position the taps to sum; with the padding before and behind.
    fn kernel(&self, phase: usize) -> (Vec<&[usize]>, [i64; 2]) {
        let taps = &self.phases[phase];
        let (low, high) = (taps[0].0, taps[taps.len() - 1].0);
        let mut at = taps.iter().peekable();
        let positions = (low..=high).step_by(usize::try_from(self.step).unwrap_or(1));
        let kernel = positions
            .map(|offset| at.next_if(|(other, _)| *other == offset).map_or(&[][..], |(_, t)| t))
            .collect();
        let before = -(self.stride * self.first + low);
        (kernel, [before, self.margin + (high - low + 1) - before])
    }
}

/// The sums of taps that make the kernel of one phase, `[out, inner, height, width]`.
#[allow(clippy::cast_possible_truncation)]
fn phase_values(kernel: &Kernel, rows: &[&[usize]], columns: &[&[usize]]) -> Vec<f32> {
    let [height, width] = kernel.size;
    let mut values = Vec::with_capacity(kernel.out * kernel.inner * rows.len() * columns.len());
    for plane in kernel.values.chunks_exact(height * width) {
        for row in rows {
            for column in columns {
                let taps = row.iter().flat_map(|y| column.iter().map(move |x| y * width + x));
                values.push(taps.map(|tap| f64::from(plane[tap])).sum::<f64>() as f32);
            }
        }
    }
    values
}

/// A layer to be written as phases.
pub(super) struct Polyphase<'a> {
    pub axes: &'a [Axis; 2],
    pub kernel: &'a Kernel,
    pub group: usize,
    /// What the convolutions read.
    pub source: &'a str,
    pub bias: Option<&'a str>,
}

impl Polyphase<'_> {
    /// Puts one convolution a phase, put together, in the place of the node at `position`. The
    /// blocks of the axes must be those for this way to `weave`.
    pub fn write(&self, draft: &mut Draft, position: usize, weave: Weave) {
        let (stem, output) = names(draft, position);
        let mut nodes = Vec::new();
        let mut parts = Vec::new();
        for row in 0..self.axes[0].phases.len() {
            for column in 0..self.axes[1].phases.len() {
                let (rows, vertical) = self.axes[0].kernel(row);
                let (columns, horizontal) = self.axes[1].kernel(column);
                let values = phase_values(self.kernel, &rows, &columns);
                let dims = [self.kernel.out, self.kernel.inner, rows.len(), columns.len()];
                let stem = format!("{stem}_phase_{row}_{column}");
                let weight = draft.add_floats(&format!("{stem}_weight"), &dims, &values);
                let part = draft.fresh(&stem);
                let pads = [vertical[0], horizontal[0], vertical[1], horizontal[1]];
                nodes.push(self.conv(&part, &weight, self.bias, &dims, &pads));
                parts.push(part);
            }
        }
        let whole = self.whole(draft, &stem, &output);
        match weave {
            Weave::DepthToSpace => {
                let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
                let together = draft.fresh(&format!("{stem}_phases"));
                nodes.push(node("Concat", &together, &inputs, &together, vec![int("axis", 1)]));
                nodes.push(self.depth_to_space(draft, &together, "DCR", &whole));
            }
            Weave::Concat => self.weave(draft, &mut nodes, &parts, &stem, &whole),
        }
        self.crop(draft, &mut nodes, &whole, &stem, &output);
        draft.replace(position, nodes);
    }

    /// Pixels of each row, then the rows.
    fn weave(
        &self,
        draft: &mut Draft,
        nodes: &mut Vec<NodeProto>,
        parts: &[String],
        stem: &str,
        whole: &str,
    ) {
        let [height, width] = self.axes.each_ref().map(|axis| axis.phases.len());
        // The last axis takes in the pixels that lie behind it.
        let wider = draft.add_ints(&format!("{stem}_wider"), &[0, 0, 0, -1]);
        let innermost = match draft.opset() >= 13 {
            true => Some(draft.add_ints(&format!("{stem}_innermost"), &[4])),
            false => None,
        };
        let mut rows = Vec::new();
        for (number, row) in parts.chunks(width).enumerate() {
            if let [one] = row {
                rows.push(one.clone());
                continue;
            }
            let mut pixels = Vec::new();
            for part in row {
                let pixel = draft.fresh(&format!("{part}_pixels"));
                let (inputs, attributes) = match &innermost {
                    Some(axes) => (vec![part.as_str(), axes], vec![]),
                    None => (vec![part.as_str()], vec![list("axes", &[4])]),
                };
                nodes.push(node("Unsqueeze", &pixel, &inputs, &pixel, attributes));
                pixels.push(pixel);
            }
            let pixels: Vec<&str> = pixels.iter().map(String::as_str).collect();
            let pairs = draft.fresh(&format!("{stem}_pixels_{number}"));
            nodes.push(node("Concat", &pairs, &pixels, &pairs, vec![int("axis", 4)]));
            let last = height == 1;
            let row =
                if last { whole.to_owned() } else { draft.fresh(&format!("{stem}_row_{number}")) };
            let name = draft.fresh(&format!("{stem}_wide_{number}"));
            nodes.push(node("Reshape", &name, &[&pairs, &wider], &row, vec![]));
            rows.push(row);
        }
        let Some(size) = self.axes[0].whole.filter(|_| height > 1) else { return };
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let together = draft.fresh(&format!("{stem}_rows"));
        nodes.push(node("Concat", &together, &rows, &together, vec![int("axis", 3)]));
        let taller = draft.add_ints(&format!("{stem}_taller"), &[0, 0, size, -1]);
        let name = draft.fresh(&format!("{stem}_tall"));
        nodes.push(node("Reshape", &name, &[&together, &taller], whole, vec![]));
    }

    /// Puts one convolution that makes all phases as channels, interleaved, in the place of the
    /// node at `position`. The axes must be [`Axis::joined`]; `bias` is its values.
    pub fn write_joined(&self, draft: &mut Draft, position: usize, bias: Option<&[f32]>) {
        let (stem, output) = names(draft, position);
        let [height, width] = self.axes.each_ref().map(|axis| axis.phases.len());
        let phases: Vec<(usize, usize)> =
            (0..height).flat_map(|row| (0..width).map(move |column| (row, column))).collect();
        let (rows, vertical) = self.axes[0].kernel(0);
        let (columns, horizontal) = self.axes[1].kernel(0);
        let (height, width) = (rows.len(), columns.len());
        let values: Vec<Vec<f32>> = phases
            .iter()
            .map(|(row, column)| {
                let (rows, columns) = (self.axes[0].kernel(*row).0, self.axes[1].kernel(*column).0);
                phase_values(self.kernel, &rows, &columns)
            })
            .collect();
        // Channels of the layer outermost, phases within: what CRD takes apart, and what keeps
        // the channels of a group together.
        let one = self.kernel.inner * height * width;
        let channels = 0..self.kernel.out;
        let joined: Vec<f32> = channels
            .flat_map(|channel| values.iter().map(move |v| &v[channel * one..][..one]))
            .flatten()
            .copied()
            .collect();
        let dims = [self.kernel.out * phases.len(), self.kernel.inner, height, width];
        let weight = draft.add_floats(&format!("{stem}_joined_weight"), &dims, &joined);
        let bias = bias.map(|bias| {
            let spread: Vec<f32> =
                bias.iter().flat_map(|b| std::iter::repeat_n(*b, phases.len())).collect();
            draft.add_floats(&format!("{stem}_joined_bias"), &[spread.len()], &spread)
        });
        let together = draft.fresh(&format!("{stem}_joined"));
        let pads = [vertical[0], horizontal[0], vertical[1], horizontal[1]];
        let mut nodes = vec![self.conv(&together, &weight, bias.as_deref(), &dims, &pads)];
        let whole = self.whole(draft, &stem, &output);
        nodes.push(self.depth_to_space(draft, &together, "CRD", &whole));
        self.crop(draft, &mut nodes, &whole, &stem, &output);
        draft.replace(position, nodes);
    }

    fn conv(
        &self,
        output: &str,
        weight: &str,
        bias: Option<&str>,
        dims: &[usize; 4],
        pads: &[i64; 4],
    ) -> NodeProto {
        let inputs: Vec<&str> = [self.source, weight].into_iter().chain(bias).collect();
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let attributes = vec![
            list("kernel_shape", &[number(dims[2]), number(dims[3])]),
            list("strides", &self.axes.each_ref().map(|axis| axis.stride)),
            list("dilations", &self.axes.each_ref().map(|axis| axis.step)),
            list("pads", pads),
            int("group", number(self.group)),
        ];
        node("Conv", output, &inputs, output, attributes)
    }

    fn depth_to_space(
        &self,
        draft: &Draft,
        from: &str,
        mode: &'static str,
        whole: &str,
    ) -> NodeProto {
        let block = self.axes[0].phases.len();
        let mut attributes = vec![int("blocksize", i64::try_from(block).unwrap_or(i64::MAX))];
        // Before version 11 there is only DCR, and no attribute that says so.
        if draft.opset() >= 11 {
            attributes.push(text("mode", mode));
        }
        node("DepthToSpace", whole, &[from], whole, attributes)
    }

    fn crops(&self) -> [[i64; 2]; 2] {
        self.axes.each_ref().map(|axis| axis.crop)
    }

    /// The name of the phases put together: that of the output, unless something is over.
    fn whole(&self, draft: &mut Draft, stem: &str, output: &str) -> String {
        match self.crops() {
            [[0, 0], [0, 0]] => output.to_owned(),
            _ => draft.fresh(&format!("{stem}_whole")),
        }
    }

    /// `Slice`, where there is more than wanted.
    fn crop(
        &self,
        draft: &mut Draft,
        nodes: &mut Vec<NodeProto>,
        whole: &str,
        stem: &str,
        output: &str,
    ) {
        if whole == output {
            return;
        }
        let starts = self.crops().map(|[front, _]| front);
        let ends = self.crops().map(|[_, behind]| if behind == 0 { i64::MAX } else { -behind });
        nodes.push(if draft.opset() >= 10 {
            let starts = draft.add_ints(&format!("{stem}_starts"), &starts);
            let ends = draft.add_ints(&format!("{stem}_ends"), &ends);
            let axes = draft.add_ints(&format!("{stem}_axes"), &[2, 3]);
            node("Slice", output, &[whole, &starts, &ends, &axes], output, vec![])
        } else {
            let attributes =
                vec![list("starts", &starts), list("ends", &ends), list("axes", &[2, 3])];
            node("Slice", output, &[whole], output, attributes)
        });
    }
}

/// The stem of new names, and the output, of the node at `position`.
fn names(draft: &Draft, position: usize) -> (String, String) {
    let node = &draft.graph().node[position];
    let output = node.output.first().cloned().unwrap_or_default();
    (output.clone(), output)
}
