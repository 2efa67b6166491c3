//! One function for each reader of files that others may have written: it makes a file of the bytes
//! of a fuzzer, and asks the reader for everything.
//!
//! Errors are answers. Panics, hangs, wild reads and memory without bound are findings.
//!
//! Valid files are made here, in memory, once a run; a fuzzer's bytes say what is changed in them.
//! So every input is close to a file that is read to its end.

mod change;
mod data;
mod models;
mod pictures;
mod shards;
mod texts;
mod walk;

pub use change::random;

/// A reader, as a function of a fuzzer's bytes.
pub type Reader = fn(&[u8]);

/// Every reader by the name of its target.
pub const READERS: [(&str, Reader); 12] = [
    ("safetensors", shards::safetensors),
    ("images", shards::images),
    ("webdataset", shards::webdataset),
    ("mds", shards::mds),
    ("manifest", texts::manifest),
    ("recipe", texts::recipe),
    ("decode", pictures::decode),
    ("model", models::model),
    ("idx", data::idx),
    ("numpy", data::numpy),
    ("cifar", data::cifar),
    ("tar", data::tar),
];

/// Gives the reader `name` an input.
///
/// # Panics
/// If there is no such reader, or the input is a finding.
pub fn read(name: &str, input: &[u8]) {
    let found = READERS.iter().find(|(own, _)| *own == name);
    found.unwrap_or_else(|| panic!("there is no reader {name}")).1(input);
}
