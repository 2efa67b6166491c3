//! The manifest of a folder of shards.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| genset_fuzz::read("manifest", input));
