//! An image brought to another size: resized until it covers the target, cut to its middle.

use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::{Error, Kind, Result};

/// `[height, width]`.
pub(super) type Size = [usize; 2];

/// One axis of a resize and crop: a window of the source becomes `made` pixels, of which `kept` are
/// wanted.
#[derive(Debug, Clone, PartialEq)]
struct Axis {
    start: f64,
    len: f64,
    made: usize,
    kept: Range<usize>,
}

impl Axis {
    /// An axis of `source` pixels that is to become `whole`, of which the middle `kept`.
    ///
    /// Only what is wanted is made, and as many pixels around it as a kernel reaches, so that the
    /// edges are what they would be in the whole. Else an image of one column would become one of
    /// millions of rows.
    fn new(source: usize, whole: usize, kept: usize) -> Self {
        let scale = source as f64 / whole as f64;
        let margin = (1.0 / scale).max(1.0).ceil() as usize + 1;
        let first = half_to_even(whole - kept);
        let begin = first.saturating_sub(margin);
        let end = (first + kept + margin).min(whole);
        Self {
            start: begin as f64 * scale,
            len: ((end - begin) as f64 * scale).min(source as f64 - begin as f64 * scale),
            made: end - begin,
            kept: first - begin..first - begin + kept,
        }
    }
}

/// `n / 2` as Python rounds it, which is what `CenterCrop` does.
fn half_to_even(n: usize) -> usize {
    match n % 4 {
        3 => n / 2 + 1,
        _ => n / 2,
    }
}

/// The size that just covers `target` with the shape of `source`: one side is the target's, the
/// other at least that, rounded down as `Resize` does.
fn covering(source: Size, target: Size) -> Size {
    let wide = target[0] * source[1] >= target[1] * source[0];
    let (short, long) = if wide { (0, 1) } else { (1, 0) };
    let mut whole = target;
    whole[long] = target[short] * source[long] / source[short];
    whole
}

/// Interleaved pixels.
pub(super) struct Source<'a> {
    pub pixels: &'a [u8],
    pub channels: usize,
    pub size: Size,
}

/// Resizes and cuts an image to `target`, which replaces what is in `out`. Colours are weighted by
/// alpha where there is alpha.
///
/// # Errors
/// [`Kind::Limit`] if what is to be made in between does not fit memory.
pub(super) fn cover(
    resizer: &mut Resizer,
    source: &Source<'_>,
    target: Size,
    made: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let Source { pixels, channels, size: source } = *source;
    let whole = covering(source, target);
    let [down, along] = [0, 1].map(|axis| Axis::new(source[axis], whole[axis], target[axis]));
    let kind = match channels {
        1 => PixelType::U8,
        2 => PixelType::U8x2,
        3 => PixelType::U8x3,
        _ => PixelType::U8x4,
    };
    let len = down.made.checked_mul(along.made).and_then(|pixels| pixels.checked_mul(channels));
    let len = len.ok_or_else(|| too_large(source, target))?;
    made.resize(len, 0);
    let side = |side: usize| u32::try_from(side).map_err(|_| too_large(source, target));
    let from = ImageRef::new(side(source[1])?, side(source[0])?, pixels, kind);
    let to = Image::from_slice_u8(side(along.made)?, side(down.made)?, made, kind);
    let resized = from.map_err(|error| error.to_string()).and_then(|from| {
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(along.start, down.start, along.len, down.len);
        let mut to = to.map_err(|error| error.to_string())?;
        resizer.resize(&from, &mut to, &options).map_err(|error| error.to_string())
    });
    resized.map_err(|error| Error::new(Kind::Sample, format!("cannot be resized: {error}")))?;
    out.clear();
    let row = along.made * channels;
    let kept = along.kept.start * channels..along.kept.end * channels;
    made.chunks_exact(row)
        .skip(down.kept.start)
        .take(target[0])
        .for_each(|row| out.extend_from_slice(&row[kept.clone()]));
    Ok(())
}

fn too_large(source: Size, target: Size) -> Error {
    let text = format!(
        "cannot be resized from {}x{} to {}x{}: too large",
        source[0], source[1], target[0], target[1]
    );
    Error::new(Kind::Limit, text)
}
