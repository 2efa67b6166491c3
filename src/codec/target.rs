//! What a decoded image is to be.

use super::RawForm;

/// What a [`Decoder`](super::Decoder) makes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Size, channels, element type and layout.
    pub form: RawForm,
    /// How pictures of other sizes come to that size.
    pub fit: Fit,
}

/// How a picture comes to the size of a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// It has that size, or it is an error.
    Exact,
    /// It is resized, with its shape kept, until it just covers the target, and what is too much is
    /// cut off evenly on both sides. Bilinear, antialiased: torchvision's `Resize(side)` and
    /// `CenterCrop(side)` of a Pillow image, for sides that need not be equal.
    Cover,
}
