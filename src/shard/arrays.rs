//! What other tools' bytes are when they are a picture: image files by their first bytes, arrays by
//! their shape.

use crate::codec::{Form, Picture, RawForm};
use crate::error::{Error, Kind, Result};
use crate::recipe::{Dtype, Layout, MAX_VIEWS};

use super::npy;

/// Most channels of an image.
const MAX_CHANNELS: usize = 4;

/// The pictures in the bytes of a file: one of an image file, one or several of a NumPy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pictures<'a> {
    /// Of all of them, one after the other.
    bytes: &'a [u8],
    form: Form,
    /// How many there are.
    pub count: usize,
}

impl<'a> Pictures<'a> {
    /// Goes by what the bytes are, not by what the file is called: many a `.jpg` is a PNG.
    ///
    /// # Errors
    /// [`Kind::Sample`] for bytes that are no picture that is read.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        if bytes.starts_with(b"\x93NUMPY") {
            let array = npy::parse(bytes)?;
            return Self::of_array(array.data, array.dtype, &array.shape);
        }
        let form = Form::sniff(bytes).ok_or_else(|| {
            Error::new(Kind::Sample, "is no picture that is read")
                .help("JPEG, PNG, WebP and NumPy files of uint8, float16 and float32 are")
        })?;
        Ok(Self { bytes, form, count: 1 })
    }

    /// Pictures of an array in C order: `[H, W]`, `[C, H, W]`, `[H, W, C]`, or four axes with the
    /// views before those. The axis with 4 elements or fewer is the channels'.
    ///
    /// # Errors
    /// [`Kind::Sample`] for a shape that is no image's, or that is not `bytes` long.
    pub fn of_array(bytes: &'a [u8], dtype: Dtype, shape: &[usize]) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(Kind::Sample, format!("holds an array of shape {shape:?}, {why}")).help(
                "images are [H, W], [C, H, W] or [H, W, C] with 1 to 4 channels; several views \
                 are one more axis before those",
            )
        };
        let (count, image) = match shape {
            [_, _] | [_, _, _] => (1, shape),
            [count, image @ ..] if image.len() == 3 => (*count, image),
            _ => return Err(bad("which is no image")),
        };
        let few = |axis: usize| (1..=MAX_CHANNELS).contains(&axis);
        let (channels, height, width, layout) = match *image {
            [h, w] => (1, h, w, Layout::Nchw),
            [a, b, c] if few(a) && !few(c) => (a, b, c, Layout::Nchw),
            [a, b, c] if !few(a) && few(c) => (c, a, b, Layout::Nhwc),
            _ => return Err(bad("whose channels cannot be told from its pixels")),
        };
        let form = RawForm { channels, height, width, dtype, layout };
        let all = form.checked_len().and_then(|len| len.checked_mul(count));
        if all != Some(bytes.len()) || bytes.is_empty() {
            return Err(bad(&format!("and {} bytes", bytes.len())));
        }
        Ok(Self { bytes, form: Form::Raw(form), count })
    }

    /// Each of them, in order.
    pub fn each(self) -> impl Iterator<Item = Picture<'a>> {
        let form = self.form;
        self.bytes.chunks(self.bytes.len() / self.count).map(move |bytes| Picture { bytes, form })
    }
}

/// The number of pictures of a sample, if there are not too many: whoever reads samples makes room
/// for each of them.
///
/// # Errors
/// [`Kind::Limit`] if there are more than [`MAX_VIEWS`].
pub(crate) fn limited(pictures: usize) -> Result<usize> {
    if pictures > MAX_VIEWS as usize {
        let text = format!("a sample has {pictures} pictures; {MAX_VIEWS} are the most");
        return Err(Error::new(Kind::Limit, text)
            .help("write each image of an array of many as a sample of its own"));
    }
    Ok(pictures)
}

/// Numbers that lie in a file, little-endian; as many as there is room for.
pub(super) fn read_floats(bytes: &[u8], out: &mut [f32]) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *out = f32::from_le_bytes(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(shape: &[usize]) -> Result<(usize, RawForm)> {
        let bytes = vec![0; shape.iter().product()];
        let pictures = Pictures::of_array(&bytes, Dtype::U8, shape)?;
        assert_eq!(pictures.each().count(), pictures.count);
        let Form::Raw(form) = pictures.form else { panic!("an array is raw") };
        Ok((pictures.count, form))
    }

    #[test]
    fn channels_are_the_axis_that_can_be_theirs() {
        for (shape, want) in [
            (&[28, 20][..], (1, 1, 28, 20, Layout::Nchw)),
            (&[3, 28, 20], (1, 3, 28, 20, Layout::Nchw)),
            (&[28, 20, 4], (1, 4, 28, 20, Layout::Nhwc)),
            (&[2, 1, 28, 20], (2, 1, 28, 20, Layout::Nchw)),
            (&[5, 28, 20, 3], (5, 3, 28, 20, Layout::Nhwc)),
        ] {
            let (count, form) = form(shape).unwrap();
            let got = (count, form.channels, form.height, form.width, form.layout);
            assert_eq!(got, want, "{shape:?}");
        }
    }

    #[test]
    fn shapes_that_are_no_images_are_refused() {
        for shape in [
            &[][..],
            &[7],
            &[28, 28, 28],
            &[3, 28, 3],
            &[0, 28],
            &[0, 3, 28, 28],
            &[3, 0, 28],
            &[1, 1, 1, 28, 28],
        ] {
            let error = form(shape).unwrap_err().summary();
            assert!(error.contains(&format!("{shape:?}")), "{error}");
        }
    }

    #[test]
    fn more_pictures_than_a_sample_may_have_are_refused() {
        assert_eq!(limited(1024).unwrap(), 1024);
        assert!(limited(1025).unwrap_err().is_limit());
    }

    #[test]
    fn what_a_file_is_called_does_not_matter() {
        assert!(Pictures::read(b"GIF89a").is_err());
        assert!(Pictures::read(b"").is_err());
        let pictures = Pictures::read(b"\xff\xd8\xff\xe0").unwrap();
        assert_eq!((pictures.form, pictures.count), (Form::Jpeg, 1));
    }
}
