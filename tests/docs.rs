//! Blocks of shell in `docs/` run, in their order, as a reader would type them. What is meant to run is
//! marked as `sh`; a prompt, where there is one, tells commands from what they print.
#![cfg(all(feature = "cli", unix))]

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{DIGITS, genset};
use genset::runtime::Runtime;

/// Pages with such blocks.
const PAGES: [&str; 5] = ["directions", "own-generator", "real-data", "reproducibility", "shards"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// The commands of each block of a page.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(docs().join(page).with_extension("md")).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line == "```sh") {
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let typed: Vec<&str> = block.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
        blocks.push(if typed.is_empty() { block.join("\n") } else { typed.join("\n") });
    }
    blocks
}

/// Runs a page beside a generator, a recipe for it and photographs; gives what each block printed.
#[track_caller]
fn run(page: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/models/digits.onnx");
    fs::copy(model, place.join("model.onnx")).unwrap();
    fs::write(place.join("recipe.toml"), "samples = 2000\ngenerator.model = \"model.onnx\"\n")
        .unwrap();
    let one = ["--set", "views.count=1", "--set", "views.latent=[]", "--format", "images"];
    let photos = genset()
        .current_dir(place)
        .args(["export", DIGITS, "-o", "photos", "--samples", "60"])
        .args(one)
        .output()
        .unwrap();
    assert!(photos.status.success(), "{}", String::from_utf8_lossy(&photos.stderr));

    let programs = assert_cmd::cargo_bin!("genset").parent().unwrap();
    let paths = env::split_paths(&env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    let path = env::join_paths([programs.to_path_buf()].into_iter().chain(paths)).unwrap();
    // A cache of its own, so that nothing that is tuned stays.
    let cache = tempfile::tempdir().unwrap();
    let runtime = Runtime::open(&common::options(&[]).search).unwrap();
    let found = blocks(page);
    assert!(!found.is_empty(), "{page} has no blocks");
    let printed = found.iter().map(|block| {
        let output = assert_cmd::Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(place)
            .env("PATH", &path)
            .env("GENSET_CACHE", cache.path())
            .env("GENSET_ORT", runtime.path())
            .timeout(Duration::from_secs(400))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}:\n{block}\n\n{said}");
        String::from_utf8(output.stdout).unwrap()
    });
    printed.collect()
}

#[test]
fn a_generator_of_ones_own_is_inspected_seen_measured_and_tuned() {
    assert!(run("own-generator")[0].contains("efficiency"));
}

#[test]
fn shards_are_written_by_one_or_by_many_and_read_back() {
    let printed = run("shards");
    // What was read back is the same as what was streamed.
    let digests: Vec<&str> = printed[2].lines().filter(|line| !line.is_empty()).take(2).collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn digests_are_the_same_whatever_the_loader() {
    let printed = run("reproducibility");
    let lines: Vec<&str> = printed[0].lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    assert_eq!(first, second);
}

#[test]
fn directions_are_found() {
    run("directions");
}

#[test]
fn photographs_are_looked_at_compared_with_and_packed() {
    run("real-data");
}

#[test]
fn no_page_has_blocks_that_do_not_run() {
    let pages = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path());
    let mut with_blocks: Vec<String> = pages
        .filter(|page| page.extension().is_some_and(|extension| extension == "md"))
        .map(|page| page.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|page| !blocks(page).is_empty())
        .collect();
    with_blocks.sort_unstable();
    assert_eq!(with_blocks, PAGES);
}
