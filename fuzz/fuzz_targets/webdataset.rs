//! A tar file, as a shard that this library wrote and as any tool may have written it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| genset_fuzz::read("webdataset", input));
