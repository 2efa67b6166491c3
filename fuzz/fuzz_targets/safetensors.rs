//! A safetensors shard.
#![no_main]

use std::sync::LazyLock;

use genset::shard::safetensors::{SafetensorsReader, create};
use genset_fuzz::Valid;
use libfuzzer_sys::fuzz_target;

static VALID: LazyLock<Valid> = LazyLock::new(|| Valid::new(create));

fuzz_target!(|input: &[u8]| {
    let Some(shard) = VALID.read(input, SafetensorsReader::open) else { return };
    for position in 0..6 {
        let _ = shard.parameters(position);
    }
    let _ = shard.metadata("format");
});
