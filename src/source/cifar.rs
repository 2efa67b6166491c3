//! The binary files of CIFAR-10 and CIFAR-100 (Krizhevsky): labels and 32x32 planes, again and
//! again.

use std::path::{Path, PathBuf};

use super::arrays::{ArrayRecords, Part};
use crate::codec::RawForm;
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::recipe::{Dtype, Layout};
use crate::shard::MappedFile;

const FORM: RawForm =
    RawForm { channels: 3, height: 32, width: 32, dtype: Dtype::U8, layout: Layout::Nchw };

/// Bytes of an image.
const IMAGE: usize = 3 * 32 * 32;

/// Classes of CIFAR-10 and CIFAR-100.
const CLASSES: [usize; 2] = [10, 100];

/// Names of the classes, in a file beside the images: of CIFAR-10, and the fine ones of CIFAR-100.
const NAMES: [(&str, usize); 2] = [("batches.meta.txt", 1), ("fine_label_names.txt", 2)];

/// The files of training images in a folder, in order; empty if there are none.
pub(super) fn training_files(folder: &Path) -> Vec<PathBuf> {
    let batches = (1..=5).map(|n| folder.join(format!("data_batch_{n}.bin")));
    let batches: Vec<PathBuf> = batches.filter(|path| path.is_file()).collect();
    let hundred = folder.join("train.bin");
    if batches.is_empty() && hundred.is_file() { vec![hundred] } else { batches }
}

/// Opens files of images, one after the other: `data_batch_N.bin` and `test_batch.bin` of CIFAR-10,
/// `train.bin` and `test.bin` of CIFAR-100, whose fine labels are taken.
///
/// # Errors
/// [`Kind::Io`] if a file cannot be read, [`Kind::Sample`] if its length is not that of whole
/// images, a label is too large, or there are names of other than all classes.
pub(super) fn open(paths: &[PathBuf]) -> Result<ArrayRecords> {
    let folder = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    let kind = paths.last().map_or(1, |path| labels_of(path));
    let names = NAMES.iter().find(|(_, of)| *of == kind).map(|(name, _)| folder.join(name));
    let names = names.filter(|path| path.is_file()).map(|path| MappedFile::open(&path));
    let files = paths.iter().map(|path| MappedFile::open(path)).collect::<Result<_>>()?;
    from_files(files, names.transpose()?)
}

/// As [`open`], of files and the one with the names of classes.
///
/// # Errors
/// [`Kind::Sample`], as [`open`].
pub(super) fn from_files(
    files: Vec<MappedFile>,
    beside: Option<MappedFile>,
) -> Result<ArrayRecords> {
    let (mut parts, mut labels) = (Vec::new(), Vec::new());
    let (mut kind, mut folder) = (1, PathBuf::new());
    for file in files {
        let path = file.path();
        kind = labels_of(path);
        folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        let stride = kind + IMAGE;
        if file.is_empty() || file.len() % stride != 0 {
            let text = format!("has {} bytes, which are no images of {stride}", file.len());
            return Err(Error::new(Kind::Sample, text)
                .help("the file was cut short, or is not of CIFAR")
                .at(path.display()));
        }
        let classes = CLASSES[kind - 1];
        for (number, image) in file.bytes().chunks_exact(stride).enumerate() {
            let label = image[kind - 1];
            if usize::from(label) >= classes {
                let text = format!("image {number}: {label} is no label of {classes}");
                return Err(Error::new(Kind::Sample, text).at(path.display()));
            }
            labels.push(i64::from(label));
        }
        parts.push(Part { first: kind, stride, count: file.len() / stride, file });
    }
    let names = beside.map(|file| names(&file, CLASSES[kind - 1]).at(|| file.path().display()));
    let names = names.transpose()?.unwrap_or_default();
    ArrayRecords::new(parts, FORM, Some(labels), names).at(|| folder.display())
}

/// Labels before each image: CIFAR-100 has a coarse and a fine one.
fn labels_of(path: &Path) -> usize {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.contains("batch") { 1 } else { 2 }
}

/// The names of classes, one a line.
fn names(file: &MappedFile, classes: usize) -> Result<Vec<String>> {
    let text =
        std::str::from_utf8(file.bytes()).map_err(|_| Error::new(Kind::Sample, "is no text"))?;
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    // One too many is enough to know.
    let names: Vec<String> = names.take(classes + 1).map(str::to_owned).collect();
    if names.len() != classes {
        let text = format!("does not name each of {classes} classes on a line of its own");
        return Err(Error::new(Kind::Sample, text)
            .help("take the file from the same archive as the images, or leave it out"));
    }
    Ok(names)
}
