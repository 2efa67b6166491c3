//! The C API of genset: datasets, loaders and batches behind opaque handles.
//!
//! A call comes in with pointers, which [`arguments`] turns into references or into errors, and goes to
//! the library inside of [`guard`], which lets no panic out. What comes back is a status, and an error
//! object for who wants it. `include/genset.h` is written from these files and says what callers must
//! keep to; `cbindgen.toml` has the part of it that is about all functions.
#![allow(
    clippy::missing_safety_doc,
    reason = "what callers must keep to is the same for all functions, and said once in the header"
)]

mod arguments;
mod guard;

// What C sees, in the order in which the header has it.
mod status;

mod options;

mod dataset;

mod loader;

mod batch;

mod error;

use std::ffi::c_char;

/// The version of the library, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn genset_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
