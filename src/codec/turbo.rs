//! JPEG files through the system's libjpeg-turbo: the same images faster, large ones much faster.
//!
//! Where an image is to become a quarter of its size or less, libjpeg-turbo makes it smaller while
//! it decodes, by eighths, to no less than twice what is wanted, as Pillow's `thumbnail` does. What
//! the library does not take, or warns of, is left to the decoder that is always there: what that
//! one reads is read, and files that are cut short are refused by both.

use std::fmt;

use turbojpeg::{Decompressor, Image, PixelFormat};

use super::decoder::check_size;
use super::jpeg::{MAX_SCANS, Outline};
use super::limits;
use super::target::{Fit, Target};
use crate::error::Result;

/// A handle of the library, made when it is first needed.
#[derive(Default)]
pub(super) struct Turbo(Option<Decompressor>);

impl fmt::Debug for Turbo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turbo").finish()
    }
}

impl Turbo {
    /// `[C, H, W]` of what [`read`](Self::read) decodes for `target`, from the file's markers; `None` if
    /// the library is not to decode it. The library would read the header once for this and once to
    /// decode; of a small picture that is a good part of the work.
    ///
    /// # Errors
    /// Those of [`limits::check`] and [`check_size`].
    pub fn open(bytes: &[u8], target: &Target) -> Result<Option<[usize; 3]>> {
        let Some(Outline { scans, frame: Some(frame) }) = Outline::of(bytes) else {
            return Ok(None);
        };
        // The library takes no other precision, and colours for printing are left to the other one.
        let (8, 1 | 3) = (frame.precision, frame.components) else { return Ok(None) };
        let channels = usize::from(frame.components);
        let size = [frame.height, frame.width].map(usize::from);
        // A height that comes after the data, which neither takes.
        if size.contains(&0) {
            return Ok(None);
        }
        limits::check(size[0], size[1])?;
        check_size([channels, size[0], size[1]], target)?;
        // The library would decode any number of scans.
        if scans > MAX_SCANS {
            return Ok(None);
        }
        let [height, width] = scaled(size, target);
        Ok(Some([channels, height, width]))
    }

    /// Decodes to interleaved pixels of a shape that [`open`](Self::open) gave. Says whether the
    /// library did, without a warning.
    ///
    /// # Panics
    /// If `out` has not the length of the shape.
    pub fn read(&mut self, bytes: &[u8], shape: [usize; 3], out: &mut [u8]) -> bool {
        assert_eq!(out.len(), shape.iter().product::<usize>(), "one image");
        let [channels, height, width] = shape;
        let format = if channels == 1 { PixelFormat::GRAY } else { PixelFormat::RGB };
        let image = Image { pixels: out, width, pitch: width * channels, height, format };
        self.library().is_some_and(|library| library.decompress(bytes, image).is_ok())
    }

    fn library(&mut self) -> Option<&mut Decompressor> {
        if self.0.is_none() {
            self.0 = Decompressor::new().ok();
        }
        self.0.as_mut()
    }
}

/// The size to decode to: the smallest number of eighths that leaves twice what is wanted.
fn scaled(size: [usize; 2], target: &Target) -> [usize; 2] {
    if target.fit == Fit::Exact {
        return size;
    }
    let wanted = [target.form.height, target.form.width];
    let by = |eighths: usize| size.map(|side| (side * eighths).div_ceil(8));
    // Powers of two alone, for which the library has fast transforms.
    let enough = |made: &[usize; 2]| made[0] >= 2 * wanted[0] && made[1] >= 2 * wanted[1];
    [1, 2, 4].map(by).into_iter().find(enough).unwrap_or(size)
}
