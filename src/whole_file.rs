//! Files that are there whole or not at all.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// A file being written under a name of its own, in the folder where it will be.
#[derive(Debug)]
pub(crate) struct WholeFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl WholeFile {
    /// An empty file that is to become `path`. Readable by whoever may read the user's other files.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) naming `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder);
        let file = file.map_err(|error| Error::io(path, "write", error))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// What is written so far, to write more.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives the file its name, over what has it now. Dropped instead, it leaves nothing.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) naming the path.
    pub fn finish(self) -> Result<()> {
        let Self { file, path } = self;
        file.as_file().sync_all().map_err(|error| Error::io(&path, "write", error))?;
        file.persist(&path).map(drop).map_err(|error| Error::io(&path, "write", error.error))
    }
}

/// Writes a file under a name of its own, then gives it the name `path`. Readable by whoever may
/// read the user's other files.
///
/// # Errors
/// [`Kind::Io`](crate::Kind::Io) naming `path`.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut whole = WholeFile::create(path)?;
    whole.file().write_all(bytes).map_err(|error| Error::io(path, "write", error))?;
    whole.finish()
}
