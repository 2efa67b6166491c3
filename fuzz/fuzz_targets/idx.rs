//! IDX files, packed and not.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| genset_fuzz::read("idx", input));
