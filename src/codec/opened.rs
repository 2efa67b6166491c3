//! A picture with a header that has been read.

use super::{Form, Picture, jpeg, png, raw, webp};
use crate::error::Result;

/// What a file says of its image, and the way to the image.
pub(super) enum Opened<'a> {
    Jpeg(Box<jpeg::Opened<'a>>),
    Png(Box<png::Opened<'a>>),
    WebP(Box<webp::Opened<'a>>),
    /// Without a header.
    Raw([usize; 3]),
}

impl<'a> Opened<'a> {
    /// Reads the header. Of a raw picture, checks the length.
    ///
    /// # Errors
    /// [`Kind::Sample`](crate::Kind::Sample) if it is broken, [`Kind::Limit`](crate::Kind::Limit)
    /// if the image is larger than the limits.
    pub fn new(picture: Picture<'a>) -> Result<Self> {
        Ok(match picture.form {
            Form::Jpeg => Self::Jpeg(Box::new(jpeg::Opened::new(picture.bytes)?)),
            Form::Png => Self::Png(Box::new(png::Opened::new(picture.bytes)?)),
            Form::WebP => Self::WebP(Box::new(webp::Opened::new(picture.bytes)?)),
            Form::Raw(form) => {
                raw::check(picture.bytes, &form)?;
                Self::Raw(form.planes())
            }
        })
    }

    /// `[C, H, W]` of what is read.
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Jpeg(opened) => opened.shape,
            Self::Png(opened) => opened.shape,
            Self::WebP(opened) => opened.shape,
            Self::Raw(shape) => *shape,
        }
    }
}

/// `(channels, height, width)` of a picture, from its header alone: gray, gray with alpha, RGB or
/// RGB with alpha. JPEG of four colours counts as RGB, which it is decoded to.
///
/// # Errors
/// [`Kind::Sample`](crate::Kind::Sample) if the header is broken or the length of a raw picture is
/// wrong, [`Kind::Limit`](crate::Kind::Limit) if it is larger than
/// [`MAX_SIDE`](super::MAX_SIDE) and [`MAX_PIXELS`](super::MAX_PIXELS) allow.
pub fn size(picture: Picture<'_>) -> Result<(usize, usize, usize)> {
    let [channels, height, width] = Opened::new(picture)?.shape();
    Ok((channels, height, width))
}
