//! Pictures as files hold them: raw elements, JPEG, PNG, WebP, in and out.
//!
//! A [`Picture`] is one encoded image and says in which form it is. A `Decoder` writes it into
//! the place where it is wanted, with the size, channels and layout that are wanted there; an
//! [`Encoding`] makes the bytes of a file of delivered images. The room is pure: no files, no
//! threads. What it is given may be hostile: sizes are checked before anything is allocated.

mod picture;

pub use picture::{Encoding, Form, Picture, RawForm};
