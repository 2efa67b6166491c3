//! `kill -9` at any moment costs what was being written, and nothing else.

use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::command::genset;
use super::*;

/// Kills of exports of each format: fifty in all.
const KILLS: [(&str, u32); 4] =
    [("safetensors", 14), ("webdataset", 12), ("mds", 12), ("images", 12)];
/// Shards of one export.
const SHARDS: u64 = 30;

/// The command, for many small shards.
fn export(folder: &Path, format: &str) -> Command {
    let mut command = genset();
    command
        .args(["export", common::DIGITS, "--format", format, "--shard-samples", "32"])
        .args(["--samples", &(SHARDS * 32).to_string(), "--workers", "1", "--batch", "32"])
        .args(["--images", "png", "--parameters", "--rank", "0", "--world-size", "1", "-o"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn an_export_killed_at_fifty_random_moments_is_the_same_bytes() {
    let mut seed = 1_u64;
    for (format, quota) in KILLS {
        let whole = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        assert!(export(whole.path(), format).status().unwrap().success());
        let all = begun.elapsed();
        let (mut kills, mut exports) = (0, 0);
        while kills < quota {
            let folder = tempfile::tempdir().unwrap();
            exports += 1;
            loop {
                let before = shards(folder.path());
                // By Knuth's congruential generator: any moment, from the start of the process on. Half
                // the time of a whole export, so that it takes several to come to its end.
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let part = f64::from(u32::try_from(seed >> 32).unwrap()) / f64::from(u32::MAX);
                let moment = (kills < quota).then(|| all.mul_f64(part / 2.0));
                if let Some(status) = killed(export(folder.path(), format), moment) {
                    assert!(status.success());
                    break;
                }
                kills += 1;
                check_what_is_there(folder.path(), whole.path(), before);
            }
            assert_same(whole.path(), folder.path());
        }
        eprintln!("{format}: {kills} kills of {exports} exports");
    }
}

/// Runs a command and kills it at a moment after its start; how it ended if it did so before.
fn killed(mut command: Command, moment: Option<Duration>) -> Option<ExitStatus> {
    let (mut child, begun) = (command.spawn().unwrap(), Instant::now());
    let Some(moment) = moment else { return Some(child.wait().unwrap()) };
    while begun.elapsed() < moment {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    // It may have ended by itself in this moment.
    Some(child.wait().unwrap()).filter(ExitStatus::success)
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
