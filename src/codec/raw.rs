//! Pictures without a header: checked, and brought to interleaved bytes.

use std::fmt;

use half::f16;

use super::{RawForm, limits};
use crate::error::{Error, Kind, Result};
use crate::recipe::{Dtype, Layout};

/// The most channels of an image.
pub(super) const MAX_CHANNELS: usize = 4;

/// As `3x224x224 u8 NCHW`, or with the channels last where they lie so.
impl fmt::Display for RawForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [outer, middle, inner] = self.axes();
        write!(f, "{outer}x{middle}x{inner} {} {}", self.dtype.name(), self.layout.name())
    }
}

impl RawForm {
    /// `[C, H, W]`, whatever the layout.
    #[must_use]
    pub fn planes(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Its axes, outermost first: `[C, H, W]` or `[H, W, C]`.
    #[must_use]
    pub fn axes(&self) -> [usize; 3] {
        match self.layout {
            Layout::Nchw => [self.channels, self.height, self.width],
            Layout::Nhwc => [self.height, self.width, self.channels],
        }
    }

    /// Bytes that an image takes.
    ///
    /// # Errors
    /// [`Kind::Sample`] if there are other than 1 to 4 channels or no pixels, [`Kind::Limit`] if
    /// the image is larger than [`MAX_SIDE`](super::MAX_SIDE) and
    /// [`MAX_PIXELS`](super::MAX_PIXELS) allow.
    pub fn image_bytes(&self) -> Result<usize> {
        if !(1..=MAX_CHANNELS).contains(&self.channels) {
            let text = format!("an image of {} channels; there may be 1 to 4", self.channels);
            return Err(Error::new(Kind::Sample, text));
        }
        limits::check(self.height, self.width)?;
        self.checked_len().ok_or_else(|| Error::new(Kind::Limit, "an image that fits no memory"))
    }
}

/// Checks that `bytes` are one image of `form`.
///
/// # Errors
/// [`Kind::Sample`] if their number is another, and those of [`RawForm::image_bytes`].
pub(super) fn check(bytes: &[u8], form: &RawForm) -> Result<()> {
    let expected = form.image_bytes()?;
    if bytes.len() != expected {
        let text = format!("{} bytes, where {form} takes {expected}", bytes.len());
        return Err(Error::new(Kind::Sample, text));
    }
    Ok(())
}

/// Makes interleaved bytes of an image; floats become levels, rounded.
///
/// # Errors
/// [`Kind::Sample`] if a float is no intensity in `[0, 1]`.
///
/// # Panics
/// If `bytes` are not one image of `form`, or `out` has not a place for each element.
pub(super) fn interleave(bytes: &[u8], form: &RawForm, out: &mut [u8]) -> Result<()> {
    match form.dtype {
        Dtype::U8 => reorder::<1>(bytes, form, out, |[x]| Ok(x)),
        Dtype::F16 => reorder::<2>(bytes, form, out, |x| level(f16::from_le_bytes(x).to_f32())),
        Dtype::F32 => reorder::<4>(bytes, form, out, |x| level(f32::from_le_bytes(x))),
    }
}

/// The level of an intensity.
fn level(x: f32) -> Result<u8> {
    if (0.0..=1.0).contains(&x) {
        return Ok((x * 255.0 + 0.5) as u8);
    }
    Err(Error::new(Kind::Sample, format!("the value {x} is no intensity in [0, 1]"))
        .help("only images whose values lie in [0, 1] can be turned into bytes"))
}

fn reorder<const N: usize>(
    bytes: &[u8],
    form: &RawForm,
    out: &mut [u8],
    level: impl Fn([u8; N]) -> Result<u8>,
) -> Result<()> {
    let elements = bytes.as_chunks::<N>().0;
    let RawForm { channels, height, width, .. } = *form;
    assert_eq!(elements.len(), out.len(), "as many places as elements");
    if form.layout == Layout::Nhwc || channels == 1 {
        for (place, x) in out.iter_mut().zip(elements) {
            *place = level(*x)?;
        }
        return Ok(());
    }
    for (channel, plane) in elements.chunks_exact(height * width).enumerate() {
        for (pixel, x) in out.chunks_exact_mut(channels).zip(plane) {
            pixel[channel] = level(*x)?;
        }
    }
    Ok(())
}

/// Copies an image whose layout alone is to change.
///
/// # Panics
/// If `bytes` and `out` are not one image of `form`.
pub(super) fn permute(bytes: &[u8], form: &RawForm, out: &mut [u8]) {
    let RawForm { channels, height, width, dtype, layout } = *form;
    let (size, pixels) = (dtype.size(), height * width);
    for channel in 0..channels {
        for pixel in 0..pixels {
            let (planar, together) = (channel * pixels + pixel, pixel * channels + channel);
            let (from, to) = match layout {
                Layout::Nchw => (planar, together),
                Layout::Nhwc => (together, planar),
            };
            out[to * size..][..size].copy_from_slice(&bytes[from * size..][..size]);
        }
    }
}
