//! What C gives: pointers that are looked at before they are followed.

use std::ffi::{CStr, CString, c_char};

use genset::{Error, Kind, Result};

fn wrong<T>(message: String) -> Result<T> {
    Err(Error::new(Kind::Argument, message))
}

/// What `pointer` points to.
///
/// # Safety
/// `pointer` is null, or valid for reads as long as the reference is used.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller promises it.
    unsafe { pointer.as_ref() }.map_or_else(|| wrong(format!("`{name}` is NULL")), Ok)
}

/// A list of `len` elements; `pointer` may be null if there are none.
///
/// # Safety
/// `pointer` is null, or valid for reads of `len` elements as long as the slice is used.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, len: usize, name: &str) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return wrong(format!("`{name}` is NULL, and is said to have {len} elements"));
    }
    let bytes = len.checked_mul(size_of::<T>());
    if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return wrong(format!("`{name}` is said to have {len} elements, which no memory holds"));
    }
    // SAFETY: the caller promises it, and no slice is larger.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// Text.
///
/// # Safety
/// `pointer` is null, or points to text that ends with a NUL and stays as long as it is used.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the caller promises it.
    unsafe { text_or_null(pointer, name) }?.map_or_else(|| wrong(format!("`{name}` is NULL")), Ok)
}

/// Text, or none.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn text_or_null<'a>(
    pointer: *const c_char,
    name: &str,
) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller promises it.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    match bytes.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => wrong(format!("`{name}` is not UTF-8: {}", bytes.to_string_lossy())),
    }
}

/// A list of texts.
///
/// # Safety
/// As [`slice`], and each element as [`text`].
pub(crate) unsafe fn texts<'a>(
    pointer: *const *const c_char,
    len: usize,
    name: &str,
) -> Result<Vec<&'a str>> {
    // SAFETY: the caller promises it.
    let pointers = unsafe { slice(pointer, len, name) }?;
    let each = pointers.iter().enumerate();
    // SAFETY: the caller promises it.
    each.map(|(i, &pointer)| unsafe { text(pointer, &format!("{name}[{i}]")) }).collect()
}

/// Where a caller wants something.
#[derive(Debug)]
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    /// # Safety
    /// `pointer` is null, or valid for writes as long as the place is used.
    pub(crate) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self> {
        if pointer.is_null() { wrong(format!("`{name}` is NULL")) } else { Ok(Self(pointer)) }
    }

    pub(crate) fn put(self, value: T) {
        // SAFETY: it is not null, and who made the place promised the rest.
        unsafe { self.0.write(value) };
    }
}

impl<T> Place<*mut T> {
    /// A place for a handle, null until there is one.
    ///
    /// # Safety
    /// As [`Place::new`].
    pub(crate) unsafe fn of_handle(pointer: *mut *mut T, name: &str) -> Result<Self> {
        // SAFETY: the caller promises it.
        let place = unsafe { Self::new(pointer, name) }?;
        // SAFETY: it is not null, and the caller promises the rest.
        unsafe { place.0.write(std::ptr::null_mut()) };
        Ok(place)
    }

    pub(crate) fn put_handle(self, value: T) {
        self.put(Box::into_raw(Box::new(value)));
    }
}

/// Text for C. A NUL inside of it would be its end there.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}
