//! Writing image files, and the shard that lists them.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::names::Names;
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::shard::safetensors::{Holds, Pictures, Tensors};
use crate::shard::{SampleRecord, ShardForm, ShardWriter};

/// Image files of `samples` in `folder`, which exists, and the shard that lists them in `file`,
/// which is empty. The metadata is for the shard.
///
/// An image file gets its name when it is whole. When the shard is finished its files are on the
/// disk, not only in memory; one that is not finished leaves image files, which the next attempt
/// writes over with the same bytes.
///
/// # Errors
/// [`Kind::Argument`] for raw images, and for classes or groups of views whose names would be the
/// same file; else as [`super::super::safetensors::create`].
pub fn create(
    folder: &Path,
    file: File,
    form: &ShardForm,
    samples: Range<u64>,
    metadata: &BTreeMap<String, String>,
) -> Result<Box<dyn ShardWriter>> {
    let names = Names::new(form)?;
    let tensors = Tensors::new(file, form, samples, Pictures::Beside, metadata)?;
    Ok(Box::new(Writer { folder: folder.to_path_buf(), names, tensors, ready: HashSet::new() }))
}

#[derive(Debug)]
struct Writer {
    folder: PathBuf,
    names: Names,
    tensors: Tensors,
    /// Folders of classes that are there.
    ready: HashSet<String>,
}

impl ShardWriter for Writer {
    fn put(&mut self, sample: &SampleRecord<'_>) -> Result<()> {
        self.tensors.begin(sample)?;
        let class = self.names.folder(sample.label).at(|| format!("sample {}", sample.index))?;
        let folder = self.folder.join(&class);
        if !self.ready.contains(&class) {
            make_folder(&folder)?;
            self.ready.insert(class);
        }
        for (at, picture) in sample.pictures.iter().enumerate() {
            let name = self.names.file(sample.index, at);
            write(&folder, &name, picture.bytes)?;
            self.tensors.push(Holds::FileBytes, &(picture.bytes.len() as u64).to_le_bytes())?;
            self.tensors.push(Holds::FileHashes, blake3::hash(picture.bytes).as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        sync(&self.folder).map_err(|error| Error::io(&self.folder, "write to", error))?;
        self.tensors.end()
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map_err(|error| Error::io(folder, "make the folder", error)),
    }
    let found = std::fs::symlink_metadata(folder);
    let found = found.map_err(|error| Error::io(folder, "read", error))?;
    if found.is_dir() {
        return Ok(());
    }
    let message = format!("{} is in the way: it is no folder", folder.display());
    Err(Error::new(Kind::Io, message).help("move it, or export to another folder"))
}

/// The name under which it is written is always the same, so that attempts that were killed do not
/// leave more and more files; it has no extension of images, so nothing takes it for one.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (unfinished, path) = (folder.join(format!(".{name}.part")), folder.join(name));
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        #[cfg(not(target_os = "linux"))]
        file.sync_data()?;
        drop(file);
        std::fs::rename(&unfinished, &path)
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&unfinished);
        Error::io(&path, "write", error)
    })
}

/// All files of the folder and below are on the disk. One call for all: a call for each of many
/// small files takes longer than to write them.
#[cfg(target_os = "linux")]
fn sync(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

/// Each file was synced when it was written.
#[cfg(not(target_os = "linux"))]
fn sync(_folder: &Path) -> io::Result<()> {
    Ok(())
}
