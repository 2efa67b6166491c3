//! IDX files, the format of MNIST (LeCun, Cortes, Burges): a magic number, sizes, bytes.

use std::path::{Path, PathBuf};

use super::arrays::{ArrayRecords, Part};
use super::packed;
use crate::codec::RawForm;
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::recipe::{Dtype, Layout};
use crate::shard::MappedFile;

/// Unsigned bytes, in one and three dimensions.
const LABELS: [u8; 4] = [0, 0, 8, 1];
const IMAGES: [u8; 4] = [0, 0, 8, 3];

/// Whether a file, perhaps after unpacking, is called as images in IDX are.
pub(super) fn is_name(name: &str) -> bool {
    name.contains("idx3") || name.contains("IDX3")
}

/// Opens images `[N, H, W]` and, where they lie beside them under the usual name, their labels:
/// `train-labels-idx1-ubyte` for `train-images-idx3-ubyte`, both perhaps with `.gz`.
///
/// # Errors
/// [`Kind::Io`] if a file cannot be read, [`Kind::Sample`] if it is broken or the labels are not as
/// many as the images.
pub(super) fn open(path: &Path) -> Result<ArrayRecords> {
    let labels = beside(path).map(|labels| packed::open(&labels)).transpose()?;
    from_files(packed::open(path)?, labels)
}

/// As [`open`], of files that are unpacked already.
///
/// # Errors
/// [`Kind::Sample`], as [`open`].
pub(super) fn from_files(file: MappedFile, beside: Option<MappedFile>) -> Result<ArrayRecords> {
    let path = file.path().to_path_buf();
    let (shape, first) = header::<3>(&file, IMAGES).at(|| path.display())?;
    let [count, height, width] = shape;
    let form = RawForm { channels: 1, height, width, dtype: Dtype::U8, layout: Layout::Nchw };
    let stride = form.image_bytes().at(|| path.display())?;
    let labels = beside.map(|file| labels(&file).at(|| file.path().display())).transpose()?;
    let part = Part { file, first, stride, count };
    ArrayRecords::new(vec![part], form, labels, Vec::new()).at(|| path.display())
}

fn labels(file: &MappedFile) -> Result<Vec<i64>> {
    let ([count], first) = header::<1>(file, LABELS)?;
    let bytes = file.bytes()[first..].get(..count).ok_or_else(|| short(count))?;
    Ok(bytes.iter().map(|label| i64::from(*label)).collect())
}

fn short(count: usize) -> Error {
    Error::new(Kind::Sample, format!("ends before the last of its {count} labels"))
}

/// The sizes in a header, and where the data begins.
fn header<const N: usize>(file: &MappedFile, magic: [u8; 4]) -> Result<([usize; N], usize)> {
    let bytes = file.bytes();
    if !bytes.starts_with(&magic) {
        let text = format!("is no IDX file of bytes in {N} dimension(s)");
        return Err(Error::new(Kind::Sample, text));
    }
    let mut sizes = [0; N];
    for (size, bytes) in sizes.iter_mut().zip(bytes[4..].as_chunks::<4>().0) {
        *size = usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX);
    }
    let first = 4 + 4 * N;
    if bytes.len() < first {
        return Err(Error::new(Kind::Sample, "ends within its header"));
    }
    Ok((sizes, first))
}

/// The labels of a file of images, if they are there: packed or not, whichever the images are.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let name = name.replace("images", "labels").replace("idx3", "idx1").replace("IDX3", "IDX1");
    let plain = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
    [format!("{plain}.gz"), plain]
        .into_iter()
        .map(|name| path.with_file_name(name))
        .filter(|labels| labels != path)
        .find(|labels| labels.is_file())
}
