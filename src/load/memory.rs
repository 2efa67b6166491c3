//! Memory for images.

use bytes::BytesMut;

use crate::process::prefer_large_pages;

/// Start of every buffer, in bytes: a cache line, and what DLPack asks for.
pub(super) const ALIGNMENT: usize = 64;

/// A zeroed, aligned buffer of `len` bytes, in large pages where it has many.
pub(super) fn aligned(len: usize) -> BytesMut {
    let mut buffer = BytesMut::zeroed(len + ALIGNMENT);
    let skip = buffer.as_ptr().align_offset(ALIGNMENT);
    let mut buffer = buffer.split_off(skip.min(ALIGNMENT));
    buffer.truncate(len);
    prefer_large_pages(&mut buffer);
    buffer
}
