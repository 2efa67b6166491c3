//! `kill -9` at any moment costs what was being written, and nothing else.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::command::genset;
use super::*;

/// Kills, over all folders.
const KILLS: u64 = 50;
/// Shards of one export.
const SHARDS: u64 = 120;

/// The command; a hundred small shards.
fn export(folder: &Path, format: &str) -> Command {
    let mut command = genset();
    command
        .args(["export", common::DIGITS, "--format", format, "--shard-samples", "64"])
        .args(["--samples", &(SHARDS * 64).to_string(), "--workers", "1", "--batch", "64"])
        .args(["--images", "png", "--parameters", "--rank", "0", "--world-size", "1", "-o"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn an_export_killed_at_fifty_random_moments_is_the_same_bytes() {
    let formats = ["safetensors", "webdataset", "mds", "images"];
    let whole: Vec<_> = formats
        .iter()
        .map(|format| {
            let folder = tempfile::tempdir().unwrap();
            assert!(export(folder.path(), format).status().unwrap().success());
            folder
        })
        .collect();
    let (mut kills, mut folders, mut seed) = (0, 0, 1_u64);
    while kills < KILLS {
        let format = folders % formats.len();
        folders += 1;
        let folder = tempfile::tempdir().unwrap();
        loop {
            let before = shards(folder.path());
            let mut child = export(folder.path(), formats[format]).spawn().unwrap();
            // By a congruential generator: any moment from the start of the process on.
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let moment = Duration::from_millis((seed >> 33) % 500);
            let begun = Instant::now();
            let mut done = None;
            while done.is_none() && (begun.elapsed() < moment || kills == KILLS) {
                thread::sleep(Duration::from_millis(1));
                done = child.try_wait().unwrap();
            }
            if let Some(status) = done {
                assert!(status.success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            check_what_is_there(folder.path(), whole[format].path(), before);
        }
        assert_same(whole[format].path(), folder.path());
    }
    eprintln!("{kills} kills of {folders} exports");
}

/// Shards that the manifest lists.
fn shards(folder: &Path) -> usize {
    let path = folder.join("manifest.json");
    if !path.exists() {
        return 0;
    }
    genset::shard::Manifest::read(&path).unwrap().shards.len()
}

/// Whatever has a name is whole, and whatever is listed is there, and stays.
fn check_what_is_there(folder: &Path, whole: &Path, before: usize) {
    let there = shards(folder);
    assert!(there >= before, "{there} shards, {before} before");
    if there > 0 {
        let manifest = genset::shard::Manifest::read(&folder.join("manifest.json")).unwrap();
        for shard in &manifest.shards {
            let bytes = fs::read(folder.join(&shard.name)).unwrap();
            assert_eq!(blake3::hash(&bytes), shard.blake3, "{}", shard.name);
        }
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && !name.starts_with('.') && name != "manifest.json" {
            assert!(fs::read(&path).unwrap() == fs::read(whole.join(name)).unwrap(), "{name}");
        }
    }
}
