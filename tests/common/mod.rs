//! What the integration tests share.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use genset::load::{LoaderBuilder, Options, SampleDigests};
use genset::runtime::{Runtime, Search};
use genset::{Batch, Dataset};
use tempfile::TempDir;

/// A generator that ships with genset; two views a sample.
pub const DIGITS: &str = "builtin:digits";

/// Options that install ONNX Runtime if there is none, with `settings` put over the recipe.
pub fn options(settings: &[&str]) -> Options {
    let search = Search { install: true, say: |line| eprintln!("{line}"), ..Search::default() };
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    Options { search, settings, ..Options::default() }
}

/// A recipe, with settings put over it.
#[track_caller]
pub fn open(recipe: impl AsRef<Path>, settings: &[&str]) -> Dataset {
    Dataset::open_with(recipe, options(settings)).unwrap()
}

/// Everything that a loader delivers.
#[track_caller]
pub fn stream(loader: LoaderBuilder) -> Vec<Batch> {
    loader.build().unwrap().map(Result::unwrap).collect()
}

/// The digests of some batches.
pub fn digests<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> SampleDigests {
    let mut digests = SampleDigests::new();
    batches.into_iter().for_each(|batch| digests.add(batch));
    digests
}

/// Where the odd, faulty and hostile models are.
pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

/// A fresh folder that holds `tests/models/NAME.onnx` and what belongs to it.
pub fn folder_with(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in [format!("{name}.onnx"), format!("{name}.bin")] {
        let from = models().join(&file);
        if from.exists() {
            fs::copy(from, folder.path().join(file)).unwrap();
        }
    }
    folder
}

/// The same with `rest` as its recipe, `recipe.toml`, below the line that names the model.
pub fn folder_with_recipe(name: &str, rest: &str) -> TempDir {
    let folder = folder_with(name);
    let recipe = format!("generator.model = \"{name}.onnx\"\n{rest}");
    fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    folder
}

/// The command, on a machine that has an ONNX Runtime, outside of any world of ranks.
pub fn genset() -> assert_cmd::Command {
    Runtime::open(&options(&[]).search).unwrap();
    let mut command = assert_cmd::Command::new(assert_cmd::cargo_bin!("genset"));
    for name in ["RANK", "WORLD_SIZE", "ORT_LOG"] {
        command.env_remove(name);
    }
    command.timeout(std::time::Duration::from_secs(120));
    command
}

/// The one JSON document that a command printed.
#[track_caller]
pub fn json(stdout: &[u8]) -> serde_json::Value {
    let text = String::from_utf8_lossy(stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in: {text}"))
}

/// Threads of this process.
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}
