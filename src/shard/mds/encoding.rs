//! Encodings of columns that other tools write, as far as pictures and labels have them.
//!
//! The names and layouts are those of `streaming` 0.13, `base/format/mds/encodings.py`.

use crate::codec::{Form, Picture, RawForm};
use crate::error::{Error, Kind, Result};
use crate::recipe::{Dtype, Layout};
use crate::shard::arrays::Pictures;

/// Most axes that Streaming writes.
const MAX_AXES: usize = 63;

/// How a column is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoding {
    /// An image file; its first bytes say of which form.
    Image,
    /// Bytes that may be an image file.
    Bytes,
    /// Size, mode and pixels of an image of the Python library of that name.
    Pil,
    /// An array; what is not said here is said in every sample.
    Array(Option<Dtype>, Option<Vec<usize>>),
    /// A whole number of so many bytes.
    Integer { bytes: usize, signed: bool },
    /// A whole number in decimal.
    Decimal,
    /// Something that neither pictures nor labels are in.
    Other,
}

impl Encoding {
    pub fn parse(name: &str) -> Self {
        let integer = |bytes, signed| Self::Integer { bytes, signed };
        match name {
            "jpeg" | "png" => Self::Image,
            "bytes" => Self::Bytes,
            "pil" => Self::Pil,
            "int" | "int64" => integer(8, true),
            "int32" => integer(4, true),
            "int16" => integer(2, true),
            "int8" => integer(1, true),
            "uint64" => integer(8, false),
            "uint32" => integer(4, false),
            "uint16" => integer(2, false),
            "uint8" => integer(1, false),
            "str_int" => Self::Decimal,
            "ndarray" => Self::Array(None, None),
            _ => name.strip_prefix("ndarray:").and_then(array).unwrap_or(Self::Other),
        }
    }

    /// Whether pictures are in it for certain.
    pub fn is_picture(&self) -> bool {
        let axes = |shape: &Option<Vec<usize>>| {
            shape.as_ref().is_none_or(|shape| (2..=4).contains(&shape.len()))
        };
        match self {
            Self::Image | Self::Pil => true,
            Self::Array(_, shape) => axes(shape),
            _ => false,
        }
    }

    pub fn is_label(&self) -> bool {
        matches!(self, Self::Integer { .. } | Self::Decimal)
    }

    /// The number in a column.
    ///
    /// # Errors
    /// [`Kind::Sample`] if it is none, or beyond 63 bits.
    pub fn label(&self, column: &[u8]) -> Result<i64> {
        let number = match self {
            Self::Integer { bytes, signed } if *bytes == column.len() => integer(column, *signed),
            Self::Decimal => {
                std::str::from_utf8(column).ok().and_then(|text| text.trim().parse().ok())
            }
            _ => None,
        };
        number.ok_or_else(|| {
            let shown = &column[..column.len().min(32)];
            Error::new(Kind::Sample, format!("holds {shown:?} where a label's number should be"))
        })
    }

    /// The pictures in a column.
    ///
    /// # Errors
    /// [`Kind::Sample`] if there are none.
    pub fn pictures<'a>(&self, column: &'a [u8]) -> Result<Shown<'a>> {
        match self {
            Self::Image | Self::Bytes if Form::sniff(column).is_some() => {
                Pictures::read(column).map(Shown::Several)
            }
            Self::Image | Self::Bytes => {
                Err(Error::new(Kind::Sample, "is no picture that is read")
                    .help("JPEG, PNG and WebP files are"))
            }
            Self::Pil => pil(column).map(Shown::One),
            Self::Array(dtype, shape) => {
                dynamic(*dtype, shape.as_deref(), column).map(Shown::Several)
            }
            _ => Err(Error::new(Kind::Sample, "is no picture")),
        }
    }
}

/// The pictures of a column.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    One(Picture<'a>),
    Several(Pictures<'a>),
}

impl<'a> Shown<'a> {
    pub fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(pictures) => pictures.count,
        }
    }

    pub fn each(self, show: &mut dyn FnMut(Picture<'a>) -> Result<()>) -> Result<()> {
        match self {
            Self::One(picture) => show(picture),
            Self::Several(pictures) => pictures.each().try_for_each(show),
        }
    }
}

/// `DTYPE` or `DTYPE:AXIS,AXIS`.
fn array(config: &str) -> Option<Encoding> {
    let (kind, shape) = match config.split_once(':') {
        Some((kind, shape)) => (kind, Some(shape)),
        None => (config, None),
    };
    let dtype = match kind {
        "uint8" => Dtype::U8,
        "float16" => Dtype::F16,
        "float32" => Dtype::F32,
        _ => return None,
    };
    let axes = |shape: &str| -> Option<Vec<usize>> {
        shape.split(',').take(MAX_AXES).map(|axis| axis.parse().ok()).collect()
    };
    match shape {
        None => Some(Encoding::Array(Some(dtype), None)),
        Some(shape) => Some(Encoding::Array(Some(dtype), Some(axes(shape)?))),
    }
}

