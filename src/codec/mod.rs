//! Pictures as files hold them: raw elements, JPEG, PNG, WebP, in and out.
//!
//! A [`Picture`] is one encoded image and says in which form it is. A [`Decoder`] writes it into
//! the place where it is wanted, with the size, channels and layout that are wanted there; an
//! [`Encoding`] makes the bytes of a file of delivered images. The room is pure: no files, no
//! threads. What it is given may be hostile: sizes are checked before anything is allocated.

mod channels;
mod decoder;
mod encoding;
mod fit;
mod jpeg;
mod limits;
mod opened;
mod picture;
mod png;
mod raw;
mod target;
#[cfg(test)]
mod tests;
#[cfg(feature = "turbojpeg")]
mod turbo;
mod webp;

pub use decoder::Decoder;
pub use limits::{MAX_PIXELS, MAX_SIDE};
pub use opened::size;
pub use picture::{Encoding, Form, Picture, RawForm};
pub use target::{Fit, Target};
