//! An MDS shard: as one that this library wrote, and beside a list of shards as any tool may have
//! written both.
#![no_main]

use std::sync::LazyLock;

use genset::shard::MappedFile;
use genset::shard::mds::{MdsReader, MdsRecords, create};
use genset_fuzz::{Valid, choose, walk_records};
use libfuzzer_sys::fuzz_target;

static VALID: LazyLock<Valid> = LazyLock::new(|| Valid::new(create));

/// A list of one shard with an encoded image and a label, which none of the valid shards is: sizes
/// and columns are for the fuzzer to bring together.
const INDEX: &str = r#"{"version": 2, "shards": [{
    "column_encodings": ["png", "int"], "column_names": ["image", "label"],
    "column_sizes": [null, 8], "compression": null, "format": "mds", "hashes": [],
    "raw_data": {"basename": "shard.00000.mds", "bytes": 400, "hashes": {}}, "samples": 4,
    "size_limit": 67108864, "version": 2, "zip_data": null}]}"#;

static LIST: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| vec![INDEX.as_bytes().to_vec()]);

fuzz_target!(|input: &[u8]| {
    if let Some(shard) = VALID.read(input, MdsReader::open) {
        for position in 0..6 {
            let _ = shard.parameters(position);
        }
        let _ = shard.metadata();
    }
    // One half of the input changes the list, the other the file.
    let (list, file) = input.split_at(input.len() / 2);
    let Some((_, list)) = choose(list, &LIST) else { return };
    let Some((_, file)) = choose(file, VALID.files()) else { return };
    let mut give = |name: &str| Ok(MappedFile::from_bytes(name, file.clone()));
    if let Ok(records) = MdsRecords::from_bytes(&list, &mut give) {
        walk_records(&records);
    }
});
