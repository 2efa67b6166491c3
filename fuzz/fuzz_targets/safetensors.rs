//! A safetensors shard, opened in one of several forms.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use genset::shard::safetensors::{SafetensorsReader, create};
use genset::shard::{MappedFile, ShardForm};
use genset_fuzz::{SAMPLES, choose, forms, shard, walk};
use libfuzzer_sys::fuzz_target;

static VALID: LazyLock<(Vec<ShardForm>, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let file = |form: &ShardForm| {
        shard(form, |file| create(file, form, SAMPLES, &BTreeMap::new()))
    };
    let files = forms().iter().map(file).collect();
    (forms(), files)
});

fuzz_target!(|input: &[u8]| {
    let (forms, valid) = &*VALID;
    let Some((choice, bytes)) = choose(input, valid) else { return };
    let unchanged = bytes == valid[choice];
    let opened =
        SafetensorsReader::open(MappedFile::from_bytes("shard", bytes), &forms[choice], SAMPLES);
    assert!(opened.is_ok() || !unchanged, "{opened:?}");
    let Ok(shard) = opened else { return };
    walk(&shard, &forms[choice]);
    for position in 0..6 {
        let _ = shard.parameters(position);
    }
    let _ = shard.metadata("format");
});
