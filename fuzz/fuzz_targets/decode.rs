//! JPEG, PNG and WebP files.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| genset_fuzz::read("decode", input));
