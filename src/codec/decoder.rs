//! Pictures decoded to where they are wanted.

use std::fmt;

use fast_image_resize::Resizer;
use half::f16;

use super::opened::Opened;
use super::target::{Fit, Target};
#[cfg(feature = "turbojpeg")]
use super::turbo::Turbo;
use super::{Form, Picture, RawForm, channels, fit, raw};
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::recipe::{Dtype, Layout};

/// Decodes pictures, one at a time. A thread has one of its own and keeps it: it owns the memory
/// that the work needs.
///
/// Channels follow Pillow's `convert`: alpha is dropped where it is not wanted and opaque where it
/// is missing; gray is repeated; of colours, the luma of ITU-R BT.601 is the gray. Colour profiles,
/// gamma and EXIF orientation change nothing. Float targets get intensities in `[0, 1]`.
///
/// ```
/// use genset::codec::{Decoder, Encoding, Fit, Form, Picture, RawForm, Target};
/// use genset::recipe::{Dtype, Layout};
///
/// # fn main() -> genset::Result<()> {
/// let form = RawForm { channels: 1, height: 1, width: 2, dtype: Dtype::U8, layout: Layout::Nchw };
/// let mut file = Vec::new();
/// Encoding::Png.encode(Picture { bytes: &[0, 255], form: Form::Raw(form) }, &mut file)?;
///
/// let target = Target { form: RawForm { channels: 3, ..form }, fit: Fit::Exact };
/// let mut image = [0; 6];
/// Decoder::new().decode(Picture { bytes: &file, form: Form::Png }, &target, &mut image)?;
/// assert_eq!(image, [0, 255, 0, 255, 0, 255]);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Decoder {
    /// Interleaved pixels as decoded.
    pixels: Vec<u8>,
    /// Resized, before the middle is cut out.
    made: Vec<u8>,
    /// Of the size that is wanted.
    fitted: Vec<u8>,
    resizer: Resizer,
    #[cfg(feature = "turbojpeg")]
    turbo: Turbo,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder that has no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one picture into `out`, which is then one image of `target.form`.
    ///
    /// # Errors
    /// [`Kind::Sample`] if the picture is broken, or of another size and is to [fit
    /// exactly](Fit::Exact), or a float image can not become what is wanted; [`Kind::Limit`] if it
    /// is larger than [`MAX_SIDE`](super::MAX_SIDE) and [`MAX_PIXELS`](super::MAX_PIXELS) allow.
    /// `out` may then be partly written.
    ///
    /// # Panics
    /// If `out` is not as long as one image of `target.form`.
    pub fn decode(&mut self, picture: Picture<'_>, target: &Target, out: &mut [u8]) -> Result<()> {
        let bytes = target.form.image_bytes().at(|| "what is wanted")?;
        assert_eq!(out.len(), bytes, "one image of {}", target.form);
        if let Form::Raw(form) = picture.form
            && take(picture.bytes, &form, &target.form, out)?
        {
            return Ok(());
        }
        #[cfg(feature = "turbojpeg")]
        if picture.form == Form::Jpeg
            && let Some(shape) = Turbo::open(picture.bytes, target)?
        {
            let is_direct = is_same(shape, &target.form);
            let place = if is_direct { &mut *out } else { room(&mut self.pixels, shape) };
            if self.turbo.read(picture.bytes, shape, place) {
                return if is_direct { Ok(()) } else { self.finish(shape, target, out) };
            }
        }
        let opened = Opened::new(picture)?;
        let shape = opened.shape();
        check_size(shape, target)?;
        let is_direct = is_same(shape, &target.form);
        let place = if is_direct { &mut *out } else { room(&mut self.pixels, shape) };
        match (opened, picture.form) {
            (Opened::Jpeg(opened), _) => opened.read(place)?,
            (Opened::Png(opened), _) => opened.read(place)?,
            (Opened::WebP(opened), _) => opened.read(place)?,
            (Opened::Raw(_), Form::Raw(form)) => raw::interleave(picture.bytes, &form, place)?,
            (Opened::Raw(_), _) => unreachable!("only raw pictures open as such"),
        }
        if is_direct { Ok(()) } else { self.finish(shape, target, out) }
    }

    /// From interleaved pixels of `shape` to what is wanted.
    fn finish(&mut self, shape: [usize; 3], target: &Target, out: &mut [u8]) -> Result<()> {
        let [channels, height, width] = shape;
        let form = &target.form;
        let kept = channels::narrow(&mut self.pixels, channels, form.channels);
        let size = [form.height, form.width];
        let pixels = if [height, width] == size {
            &self.pixels
        } else {
            let from = fit::Source { pixels: &self.pixels, channels: kept, size: [height, width] };
            fit::cover(&mut self.resizer, &from, size, &mut self.made, &mut self.fitted)?;
            &self.fitted
        };
        let planar = form.layout == Layout::Nchw && form.channels > 1;
        let intensity = |x: u8| f32::from(x) / 255.0;
        match form.dtype {
            Dtype::U8 if kept == form.channels && !planar => out.copy_from_slice(pixels),
            Dtype::U8 if kept == 3 && form.channels == 3 => channels::part(pixels, out),
            Dtype::U8 => channels::deliver(pixels, kept, form.channels, planar, out, |x| x),
            Dtype::F16 => channels::deliver(pixels, kept, form.channels, planar, out, |x| {
                f16::from_f32(intensity(x)).to_le_bytes()
            }),
            Dtype::F32 => channels::deliver(pixels, kept, form.channels, planar, out, |x| {
                intensity(x).to_le_bytes()
            }),
        }
        Ok(())
    }
}

/// Takes over a raw picture that needs no decoding; whether it did.
fn take(bytes: &[u8], form: &RawForm, wanted: &RawForm, out: &mut [u8]) -> Result<bool> {
    raw::check(bytes, form)?;
    if form == wanted {
        out.copy_from_slice(bytes);
        return Ok(true);
    }
    if *form == (RawForm { layout: form.layout, ..*wanted }) {
        raw::permute(bytes, form, out);
        return Ok(true);
    }
    if form.dtype != Dtype::U8 && wanted.dtype != Dtype::U8 {
        let text = format!("a picture of {form} can not become {wanted}");
        return Err(Error::new(Kind::Sample, text)
            .help("floats keep their type, size and channels, or become u8"));
    }
    Ok(false)
}

/// Whether decoded pixels of `shape` are the wanted image already.
fn is_same([channels, height, width]: [usize; 3], wanted: &RawForm) -> bool {
    let together = wanted.layout == Layout::Nhwc || channels == 1;
    *wanted == RawForm { channels, height, width, dtype: Dtype::U8, layout: wanted.layout }
        && together
}

/// Refuses a picture that does not fit.
pub(super) fn check_size([_, height, width]: [usize; 3], target: &Target) -> Result<()> {
    let wanted = (target.form.height, target.form.width);
    if target.fit == Fit::Exact && (height, width) != wanted {
        let text = format!(
            "the picture is {height}x{width} pixels, where {}x{} is wanted",
            wanted.0, wanted.1
        );
        return Err(Error::new(Kind::Sample, text)
            .help("let pictures be resized, or ask for the size that they have"));
    }
    Ok(())
}

/// Room for an image of `shape`.
fn room(pixels: &mut Vec<u8>, shape: [usize; 3]) -> &mut [u8] {
    pixels.resize(shape.iter().product(), 0);
    pixels
}
