//! No panic leaves the library.
#![allow(dead_code, reason = "the border alone is tested, and it needs its neighbours")]

#[path = "../src/arguments.rs"]
mod arguments;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/guard.rs"]
mod guard;
#[path = "../src/status.rs"]
mod status;

use std::ffi::CStr;
use std::ptr;

use status::Status;

#[test]
fn a_panic_is_a_status_and_an_error() {
    let mut error = ptr::null_mut();
    // SAFETY: the place is there.
    let status = unsafe { guard::guarded(&raw mut error, || panic!("a defect, number {}", 7)) };
    assert_eq!(status, Status::Worker);
    // SAFETY: there is an error, which is freed after it is read.
    let message = unsafe { CStr::from_ptr(error::genset_error_message(error)) };
    assert_eq!(message.to_str(), Ok("genset panicked: a defect, number 7"));
    // SAFETY: it is not used any more.
    unsafe { error::genset_error_free(error) };
    // SAFETY: null is allowed.
    let status = unsafe { guard::guarded(ptr::null_mut(), || panic!("a defect")) };
    assert_eq!(status, Status::Worker);
}

#[test]
fn a_panic_in_freeing_stays_inside() {
    struct Defect;

    impl Drop for Defect {
        fn drop(&mut self) {
            panic!("a defect");
        }
    }

    // SAFETY: it is a box, and not used any more.
    unsafe { guard::free(Box::into_raw(Box::new(Defect))) };
}
