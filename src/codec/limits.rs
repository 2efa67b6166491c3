//! How large an image may be.

use crate::error::{Error, Kind, Result};

/// The longest side of an image that is read or written: what JPEG can say.
pub const MAX_SIDE: usize = 65_535;

/// The most pixels of an image that is decoded: 134 million, 400 MB as RGB. A file of a few
/// kilobytes may claim any size.
pub const MAX_PIXELS: usize = 1 << 27;

/// Refuses an image that is empty or larger than the limits.
///
/// # Errors
/// [`Kind::Sample`] if a side is zero, [`Kind::Limit`] if it is too large.
pub(super) fn check(height: usize, width: usize) -> Result<()> {
    if height == 0 || width == 0 {
        return Err(Error::new(Kind::Sample, format!("the image has no pixels: {height}x{width}")));
    }
    let pixels = height.checked_mul(width);
    if height > MAX_SIDE || width > MAX_SIDE || pixels.is_none_or(|pixels| pixels > MAX_PIXELS) {
        return Err(Error::new(
            Kind::Limit,
            format!(
                "an image of {height}x{width} pixels is more than is decoded: sides up to \
                 {MAX_SIDE}, {MAX_PIXELS} pixels together"
            ),
        )
        .help("make it smaller, or take it out of the data"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_overflow_or_are_empty_are_refused() {
        assert!(check(1, MAX_SIDE).is_ok());
        assert!(check(1 << 13, 1 << 14).is_ok());
        assert!(check((1 << 13) + 1, 1 << 14).unwrap_err().is_limit());
        assert!(check(usize::MAX, usize::MAX).unwrap_err().is_limit());
        assert_eq!(check(0, 5).unwrap_err().kind(), Kind::Sample);
    }
}
