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

mod write;

pub(super) use write::Polyphase;

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
