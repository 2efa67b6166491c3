//! PNG files of every colour type and depth, interlaced or not.
//!
//! Palettes are looked up and fewer than 8 bits are spread to 8; of 16 bits, the upper 8 are kept.
//! Of an animated PNG, the still image is read. Gamma and colour profiles change nothing, as with
//! Pillow.

use std::io::Cursor;

use png::{ColorType, Decoder, DecodingError, Limits, Reader, Transformations};

use super::limits::{self, MAX_PIXELS};
use crate::error::{Error, Kind, Result};

/// Bytes that the decoder may set aside beside the image: rows and chunks.
const MAX_MEMORY: usize = 8 * MAX_PIXELS;

/// A file whose header has been read.
pub(super) struct Opened<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    /// `[C, H, W]` of what is decoded.
    pub shape: [usize; 3],
}

impl<'a> Opened<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Kind::Sample`] if it is broken, and those of [`limits::check`].
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let limits = Limits { bytes: MAX_MEMORY };
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
        decoder.set_transformations(Transformations::normalize_to_color8());
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let (width, height) = decoder.read_header_info().map_err(|error| broken(&error))?.size();
        let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let (height, width) = (side(height), side(width));
        limits::check(height, width)?;
        let reader = decoder.read_info().map_err(|error| broken(&error))?;
        let channels = match reader.output_color_type().0 {
            ColorType::Grayscale => 1,
            ColorType::GrayscaleAlpha => 2,
            ColorType::Rgb | ColorType::Indexed => 3,
            ColorType::Rgba => 4,
        };
        Ok(Self { reader, shape: [channels, height, width] })
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
        let frame = self.reader.next_frame(out).map_err(|error| broken(&error))?;
        let [_, height, width] = self.shape;
        if (frame.height as usize, frame.width as usize) != (height, width) {
            return Err(Error::new(Kind::Sample, "broken PNG: its image is not of its own size"));
        }
        Ok(())
    }
}

fn broken(error: &DecodingError) -> Error {
    match error {
        DecodingError::LimitsExceeded => {
            Error::new(Kind::Limit, format!("the PNG needs more than {MAX_MEMORY} bytes"))
        }
        _ => Error::new(Kind::Sample, format!("broken PNG: {error}")),
    }
}
