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

/// The buffers that parts were cut out of, one for each group of views; `parts` in order, and each with a
/// part of each buffer.
pub(super) fn joined(parts: impl IntoIterator<Item = Vec<BytesMut>>) -> Vec<BytesMut> {
    let mut parts = parts.into_iter();
    let mut buffers = parts.next().unwrap_or_default();
    for part in parts {
        for (bytes, part) in buffers.iter_mut().zip(part) {
            debug_assert_eq!(bytes.as_ptr().wrapping_add(bytes.len()), part.as_ptr(), "no copy");
            bytes.unsplit(part);
        }
    }
    buffers
}
