//! Arrays as NumPy writes them to files of one array: format 1.0 written, 1.0 to 3.0 read.
//!
//! Source: NumPy's "NPY format" (NEP 1). The header is the text of a Python dictionary; what is
//! read here is that text as every writer puts it, not Python.

use crate::error::{Error, Kind, Result};
use crate::recipe::Dtype;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The data begins at a multiple of this many bytes.
const ALIGNMENT: usize = 64;
/// Longest header that is read; one of four axes has some 80 bytes.
const MAX_HEADER: usize = 1 << 12;
/// Most axes that are read.
const MAX_AXES: usize = 8;

/// An array in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Array<'a> {
    pub dtype: Dtype,
    /// In C order: the last axis is contiguous.
    pub shape: Vec<usize>,
    pub data: &'a [u8],
}

/// What comes before the elements, which are little-endian and in C order.
pub(crate) fn header(dtype: Dtype, shape: &[usize]) -> Vec<u8> {
    let kind = match dtype {
        Dtype::U8 => "|u1",
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
    };
    let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
    // A tuple of one needs its comma; after the last of several it is left out, as NumPy does.
    let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({axes}), }}");
    let before = MAGIC.len() + 4;
    let len = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - before;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(before + len - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// Reads an array of a type that images have. The data is all that follows the header, and as long
/// as the shape says.
///
/// # Errors
/// [`Kind::Sample`] saying what is wrong, [`Kind::Limit`] for a header that is too long.
pub(crate) fn parse(bytes: &[u8]) -> Result<Array<'_>> {
    let (header, data) = open(bytes)?;
    let dtype = match header.descr {
        "|u1" | "u1" | "<u1" => Dtype::U8,
        "<f2" => Dtype::F16,
        "<f4" => Dtype::F32,
        other => {
            return Err(bad(&format!("its elements are `{other}`"))
                .help("uint8, float16 and float32 (little-endian) are read"));
        }
    };
    whole(&header.shape, dtype.size(), data)?;
    Ok(Array { dtype, shape: header.shape, data })
}

/// Reads an array of integers of any size, `[N]` or `[N, 1]`.
///
/// # Errors
/// As [`parse`].
pub(crate) fn integers(bytes: &[u8]) -> Result<Vec<i64>> {
    let (header, data) = open(bytes)?;
    let Header { descr, shape, .. } = header;
    if !matches!(*shape, [_] | [_, 1]) {
        return Err(bad(&format!("it is no list, but of shape {shape:?}")));
    }
    let size = match descr {
        "|u1" | "|i1" | "u1" | "i1" => 1,
        "<u2" | "<i2" => 2,
        "<u4" | "<i4" => 4,
        "<u8" | "<i8" => 8,
        other => {
            return Err(bad(&format!("its elements are `{other}`"))
                .help("integers (little-endian) are read: write it with .astype('int64')"));
        }
    };
    whole(&shape, size, data)?;
    let signed = descr.contains('i');
    data.chunks_exact(size)
        .map(|element| {
            let negative = signed && element.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut wide = [if negative { 0xff } else { 0 }; 8];
            wide[..size].copy_from_slice(element);
            let value = i64::from_le_bytes(wide);
            let fits = signed || size < 8 || value >= 0;
            fits.then_some(value).ok_or_else(|| bad("it has an integer of more than 63 bits"))
        })
        .collect()
}

fn bad(what: &str) -> Error {
    Error::new(Kind::Sample, format!("is no NumPy array that is read: {what}"))
}

/// Checks that the data is as long as the shape says.
fn whole(shape: &[usize], size: usize, data: &[u8]) -> Result<()> {
    let want = shape.iter().try_fold(size, |len, axis| len.checked_mul(*axis));
    if want != Some(data.len()) {
        return Err(bad(&format!("its shape is {shape:?}, and {} bytes follow", data.len())));
    }
    Ok(())
}

