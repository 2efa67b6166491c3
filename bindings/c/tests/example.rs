//! The example in C delivers what the library in Rust delivers.
#![cfg(unix)]

mod common;

use std::fmt::Write as _;

use common::{LINKS, compiled, run};
use genset::Dataset;
use genset::load::Options;

fn options(settings: &[&str]) -> Options {
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    Options { settings, ..Options::default() }
}

/// FNV-1a, 64 bits.
fn checksum(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What the example prints, computed here.
fn expected() -> String {
    let open = |settings| Dataset::open_with("builtin:digits", options(settings));
    let refused = open(&["samples=1000", "sede=7"]).unwrap_err();
    let advice = refused.advice().unwrap();
    let dataset = open(&["samples=1000"]).unwrap();
    let (name, digest) = (dataset.name(), dataset.digest());
    let mut text = format!(
        "refused: {}; {advice}\n\
         {name}: 1000 samples, 10 classes, digest {digest}\n\
         broken off at sample 448 of pass 0\n",
        refused.summary()
    );
    let mut passes = [(0xcbf2_9ce4_8422_2325, Vec::new()), (0xcbf2_9ce4_8422_2325, Vec::new())];
    for batch in dataset.loader().epochs(2).rank(0, 1).build().unwrap() {
        let batch = batch.unwrap();
        let (hash, labels) = &mut passes[usize::try_from(batch.epoch()).unwrap()];
        *hash = checksum(*hash, batch.images().bytes());
        labels.extend_from_slice(batch.labels().unwrap());
    }
    for (number, (hash, labels)) in passes.iter().enumerate() {
        let shown: Vec<String> = labels[..8].iter().map(i64::to_string).collect();
        let shown = shown.join(" ");
        writeln!(text, "pass {number}: checksum {hash:016x}, labels {shown}").unwrap();
    }
    text
}

#[test]
fn the_example_delivers_what_the_library_delivers() {
    let expected = expected();
    for link in LINKS {
        let folder = tempfile::tempdir().unwrap();
        let program = compiled("example/digits.c", link, folder.path());
        assert_eq!(run(&program, &[]), expected, "{link:?}");
    }
}
