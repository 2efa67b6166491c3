//! Reading image files that a shard lists.

use std::fs::{self, File};
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::names::Names;
use crate::codec::Picture;
use crate::error::{Error, Kind, Result};
use crate::shard::safetensors::{Holds, Pictures, SafetensorsReader};
use crate::shard::{MappedFile, ShardForm, ShardReader};

/// Longest image file that is read: more than any encoder makes of an image that a model makes.
pub(super) const MAX_FILE: u64 = 256 << 20;

const CHANGED_HELP: &str = "export it anew, or leave the files of a dataset as they are";

/// A range of samples in folders by class.
#[derive(Debug)]
pub struct ImagesReader {
    folder: PathBuf,
    names: Names,
    list: SafetensorsReader,
}

impl ImagesReader {
    /// The samples that the shard `file` lists, in `folder`. No image is looked at.
    ///
    /// # Errors
    /// As [`SafetensorsReader::open`].
    pub fn open(
        folder: &Path,
        file: MappedFile,
        form: &ShardForm,
        samples: Range<u64>,
    ) -> Result<Self> {
        let names = Names::new(form)?;
        let list = SafetensorsReader::open_as(file, form, samples, Pictures::Beside)?;
        Ok(Self { folder: folder.to_path_buf(), names, list })
    }

    /// Compares the files of a sample with the hashes that the shard has.
    ///
    /// # Errors
    /// [`Kind::Sample`] naming the file if one is missing or not as it was.
    pub fn verify(&self, position: u64) -> Result<()> {
        let row = self.list.ready(position)?;
        let hashes = self.list.tensor(Holds::FileHashes).as_chunks::<{ blake3::OUT_LEN }>().0;
        self.each(position, &mut Vec::new(), |picture, path, bytes| {
            let want = hashes.get(row * self.names.pictures() + picture);
            if want == Some(blake3::hash(bytes).as_bytes()) {
                return Ok(());
            }
            Err(self.changed(row, path, "is not what was written: its hash is another".into()))
        })
    }

    /// As [`SafetensorsReader::parameters`].
    ///
    /// # Errors
    /// As [`SafetensorsReader::parameters`].
    pub fn parameters(&self, position: u64) -> Result<Option<&str>> {
        self.list.parameters(position)
    }

    fn changed(&self, position: usize, path: &Path, message: String) -> Error {
        let index = self.list.first() + position as u64;
        Error::new(Kind::Sample, message)
            .with_sample(index)
            .help(CHANGED_HELP)
            .at(format_args!("sample {index}"))
            .at(path.display())
    }

    /// Reads each file of a sample.
    fn each(
        &self,
        position: u64,
        scratch: &mut Vec<u8>,
        mut with: impl FnMut(usize, &Path, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let at = self.list.ready(position)?;
        let label = self.list.label(position)?;
        let class = self.names.folder(label);
        let class = class.map_err(|error| self.list.broken(at, error.summary()))?;
        let folder = self.folder.join(class);
        let pictures = self.names.pictures();
        for picture in 0..pictures {
            let path = folder.join(self.names.file(self.list.first() + position, picture));
            let len = self.list.number(Holds::FileBytes, at * pictures + picture);
            let read = read(&folder, &path, len, scratch);
            read.map_err(|message| self.changed(at, &path, message))?;
            with(picture, &path, scratch)?;
        }
        Ok(())
    }
}

/// Reads a file of `len` bytes, or says what is wrong with it.
fn read(folder: &Path, path: &Path, len: u64, to: &mut Vec<u8>) -> Result<(), String> {
    if len > MAX_FILE {
        return Err(format!("should have {len} bytes, more than {MAX_FILE}"));
    }
    // A link could lead anywhere, and what it leads to would be shown.
    let kind = |path: &Path| fs::symlink_metadata(path).map_err(|error| error.to_string());
    if !kind(folder)?.is_dir() {
        return Err(format!("{} is no folder", folder.display()));
    }
    let found = kind(path)?;
    if !found.is_file() {
        return Err("is no regular file".into());
    }
    let other = |have: u64| format!("has {have} bytes, not {len} as it was written");
    if found.len() != len {
        return Err(other(found.len()));
    }
    to.clear();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let have = file.take(len).read_to_end(to).map_err(|error| error.to_string())?;
    if have as u64 == len { Ok(()) } else { Err(other(have as u64)) }
}

impl ShardReader for ImagesReader {
    fn verify(&self, position: u64) -> Result<()> {
        // The type's own, of the same name.
        Self::verify(self, position)
    }

    fn len(&self) -> u64 {
        self.list.len()
    }

    fn index(&self, position: u64) -> Result<u64> {
        self.list.index(position)
    }

    fn label(&self, position: u64) -> Result<Option<i64>> {
        self.list.label(position)
    }

    fn labels(&self, positions: Range<u64>, out: &mut Vec<i64>) -> Result<()> {
        self.list.labels(positions, out)
    }

    fn latents(&self, position: u64, out: &mut [f32]) -> Result<()> {
        self.list.latents(position, out)
    }

    fn show(
        &self,
        position: u64,
        scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        // An encoding without a form is raw, which names of files exclude.
        let Some(form) = self.list.form().encoding.encoded() else { return Ok(()) };
        self.each(position, scratch, |at, _, bytes| show(at, Picture { bytes, form }))
    }
}
