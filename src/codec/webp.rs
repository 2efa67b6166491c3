//! WebP files, lossy and lossless. Of an animation, the first image is read.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::limits::{self, MAX_PIXELS};
use crate::error::{Error, Kind, Result};

/// Bytes that the decoder may set aside at once.
const MAX_MEMORY: usize = 4 * MAX_PIXELS;

/// A file whose header has been read.
pub(super) struct Opened<'a> {
    decoder: WebPDecoder<Cursor<&'a [u8]>>,
    /// `[C, H, W]` of what is decoded: RGB, or RGB with alpha.
    pub shape: [usize; 3],
}

impl<'a> Opened<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Kind::Sample`] if it is broken, and those of [`limits::check`].
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        decoder.set_memory_limit(MAX_MEMORY);
        let (width, height) = decoder.dimensions();
        let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let (height, width) = (side(height), side(width));
        limits::check(height, width)?;
        let channels = if decoder.has_alpha() { 4 } else { 3 };
        Ok(Self { decoder, shape: [channels, height, width] })
    }

    /// Decodes to interleaved bytes.
    ///
    /// # Errors
    /// [`Kind::Sample`] if the data is broken.
    ///
    /// # Panics
    /// If `out` has not the length of the shape.
    pub fn read(mut self, out: &mut [u8]) -> Result<()> {
        assert_eq!(out.len(), self.shape.iter().product::<usize>(), "one image");
        self.decoder.read_image(out).map_err(|error| broken(&error))
    }
}

fn broken(error: &DecodingError) -> Error {
    match error {
        DecodingError::MemoryLimitExceeded => {
            Error::new(Kind::Limit, format!("the WebP needs more than {MAX_MEMORY} bytes"))
        }
        _ => Error::new(Kind::Sample, format!("broken WebP: {error}")),
    }
}
