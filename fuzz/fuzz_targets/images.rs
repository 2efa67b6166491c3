//! The shard that lists image files. The files are not there, so this is about where they would be.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use genset::codec::Encoding;
use genset::shard::images::{ImagesReader, create};
use genset::shard::{MappedFile, ShardForm};
use genset_fuzz::{SAMPLES, choose, forms, shard, walk};
use libfuzzer_sys::fuzz_target;

static VALID: LazyLock<(Vec<ShardForm>, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let forms: Vec<_> =
        forms().into_iter().filter(|form| form.encoding != Encoding::Raw).collect();
    let file = |form: &ShardForm| {
        shard(form, |file| create(folder.path(), file, form, SAMPLES, &BTreeMap::new()))
    };
    let files = forms.iter().map(file).collect();
    (forms, files)
});

fuzz_target!(|input: &[u8]| {
    let (forms, valid) = &*VALID;
    let Some((choice, bytes)) = choose(input, valid) else { return };
    let file = MappedFile::from_bytes("shard", bytes);
    let folder = Path::new("folder-that-is-not-there");
    let Ok(shard) = ImagesReader::open(folder, file, &forms[choice], SAMPLES) else { return };
    walk(&shard, &forms[choice]);
    for position in 0..6 {
        assert!(shard.verify(position).is_err(), "there are no files");
        let _ = shard.parameters(position);
    }
});