/// Reads the header; what follows it.
fn open(bytes: &[u8]) -> Result<(Header<'_>, &[u8])> {
    let short = || bad("it ends within its header");
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| bad("it has not the first bytes of one"))?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (len, rest) = match major {
        1 => {
            let (len, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
            (usize::from(u16::from_le_bytes(*len)), rest)
        }
        2 | 3 => {
            let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            (usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX), rest)
        }
        _ => return Err(bad(&format!("its format is version {major}"))),
    };
    if len > MAX_HEADER {
        let message = format!("has a header of {len} bytes, more than {MAX_HEADER}");
        return Err(Error::new(Kind::Limit, message));
    }
    let (text, data) = rest.split_at_checked(len).ok_or_else(short)?;
    let text = std::str::from_utf8(text).map_err(|_| bad("its header is no text"))?;
    let header = dictionary(text).ok_or_else(|| bad(&format!("its header is {}", text.trim())))?;
    if header.fortran {
        return Err(bad("it is in Fortran order").help("write it with numpy.ascontiguousarray"));
    }
    Ok((header, data))
}

struct Header<'a> {
    descr: &'a str,
    fortran: bool,
    shape: Vec<usize>,
}

/// The three keys of a header, in any order, each once.
fn dictionary(text: &str) -> Option<Header<'_>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, value) = rest.strip_prefix('\'')?.split_once('\'')?;
        let value = value.trim_start().strip_prefix(':')?.trim_start();
        let after = match key {
            "descr" if descr.is_none() => {
                let (text, after) = value.strip_prefix('\'')?.split_once('\'')?;
                descr = Some(text);
                after
            }
            "fortran_order" if fortran.is_none() => {
                let no = value.strip_prefix("False");
                fortran = Some(no.is_none());
                no.or_else(|| value.strip_prefix("True"))?
            }
            "shape" if shape.is_none() => {
                let (axes, after) = value.strip_prefix('(')?.split_once(')')?;
                shape = Some(tuple(axes)?);
                after
            }
            _ => return None,
        };
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(Header { descr: descr?, fortran: fortran?, shape: shape? })
}

fn tuple(axes: &str) -> Option<Vec<usize>> {
    let axes = axes.trim();
    if axes.is_empty() {
        return Some(Vec::new());
    }
    let axes = axes.strip_suffix(',').unwrap_or(axes);
    let axes: Option<Vec<_>> =
        axes.split(',').take(MAX_AXES + 1).map(|axis| axis.trim().parse().ok()).collect();
    axes.filter(|axes| axes.len() <= MAX_AXES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_as_numpy_writes_it() {
        let bytes = header(Dtype::U8, &[2, 1, 28, 28]);
        assert_eq!(bytes.len(), 128);
        let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 28, 28), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(std::str::from_utf8(&bytes[10..]).unwrap(), format!("{text:<117}\n"));
        let one = header(Dtype::F32, &[3]);
        assert!(one.windows(6).any(|part| part == b"(3,), "), "a tuple of one has a comma");
    }

    #[test]
    fn arrays_read_back() {
        for (dtype, shape) in [
            (Dtype::U8, vec![2, 3]),
            (Dtype::F16, vec![1, 2, 3]),
            (Dtype::F32, vec![4]),
            (Dtype::F32, vec![]),
        ] {
            let len = shape.iter().product::<usize>() * dtype.size();
            let mut bytes = header(dtype, &shape);
            bytes.extend((0..len).map(|n| n as u8));
            let array = parse(&bytes).unwrap();
            assert_eq!((array.dtype, &array.shape, array.data.len()), (dtype, &shape, len));
        }
    }

    fn refused(text: &str, data: usize) -> String {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        parse(&bytes).unwrap_err().summary()
    }

    #[test]
    fn a_shape_that_overflows_is_refused() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }";
        assert!(refused(text, 0).contains("0 bytes follow"));
        assert!(
            refused("{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }", 4)
                .contains("4 bytes")
        );
        let many = "1,".repeat(50);
        refused(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({many}), }}"), 1);
    }

    #[test]
    fn objects_fortran_order_and_code_are_refused() {
        let said = refused("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8);
        assert!(said.contains("`|O`"), "{said}");
        let said = refused("{'descr': '|u1', 'fortran_order': True, 'shape': (1,), }", 1);
        assert!(said.contains("Fortran"), "{said}");
        for text in [
            "__import__('os')",
            "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'x': 1}",
            "{'descr': '|u1', 'shape': (1,), }",
            "{",
            "",
        ] {
            assert!(refused(text, 1).contains("its header is"), "{text}");
        }
    }

    #[test]
    fn a_header_that_claims_gigabytes_is_refused() {
        let bytes = b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{";
        assert_eq!(parse(bytes).unwrap_err().kind(), Kind::Limit);
        for len in 0..bytes.len() {
            parse(&bytes[..len]).unwrap_err();
        }
    }
}
