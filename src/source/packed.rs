//! Files that may be compressed by gzip.

use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Kind, Result};
use crate::shard::MappedFile;

/// The most bytes that a compressed file may become: ten times what ImageNet at 64x64 has.
const MAX_UNPACKED: u64 = 1 << 34;

/// Opens a file: mapped, or unpacked to memory as [`unpack`] does.
///
/// # Errors
/// [`Kind::Io`] if it cannot be read or unpacked, [`Kind::Limit`] if it becomes too large.
pub(super) fn open(path: &Path) -> Result<MappedFile> {
    unpack(MappedFile::open(path)?)
}

/// A file as it is, or unpacked to memory if it begins as gzip does (RFC 1952).
///
/// # Errors
/// [`Kind::Io`] if it cannot be unpacked, [`Kind::Limit`] if it becomes too large.
pub(super) fn unpack(file: MappedFile) -> Result<MappedFile> {
    let path = file.path();
    if !file.bytes().starts_with(&[0x1f, 0x8b]) {
        return Ok(file);
    }
    let mut bytes = Vec::new();
    let mut reader = MultiGzDecoder::new(file.bytes()).take(MAX_UNPACKED + 1);
    reader.read_to_end(&mut bytes).map_err(|error| Error::io(path, "unpack", error))?;
    if bytes.len() as u64 > MAX_UNPACKED {
        let text = format!("{} unpacks to more than {MAX_UNPACKED} bytes", path.display());
        return Err(Error::new(Kind::Limit, text));
    }
    Ok(MappedFile::from_bytes(path, bytes))
}
