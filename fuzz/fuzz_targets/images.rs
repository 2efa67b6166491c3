//! The shard that lists image files. The files are not there, so this is about where they would be.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use genset::shard::images::{ImagesReader, create};
use genset_fuzz::Valid;
use libfuzzer_sys::fuzz_target;

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    Valid::new(|file, form, samples, said| create(folder.path(), file, form, samples, said))
});

fuzz_target!(|input: &[u8]| {
    let folder = Path::new("folder-that-is-not-there");
    let open = |file, form: &_, samples| ImagesReader::open(folder, file, form, samples);
    let Some(shard) = VALID.read(input, open) else { return };
    for position in 0..6 {
        assert!(shard.verify(position).is_err(), "there are no files");
        let _ = shard.parameters(position);
    }
});
