//! What is written is read, by this reader and by the format's own; what is broken is refused.

mod hostile;
mod round_trip;

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _};
use std::ops::Range;

use super::{SafetensorsReader, create};
use crate::error::Result;
use crate::shard::samples::Sample;
use crate::shard::{MappedFile, ShardForm};

fn metadata() -> BTreeMap<String, String> {
    [("digest", "00ff"), ("note", "\"quotes\" & \u{e9}\n")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The bytes of a shard of made-up samples.
fn shard(form: &ShardForm, samples: Range<u64>) -> Vec<u8> {
    let file = tempfile::tempfile().unwrap();
    let mut writer = create(file.try_clone().unwrap(), form, samples.clone(), &metadata()).unwrap();
    for index in samples {
        Sample::make(form, index).put(&mut *writer).unwrap();
    }
    writer.finish().unwrap();
    read_all(file)
}

fn read_all(mut file: std::fs::File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn open(bytes: Vec<u8>, form: &ShardForm, samples: Range<u64>) -> Result<SafetensorsReader> {
    SafetensorsReader::open(MappedFile::from_bytes("shard.safetensors", bytes), form, samples)
}
