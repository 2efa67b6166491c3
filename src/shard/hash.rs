//! The size and hash of a shard, and its way to the disk.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::load::Stop;

/// Read at once: enough for BLAKE3 to use wide instructions, little enough for a cache.
const CHUNK: usize = 256 << 10;

/// Bytes and BLAKE3 of the file at `path`. Links are not followed.
///
/// # Errors
/// [`Kind::Io`] naming the file, [`Kind::Interrupted`].
pub(crate) fn hash_file(path: &Path, stop: &Stop) -> Result<(u64, blake3::Hash)> {
    let failed = |error| Error::io(path, "read", error);
    // Asked before it is opened: opening a named pipe would wait for a writer.
    if !std::fs::symlink_metadata(path).map_err(failed)?.is_file() {
        return Err(Error::new(Kind::Io, format!("{} is no regular file", path.display())));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let (mut bytes, mut chunk) = (0, vec![0; CHUNK]);
    loop {
        stop.check()?;
        match file.read(&mut chunk) {
            Ok(0) => return Ok((bytes, hasher.finalize())),
            Ok(n) => {
                hasher.update(&chunk[..n]);
                bytes += n as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Sees to it that the bytes of a file are on disk. `place` is what it is called in errors.
///
/// # Errors
/// [`Kind::Io`] naming `place`.
pub(crate) fn sync_file(path: &Path, place: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).open(path);
    file.and_then(|file| file.sync_all()).map_err(|error| Error::io(place, "write", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_bytes_and_stops_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes = vec![7; CHUNK + 5];
        std::fs::write(&path, &bytes).unwrap();
        let stop = Stop::new();
        assert_eq!(hash_file(&path, &stop).unwrap(), (bytes.len() as u64, blake3::hash(&bytes)));
        stop.stop();
        assert!(hash_file(&path, &stop).unwrap_err().is_interrupted());
        sync_file(&path, &path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_and_folders_are_no_shards() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/hosts", &link).unwrap();
        for path in [link.as_path(), folder.path()] {
            let error = hash_file(path, &Stop::new()).unwrap_err().to_string();
            assert!(error.contains("is no regular file"), "{error}");
        }
    }
}
