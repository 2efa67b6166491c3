//! JPEG files, baseline and progressive, of gray, YCbCr, RGB, CMYK and YCCK pixels.
//!
//! Files that end early or are damaged inside are refused, not filled up with gray. A turned camera
//! (EXIF orientation) turns nothing, as with Pillow.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::limits::{self, MAX_SIDE};
use crate::error::{Error, Kind, Result};

/// A file whose header has been read.
pub(super) struct Opened<'a> {
    bytes: &'a [u8],
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    /// `[C, H, W]` of what is decoded: one channel or RGB.
    pub shape: [usize; 3],
}

impl<'a> Opened<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Kind::Sample`] if it is broken, and those of [`limits::check`].
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let options = DecoderOptions::default()
            .set_max_width(MAX_SIDE)
            .set_max_height(MAX_SIDE)
            .set_strict_mode(true)
            .jpeg_set_max_scans(MAX_SCANS)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|error| broken(&error))?;
        let info = decoder.info().ok_or_else(|| broken_by("no frame"))?;
        let (height, width) = (usize::from(info.height), usize::from(info.width));
        limits::check(height, width)?;
        let gray = decoder.input_colorspace() == Some(ColorSpace::Luma);
        if gray {
            decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
        }
        Ok(Self { bytes, decoder, shape: [if gray { 1 } else { 3 }, height, width] })
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
        match Outline::of(self.bytes) {
            None => return Err(broken_by("the file ends before its image does")),
            Some(Outline { scans, .. }) if scans > MAX_SCANS => {
                return Err(broken_by("it has more scans than are decoded"));
            }
            Some(_) => {}
        }
        if self.decoder.output_buffer_size() != Some(out.len()) {
            return Err(broken_by("its height comes after its data"));
        }
        self.decoder.decode_into(out).map_err(|error| broken(&error))
    }
}

/// The most scans of an image that is decoded. Each takes a walk over all of it, and an empty one
/// takes but a few bytes of file.
pub(super) const MAX_SCANS: usize = 100;

/// What the markers of a file say, its data unread.
pub(super) struct Outline {
    /// Scans in which the image is stored: one, or many of a progressive one.
    pub scans: usize,
    /// Its frame, if there is one and no other.
    #[cfg_attr(not(feature = "turbojpeg"), allow(dead_code, reason = "the other decoder says so"))]
    pub frame: Option<Frame>,
}

/// What a frame is of.
#[cfg_attr(not(feature = "turbojpeg"), allow(dead_code, reason = "the other decoder says so"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub precision: u8,
    pub height: u16,
    pub width: u16,
    pub components: u8,
}

impl Frame {
    /// Reads a segment that begins with its length.
    fn of(segment: &[u8]) -> Option<Self> {
        let &[_, _, precision, y1, y0, x1, x0, components, ..] = segment else { return None };
        let (height, width) = (u16::from_be_bytes([y1, y0]), u16::from_be_bytes([x1, x0]));
        Some(Self { precision, height, width, components })
    }
}

impl Outline {
    /// Follows the markers to the one that ends the image; `None` if the file ends before. Decoders
    /// do not notice what is missing of the last rows.
    ///
    /// Segments begin with 0xff and a marker. After the marker of a scan comes data, in which 0xff is
    /// followed by zero or the marker of a restart; what else follows 0xff begins the next segment.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (mut rest, mut scans, mut frames, mut frame) = (bytes, 0, 0, None);
        loop {
            rest = &rest[memchr::memchr(0xff, rest)? + 1..];
            match *rest {
                [0xd9, ..] => return Some(Self { scans, frame: frame.filter(|_| frames == 1) }),
                // Stuffing, padding, and markers without a segment.
                [0x00 | 0x01 | 0xd0..=0xd8, ..] => rest = &rest[1..],
                [0xff, ..] => {}
                [marker, high, low, ..] => {
                    match marker {
                        0xda => scans += 1,
                        // Frames of all kinds, between which are tables (C4, CC) and a reserved one.
                        0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                            frames += 1;
                            frame = Frame::of(&rest[1..]);
                        }
                        _ => {}
                    }
                    let len = usize::from(u16::from_be_bytes([high, low]));
                    rest = rest.get(1 + len..)?;
                }
                _ => return None,
            }
        }
    }
}

fn broken(error: &DecodeErrors) -> Error {
    Error::new(Kind::Sample, format!("broken JPEG: {error}"))
}

fn broken_by(why: &str) -> Error {
    Error::new(Kind::Sample, format!("broken JPEG: {why}"))
}