fn integer(column: &[u8], signed: bool) -> Option<i64> {
    let negative = signed && column.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; 8];
    bytes.get_mut(..column.len())?.copy_from_slice(column);
    let number = i64::from_le_bytes(bytes);
    (signed || number >= 0).then_some(number)
}

/// An array that says its type and shape before its elements, where the column does not.
fn dynamic<'a>(
    dtype: Option<Dtype>,
    shape: Option<&[usize]>,
    column: &'a [u8],
) -> Result<Pictures<'a>> {
    let bad = |what: String| Error::new(Kind::Sample, format!("is no array of pictures: {what}"));
    let short = || bad(format!("it has {} bytes", column.len()));
    let (dtype, rest) = match dtype {
        Some(dtype) => (dtype, column),
        None => {
            let (kind, rest) = column.split_first().ok_or_else(short)?;
            let dtype = match kind {
                8 => Dtype::U8,
                18 => Dtype::F16,
                34 => Dtype::F32,
                other => {
                    return Err(bad(format!("its elements are of type {other}"))
                        .help("uint8 (8), float16 (18) and float32 (34) are read"));
                }
            };
            (dtype, rest)
        }
    };
    if let Some(shape) = shape {
        return Pictures::of_array(rest, dtype, shape);
    }
    let (kind, rest) = rest.split_first().ok_or_else(short)?;
    // The upper six bits count the axes, the lower two say how many bytes each takes.
    let (axes, width) = (usize::from(kind >> 2), 1_usize << (kind & 3));
    let (words, data) = rest.split_at_checked(axes * width).ok_or_else(short)?;
    let axis = |word: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(word);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    let shape: Vec<usize> = words.chunks_exact(width).map(axis).collect();
    Pictures::of_array(data, dtype, &shape)
}

/// Width, height, length of the mode's name, the name, the pixels row by row.
fn pil(column: &[u8]) -> Result<Picture<'_>> {
    let bad = |what: String| {
        Error::new(Kind::Sample, format!("is no image of PIL that is read: {what}"))
            .help("images of the modes L, RGB and RGBA are; or write JPEG or PNG")
    };
    let (words, rest) = column.as_chunks::<4>();
    let (&[width, height, mode, ..], _) = (words, rest) else {
        return Err(bad(format!("it has {} bytes", column.len())));
    };
    let [width, height, mode] = [width, height, mode].map(|word| u32::from_le_bytes(word) as usize);
    let named = column[12..].split_at_checked(mode);
    let (mode, bytes) = named.ok_or_else(|| bad(format!("it has {} bytes", column.len())))?;
    let channels = match mode {
        b"L" => 1,
        b"RGB" => 3,
        b"RGBA" => 4,
        other => {
            return Err(bad(format!(
                "its mode is {:?}",
                String::from_utf8_lossy(&other[..other.len().min(16)])
            )));
        }
    };
    let form = RawForm { channels, height, width, dtype: Dtype::U8, layout: Layout::Nhwc };
    if form.checked_len() != Some(bytes.len()) || bytes.is_empty() {
        return Err(bad(format!(
            "it is {width} × {height} of {channels}, in {} bytes",
            bytes.len()
        )));
    }
    Ok(Picture { bytes, form: Form::Raw(form) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_sign() {
        let label = |name: &str, bytes: &[u8]| Encoding::parse(name).label(bytes);
        assert_eq!(label("int8", &[0xfe]).unwrap(), -2);
        assert_eq!(label("uint8", &[0xfe]).unwrap(), 254);
        assert_eq!(label("int", &(-3_i64).to_le_bytes()).unwrap(), -3);
        assert_eq!(label("str_int", b"12").unwrap(), 12);
        assert!(label("uint64", &[0xff; 8]).is_err());
        assert!(label("int", &[1; 4]).is_err());
    }

    #[test]
    fn an_array_that_says_its_own_shape_is_read() {
        let mut bytes = vec![8, 3 << 2, 1, 5, 6];
        bytes.resize(5 + 30, 7);
        let shown = Encoding::parse("ndarray").pictures(&bytes).unwrap();
        assert_eq!(shown.count(), 1);
        assert!(Encoding::parse("ndarray:uint8").pictures(&bytes[1..]).is_ok());
        for len in 0..bytes.len() {
            assert!(Encoding::parse("ndarray").pictures(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let mut huge = vec![8, 3 << 2 | 3];
        huge.extend([0xff; 24]);
        assert!(Encoding::parse("ndarray").pictures(&huge).is_err());
        let mut pil = [0xff_u8; 12].to_vec();
        assert!(Encoding::parse("pil").pictures(&pil).is_err());
        pil[8..12].copy_from_slice(&[1, 0, 0, 0]);
        pil.push(b'L');
        assert!(Encoding::parse("pil").pictures(&pil).is_err());
    }

    #[test]
    fn encodings_that_run_code_are_no_pictures() {
        for name in ["pkl", "json", "str", "ndarray:int64:3", "ndarray:uint8:x", "list[jpeg]"] {
            let encoding = Encoding::parse(name);
            assert!(!encoding.is_picture() && !encoding.is_label(), "{name}");
        }
    }
}
