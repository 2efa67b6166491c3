//! Real data: folders of images, tar files, IDX, NumPy and CIFAR files, as records that a dataset
//! can be read from.
//!
//! [`open`] recognises what lies at a path. What is there may be hostile: sizes are checked before
//! they are used, and names and links do not lead out of a folder. Opening lists and reads headers;
//! no image is decoded before it is asked for.

mod arrays;
mod cifar;
mod content;
mod dataset;
mod folder;
mod idx;
mod numpy;
mod packed;
mod store;
mod tar;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use arrays::ArrayRecords;
pub(crate) use dataset::mixed;
pub use dataset::{dataset, is_data, records};
pub use folder::FolderRecords;
pub use store::ImageStore;
pub use tar::TarRecords;

use crate::error::{Error, Kind, Result};
use crate::shard::{MappedFile, Records};

/// Opens real data: a folder of images, a tar of them, IDX, `.npy`, `.npz`, or CIFAR's binary
/// files. A folder of IDX or CIFAR files stands for its training images.
///
/// # Errors
/// [`Kind::Io`] if nothing is there or it cannot be read, [`Kind::Sample`] if it is broken,
/// [`Kind::Argument`] if it is none of these.
pub fn open(path: &Path) -> Result<Box<dyn Records>> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, "read", error))?;
    if metadata.is_dir() {
        return open_folder(path);
    }
    Ok(match data_of(path)? {
        Data::Idx => Box::new(idx::open(path)?),
        Data::Tar => Box::new(TarRecords::open(path)?),
        Data::Npy => Box::new(numpy::open(path)?),
        Data::Npz => Box::new(numpy::open_archive(&MappedFile::open(path)?)?),
        Data::Cifar => Box::new(cifar::open(&[path.to_path_buf()])?),
    })
}

/// As [`open`], of a file that need not be on disk, and of what would lie beside it: labels for IDX
/// and `.npy`, names of classes for CIFAR. For tests and fuzzing, which need no disk.
///
/// # Errors
/// As [`open`].
#[doc(hidden)]
pub fn from_files(file: MappedFile, beside: Option<MappedFile>) -> Result<Box<dyn Records>> {
    Ok(match data_of(file.path())? {
        Data::Idx => {
            let beside = beside.map(packed::unpack).transpose()?;
            Box::new(idx::from_files(packed::unpack(file)?, beside)?)
        }
        Data::Tar => Box::new(TarRecords::from_file(file)?),
        Data::Npy => Box::new(numpy::from_files(file, beside)?),
        Data::Npz => Box::new(numpy::open_archive(&file)?),
        Data::Cifar => Box::new(cifar::from_files(vec![file], beside)?),
    })
}

/// What is in a file.
enum Data {
    Idx,
    Tar,
    Npy,
    Npz,
    Cifar,
}

/// What is in a file, by its name.
fn data_of(path: &Path) -> Result<Data> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    if idx::is_name(plain) {
        return Ok(Data::Idx);
    }
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("tar") => Ok(Data::Tar),
        Some("npy") => Ok(Data::Npy),
        Some("npz") => Ok(Data::Npz),
        Some("bin") => Ok(Data::Cifar),
        _ => Err(Error::new(Kind::Argument, format!("{} is no data that is read", path.display()))
            .help(
                "folders of .jpg, .png and .webp files are read, .tar files of them, IDX \
                 (…-images-idx3-ubyte, also .gz), .npy, .npz, and the .bin files of CIFAR",
            )),
    }
}

fn open_folder(path: &Path) -> Result<Box<dyn Records>> {
    let batches = cifar::training_files(path);
    if !batches.is_empty() {
        return Ok(Box::new(cifar::open(&batches)?));
    }
    let mnist = ["", ".gz"].map(|end| path.join(format!("train-images-idx3-ubyte{end}")));
    let mnist: Option<PathBuf> = mnist.into_iter().find(|images| images.is_file());
    match mnist {
        Some(images) => Ok(Box::new(idx::open(&images)?)),
        None => Ok(Box::new(FolderRecords::open(path)?)),
    }
}
