//! What the fuzz targets found or covered once, and a few thousand inputs that are always the same,
//! given to every reader: none panics. `fuzz/README.md` says where the seeds come from.

use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Inputs that are made up for each reader.
const MADE_UP: u64 = 2_000;

#[test]
fn no_reader_panics_on_what_was_found_or_is_made_up() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, _) in fuzz::READERS {
        let read = |input: &[u8]| fuzz::read(name, input);
        let folder = seeds.join(name);
        let kept = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut paths: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
        paths.sort_unstable();
        assert!(!paths.is_empty(), "{name} has no seeds");
        // Shown if one of them panics.
        for path in paths {
            println!("{}", path.display());
            read(&std::fs::read(path).unwrap());
        }
        // Every valid file as it is: a choice without changes, for both halves.
        for choice in 0..16 {
            println!("{name}: valid file {choice}");
            read(&[choice, choice]);
            read(&[choice]);
        }
        for number in 0..MADE_UP {
            println!("{name}: made-up input {number}");
            read(&fuzz::random(number));
        }
    }
}
