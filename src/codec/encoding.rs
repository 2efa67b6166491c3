//! Images written as files hold them.

use std::fmt;

use image_webp::WebPEncoder;
use jpeg_encoder::{ChromaSubsamplingMethod, SamplingFactor};

use super::raw;
use super::{Encoding, Form, MAX_SIDE, Picture, RawForm};
use crate::error::{Error, Kind, Result};
use crate::recipe::{Dtype, Layout};

/// The longest side that WebP can say.
const MAX_WEBP_SIDE: usize = 1 << 14;

impl Encoding {
    /// The quality of JPEG where none is said.
    pub const DEFAULT_QUALITY: u8 = 90;

    /// Reads `raw`, `png`, `jpeg`, `jpeg:QUALITY` or `webp`.
    ///
    /// # Errors
    /// [`Kind::Argument`] if it is none of them.
    pub fn parse(text: &str) -> Result<Self> {
        let quality = |text: &str| match text.parse() {
            Ok(quality @ 1..=100) => Ok(Self::Jpeg { quality }),
            _ => Err(Error::new(Kind::Argument, format!("`{text}` is no quality of JPEG"))
                .help("it is a whole number from 1 to 100, as in `jpeg:90`")),
        };
        match text {
            "raw" => Ok(Self::Raw),
            "png" => Ok(Self::Png),
            "jpeg" => Ok(Self::Jpeg { quality: Self::DEFAULT_QUALITY }),
            "webp" => Ok(Self::WebP),
            _ => match text.strip_prefix("jpeg:") {
                Some(text) => quality(text),
                None => Err(Error::new(Kind::Argument, format!("unknown encoding `{text}`"))
                    .help("there are `raw`, `png`, `jpeg`, `jpeg:QUALITY` and `webp`")),
            },
        }
    }

    /// Whether what is decoded is what was encoded, byte for byte.
    #[must_use]
    pub fn is_lossless(self) -> bool {
        !matches!(self, Self::Jpeg { .. })
    }

    /// What names of such files end with, without a dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Png => "png",
            Self::Jpeg { .. } => "jpg",
            Self::WebP => "webp",
        }
    }

    /// The form of what [`encode`](Self::encode) writes of images of `form`.
    #[must_use]
    pub fn form(self, form: RawForm) -> Form {
        self.encoded().unwrap_or(Form::Raw(form))
    }

    /// The form of encoded images; `None` for raw ones, which have more to say.
    #[must_use]
    pub fn encoded(self) -> Option<Form> {
        match self {
            Self::Raw => None,
            Self::Png => Some(Form::Png),
            Self::Jpeg { .. } => Some(Form::Jpeg),
            Self::WebP => Some(Form::WebP),
        }
    }

    /// Whether images of `form` can be written so.
    ///
    /// # Errors
    /// [`Kind::Argument`] that says what this encoding cannot hold, and those of
    /// [`RawForm::image_bytes`].
    pub fn check(self, form: &RawForm) -> Result<()> {
        form.image_bytes()?;
        let (channels, side): (&[usize], _) = match self {
            Self::Raw => return Ok(()),
            Self::Png => (&[1, 3, 4], MAX_SIDE),
            Self::Jpeg { .. } => (&[1, 3], MAX_SIDE),
            Self::WebP => (&[1, 3, 4], MAX_WEBP_SIDE),
        };
        let refused = |what: String| {
            Err(Error::new(Kind::Argument, format!("{self} can not hold {what}"))
                .help("write them raw, which holds everything"))
        };
        if form.dtype != Dtype::U8 {
            return refused(format!("images of type {}, only of u8", form.dtype.name()));
        }
        if !channels.contains(&form.channels) {
            return refused(format!("images of {} channels", form.channels));
        }
        if form.height > side || form.width > side {
            return refused(format!("sides of more than {side} pixels"));
        }
        Ok(())
    }

    /// Appends one image, which is raw, to `out`. Equal images give equal bytes on every machine.
    ///
    /// JPEG halves the resolution of colour both ways (4:2:0, each the average of four) and has the
    /// tables of the standard, as Pillow's files have.
    ///
    /// # Errors
    /// [`Kind::Argument`] if the picture is not raw, [`Kind::Sample`] if its length is wrong, and
    /// those of [`check`](Self::check). `out` may then be partly written.
    pub fn encode(self, image: Picture<'_>, out: &mut Vec<u8>) -> Result<()> {
        let Form::Raw(form) = image.form else {
            return Err(Error::new(Kind::Argument, "only raw pictures can be encoded"));
        };
        self.check(&form)?;
        raw::check(image.bytes, &form)?;
        if self == Self::Raw {
            out.extend_from_slice(image.bytes);
            return Ok(());
        }
        let mut together = Vec::new();
        let pixels = if form.layout == Layout::Nhwc || form.channels == 1 {
            image.bytes
        } else {
            together.resize(image.bytes.len(), 0);
            raw::interleave(image.bytes, &form, &mut together)?;
            &together
        };
        let written = match self {
            Self::Raw => Ok(()),
            Self::Png => png(pixels, &form, out),
            Self::Jpeg { quality } => jpeg(pixels, &form, quality, out),
            Self::WebP => webp(pixels, &form, out),
        };
        written.map_err(|error| {
            Error::new(Kind::Sample, format!("can not be written as {self}: {error}"))
        })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Png => f.write_str("png"),
            Self::Jpeg { quality } => write!(f, "jpeg:{quality}"),
            Self::WebP => f.write_str("webp"),
        }
    }
}

/// What an encoder may say; never, of an image that was checked.
type Failure = Box<dyn std::error::Error>;

fn png(pixels: &[u8], form: &RawForm, out: &mut Vec<u8>) -> Result<(), Failure> {
    let [height, width] = [form.height, form.width].map(u32::try_from);
    let mut encoder = png::Encoder::new(out, width?, height?);
    encoder.set_color(match form.channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}

fn jpeg(pixels: &[u8], form: &RawForm, quality: u8, out: &mut Vec<u8>) -> Result<(), Failure> {
    let [height, width] = [form.height, form.width].map(u16::try_from);
    let mut encoder = jpeg_encoder::Encoder::new(out, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let colour = match form.channels {
        1 => jpeg_encoder::ColorType::Luma,
        _ => jpeg_encoder::ColorType::Rgb,
    };
    encoder.encode(pixels, width?, height?, colour)?;
    Ok(())
}

fn webp(pixels: &[u8], form: &RawForm, out: &mut Vec<u8>) -> Result<(), Failure> {
    let [height, width] = [form.height, form.width].map(u32::try_from);
    let colour = match form.channels {
        1 => image_webp::ColorType::L8,
        3 => image_webp::ColorType::Rgb8,
        _ => image_webp::ColorType::Rgba8,
    };
    WebPEncoder::new(out).encode(pixels, width?, height?, colour)?;
    Ok(())
}
