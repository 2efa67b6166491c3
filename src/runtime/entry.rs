//! Loads a library and asks it who it is, before `ort` does.
//!
//! `ort` panics when a library answers its first questions in an unexpected way. Here the same
//! questions are asked first, and every answer may be wrong.

use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::path::Path;

use ort::sys::OrtApiBase;

use super::OLDEST_MINOR;
use super::library::{bad, check_version};
use crate::Result;
use crate::error::ResultExt;

/// Loads `path` and gives its version, such as `1.31.1`.
///
/// The library stays loaded, also when it is refused: to unload it would run still more code of a
/// library that has just been found wanting.
///
/// # Errors
/// [`Kind::Runtime`](crate::Kind::Runtime) if it does not load, is not ONNX Runtime, or too old.
pub(super) fn load(path: &Path) -> Result<String> {
    ask(path).at(|| path.display())
}

fn ask(path: &Path) -> Result<String> {
    // SAFETY: loading runs the library's initialisers. The user named this file, installed it with
    // us or with Python, and `library::check` found it to be a whole ONNX Runtime for this machine.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| {
        // The linker's own words are in the cause.
        let cause = std::error::Error::source(&error);
        let text = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let error = bad(format!("it does not load: {text}")).because(error);
        if text.contains("libstdc++") {
            return error.help("install the C++ runtime (Debian: libstdc++6)");
        }
        error
    })?;
    // Never closed: see `open`.
    let library = ManuallyDrop::new(library);
    // SAFETY: this is the signature that every ONNX Runtime has had since 1.0.
    let entry =
        unsafe { library.get::<unsafe extern "C" fn() -> *const OrtApiBase>(b"OrtGetApiBase") }
            .map_err(|error| bad("it has no function OrtGetApiBase").because(error))?;
    // SAFETY: the function takes nothing and returns a pointer to a constant, or null.
    let base = unsafe { entry().as_ref() }.ok_or_else(|| bad("it offers no interface at all"))?;
    // SAFETY: the pointer is null or a text that lives as long as the library, which is for ever.
    let version = unsafe {
        let text = (base.GetVersionString)();
        if text.is_null() { None } else { Some(CStr::from_ptr(text)) }
    };
    let version = version
        .and_then(|text| text.to_str().ok())
        .ok_or_else(|| bad("it does not say which version it is"))?
        .to_owned();
    check_version(&version)?;
    // SAFETY: any number may be asked for; what is not offered is null.
    if unsafe { (base.GetApi)(OLDEST_MINOR) }.is_null() {
        return Err(bad(format!("this ONNX Runtime {version} does not offer API {OLDEST_MINOR}")));
    }
    Ok(version)
}
