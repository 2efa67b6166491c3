//! The border: no panic leaves the library, and every failure has a status.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use genset::Kind;

use crate::error::Error;
use crate::status::Status;

/// Does the work of a call. A failure, or a panic, becomes a status and an error in `place`.
///
/// # Safety
/// `place` is null or valid for a write.
pub(crate) unsafe fn guarded(
    place: *mut *mut Error,
    work: impl FnOnce() -> Result<Status, Error>,
) -> Status {
    // What a panic leaves half done is behind a lock that is poisoned by it.
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)));
    let (status, error) = match done {
        Ok(status) => (status, None),
        Err(error) => (error.status(), Some(error)),
    };
    if !place.is_null() {
        let error = error.map_or(std::ptr::null_mut(), |error| Box::into_raw(Box::new(error)));
        // SAFETY: the caller promises it.
        unsafe { place.write(error) };
    }
    status
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    genset::Error::new(Kind::Worker, format!("genset panicked: {said}"))
        .help("this is a defect of genset: please report it")
        .into()
}

/// Frees what a handle stands for.
///
/// # Safety
/// `handle` is null or from [`Box::into_raw`], and nobody uses it any more.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller promises it.
        let owned = unsafe { Box::from_raw(handle) };
        // There is nobody to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    }
}
