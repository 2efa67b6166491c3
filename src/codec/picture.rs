//! One image and the form it is in.

use crate::recipe::{Dtype, Layout};

/// One image, as it lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture<'a> {
    /// All of its bytes.
    pub bytes: &'a [u8],
    /// What they are.
    pub form: Form,
}

/// What the bytes of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Elements, little-endian, without a header.
    Raw(RawForm),
    /// A JPEG file (ITU-T T.81).
    Jpeg,
    /// A PNG file (ISO/IEC 15948).
    Png,
    /// A WebP file (RFC 9649).
    WebP,
}

impl Form {
    /// The form of a file, by how it begins; `None` if it is none of JPEG, PNG and WebP.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }
}

/// Shape and type of an image without a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawForm {
    /// 1 to 4.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Pixels a row.
    pub width: usize,
    /// Element type. Floats are intensities in `[0, 1]`, unless they were normalised.
    pub dtype: Dtype,
    /// `Nchw`: channel by channel; `Nhwc`: pixel by pixel.
    pub layout: Layout,
}

impl RawForm {
    /// Bytes that an image takes; `None` if that is more than fits memory.
    #[must_use]
    pub fn checked_len(&self) -> Option<usize> {
        [self.height, self.width, self.dtype.size()]
            .iter()
            .try_fold(self.channels, |len, by| len.checked_mul(*by))
    }
}

/// How images are written to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Elements as delivered; any type.
    Raw,
    /// Lossless; 8-bit images of 1, 3 or 4 channels.
    Png,
    /// Lossy, of this quality, 1 to 100; 8-bit images of 1 or 3 channels.
    Jpeg {
        /// As libjpeg counts it.
        quality: u8,
    },
    /// Lossless; 8-bit images of 1, 3 or 4 channels. Gray is stored as RGB.
    WebP,
}
