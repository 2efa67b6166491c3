//! NumPy files: images in an `.npy`, or images and labels in an `.npz`.

use std::io::{Cursor, Read as _};
use std::path::Path;

use super::arrays::{ArrayRecords, Part};
use crate::codec::RawForm;
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::recipe::Layout;
use crate::shard::{MappedFile, npy};

/// The most bytes that a member of an `.npz` may become.
const MAX_MEMBER: u64 = 1 << 34;

/// What arrays of images and of labels are called in an `.npz`, the first that is there.
const IMAGES: [&str; 6] = ["images", "x", "X", "x_train", "data", "arr_0"];
const LABELS: [&str; 6] = ["labels", "y", "Y", "y_train", "label", "arr_1"];

/// Opens an `.npy` of images, with the labels of a `labels.npy` or `NAME_labels.npy` beside it.
///
/// # Errors
/// [`Kind::Io`] if a file cannot be read, [`Kind::Sample`] if it is no array of images or the labels
/// are not as many.
pub(super) fn open(path: &Path) -> Result<ArrayRecords> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let beside = [format!("{stem}_labels.npy"), "labels.npy".to_owned()]
        .map(|name| path.with_file_name(name))
        .into_iter()
        .find(|labels| labels != path && labels.is_file());
    let labels = beside.map(|path| MappedFile::open(&path)).transpose()?;
    from_files(MappedFile::open(path)?, labels)
}

/// As [`open`], of a file and one of labels.
///
/// # Errors
/// [`Kind::Sample`], as [`open`].
pub(super) fn from_files(file: MappedFile, beside: Option<MappedFile>) -> Result<ArrayRecords> {
    let labels = beside.map(|file| labels(&file).at(|| file.path().display())).transpose()?;
    let path = file.path().to_path_buf();
    images(file, labels).at(|| path.display())
}

/// Opens an `.npz` with an array of images and, perhaps, one of labels.
///
/// # Errors
/// As [`open`]; [`Kind::Limit`] if an array becomes too large.
pub(super) fn open_archive(file: &MappedFile) -> Result<ArrayRecords> {
    let path = file.path();
    archive(path, file.bytes()).at(|| path.display())
}

fn archive(path: &Path, bytes: &[u8]) -> Result<ArrayRecords> {
    let broken = |error| Error::new(Kind::Sample, format!("is no NumPy archive: {error}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut member = |names: &[&str]| -> Result<Option<MappedFile>> {
        for name in names.iter().map(|name| format!("{name}.npy")) {
            let Ok(entry) = archive.by_name(&name) else { continue };
            let mut bytes = Vec::new();
            let read = entry.take(MAX_MEMBER + 1).read_to_end(&mut bytes);
            read.map_err(|error| Error::io(path, "unpack", error))?;
            if bytes.len() as u64 > MAX_MEMBER {
                let text = format!("{name} unpacks to more than {MAX_MEMBER} bytes");
                return Err(Error::new(Kind::Limit, text));
            }
            return Ok(Some(MappedFile::from_bytes(path.join(name), bytes)));
        }
        Ok(None)
    };
    let (found, labelled) = (member(&IMAGES)?, member(&LABELS)?);
    let found = found.ok_or_else(|| {
        Error::new(Kind::Sample, "has no array of images")
            .help(format!("name it one of {}", IMAGES.join(", ")))
    })?;
    let labels = labelled.as_ref().map(labels).transpose().at(|| "labels")?;
    images(found, labels)
}

/// Images from an array: `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`. Of four axes, the one that
/// is 1, 3 or 4 long has the channels; the last, if that is open.
fn images(file: MappedFile, labels: Option<Vec<i64>>) -> Result<ArrayRecords> {
    let array = npy::parse(file.bytes())?;
    let is_channels = |axis: usize| matches!(axis, 1 | 3 | 4);
    let (count, channels, height, width, layout) = match *array.shape {
        [count, height, width] => (count, 1, height, width, Layout::Nchw),
        [count, height, width, channels] if is_channels(channels) => {
            (count, channels, height, width, Layout::Nhwc)
        }
        [count, channels, height, width] if is_channels(channels) => {
            (count, channels, height, width, Layout::Nchw)
        }
        _ => {
            let text = format!("an array of shape {:?} is none of images", array.shape);
            return Err(Error::new(Kind::Sample, text).help(
                "shapes are [N, H, W], [N, H, W, C] or [N, C, H, W], with 1, 3 or 4 channels",
            ));
        }
    };
    let form = RawForm { channels, height, width, dtype: array.dtype, layout };
    let stride = form.image_bytes()?;
    let first = file.len() - array.data.len();
    let part = Part { file, first, stride, count };
    ArrayRecords::new(vec![part], form, labels, Vec::new())
}

/// Labels from an array of integers, `[N]` or `[N, 1]`.
fn labels(file: &MappedFile) -> Result<Vec<i64>> {
    npy::integers(file.bytes())
}
