//! Whether a path is for WebDataset.

use std::path::Path;

use super::archive::Members;
use super::gather::split;
use crate::error::Result;
use crate::shard::MappedFile;

/// Whether `path` is a folder with tar files in it, a name with braces, or a tar file of which the
/// first two members share a key, as those of a sample do.
///
/// # Errors
/// Those of reading a tar file.
pub fn is_webdataset(path: &Path) -> Result<bool> {
    let is_tar = |path: &Path| path.extension().is_some_and(|extension| extension == "tar");
    if path.is_dir() {
        // What cannot be listed is somebody else's to complain about.
        let Ok(entries) = std::fs::read_dir(path) else { return Ok(false) };
        return Ok(entries.flatten().any(|entry| is_tar(&entry.path())));
    }
    if !path.exists() {
        return Ok(path.to_str().is_some_and(|name| name.contains('{') && name.contains(".tar")));
    }
    if !is_tar(path) {
        return Ok(false);
    }
    let file = MappedFile::open(path)?;
    let mut members = Members::new(file.bytes());
    let mut first = None;
    while let Some(member) = members.next()? {
        let Some((key, _)) = split(&member.name) else { continue };
        match &first {
            None => first = Some(key.to_owned()),
            Some(first) => return Ok(first == key),
        }
    }
    Ok(false)
}
