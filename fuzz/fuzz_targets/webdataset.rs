//! A tar file: as a shard that this library wrote, and as any tool may have written it.
#![no_main]

use std::sync::LazyLock;

use genset::shard::MappedFile;
use genset::shard::webdataset::{WebDatasetReader, WebDatasetRecords, create};
use genset_fuzz::{Valid, choose, walk_records};
use libfuzzer_sys::fuzz_target;

static VALID: LazyLock<Valid> = LazyLock::new(|| Valid::new(create));

fuzz_target!(|input: &[u8]| {
    if let Some(shard) = VALID.read(input, WebDatasetReader::open) {
        for position in 0..6 {
            let _ = shard.parameters(position);
        }
        let _ = shard.metadata();
    }
    let Some((_, bytes)) = choose(input, VALID.files()) else { return };
    let files = vec![MappedFile::from_bytes("a.tar", bytes)];
    if let Ok(records) = WebDatasetRecords::from_files(files) {
        walk_records(&records);
    }
});
