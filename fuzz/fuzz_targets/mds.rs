//! An MDS shard, and its list of shards.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| genset_fuzz::read("mds", input));
