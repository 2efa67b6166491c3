//! Errors as C sees them.

use std::ffi::{CString, c_char};
use std::ptr;

use crate::arguments::c_text;
use crate::guard;
use crate::status::Status;

/// What failed, where, and what to do about it.
#[derive(Debug, Clone)]
pub struct Error {
    status: Status,
    message: CString,
    advice: Option<CString>,
    sample: Option<u64>,
}

impl Error {
    pub(crate) fn status(&self) -> Status {
        self.status
    }
}

impl From<genset::Error> for Error {
    fn from(error: genset::Error) -> Self {
        Self {
            status: error.kind().into(),
            message: c_text(&error.summary()),
            advice: error.advice().map(c_text),
            sample: error.sample(),
        }
    }
}

/// The status that came with the error; that of success for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_error_status(error: *const Error) -> Status {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { error.as_ref() }.map_or(Status::Ok, Error::status)
}

/// What failed and where.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_error_message(error: *const Error) -> *const c_char {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.message.as_ptr())
}

/// The next step to take; NULL if none is known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_error_advice(error: *const Error) -> *const c_char {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    let advice = unsafe { error.as_ref() }.and_then(|error| error.advice.as_ref());
    advice.map_or(ptr::null(), |advice| advice.as_ptr())
}

/// Whether one sample is at fault, whose index goes to `sample` unless that is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_error_sample(error: *const Error, sample: *mut u64) -> bool {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    let index = unsafe { error.as_ref() }.and_then(|error| error.sample);
    if let Some(index) = index
        && !sample.is_null()
    {
        // SAFETY: the caller gives NULL or a place for a number.
        unsafe { sample.write(index) };
    }
    index.is_some()
}

/// Frees an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_error_free(error: *mut Error) {
    // SAFETY: the caller gives NULL or a handle that nobody will use any more.
    unsafe { guard::free(error) };
}
