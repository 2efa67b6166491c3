//! `genset export` and `genset verify` as they are typed.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::*;

/// The command, outside of any world of ranks.
pub fn genset() -> Command {
    // Opens the runtime once, which installs it if it is not there.
    drop(common::genset());
    let mut command = Command::new(assert_cmd::cargo_bin!("genset"));
    command.env_remove("RANK").env_remove("WORLD_SIZE").stdin(Stdio::null());
    command
}

/// Exit code, stdout and stderr.
fn ran(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code().unwrap_or(-1), text(&output.stdout), said)
}

fn export(folder: &Path, more: &[&str]) -> Command {
    let mut command = genset();
    command.args(["export", common::DIGITS, "--shard-samples", "32", "--workers", "1", "-o"]);
    command.arg(folder).args(more);
    command
}

#[test]
fn an_export_reports_in_json_and_in_words() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("new/shards");
    let more = ["--samples", "100", "--json"];
    let (code, stdout, said) = ran(&mut export(&folder, &more));
    assert_eq!((code, &*said), (0, ""));
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let numbers = &document["export"];
    for (key, value) in [("shards", 4), ("resumed", 0), ("images", 200), ("samples", 100)] {
        assert_eq!(numbers[key], value, "{key}");
    }
    assert_eq!(numbers["complete"], true);
    assert!(numbers["bytes"].as_u64().unwrap() > 100 * 2 * 784);
    assert!(numbers["seconds"].as_f64().unwrap() > 0.0);
    assert!(numbers["images_per_second"].as_f64().unwrap() > 0.0);
    let (code, stdout, _) = ran(&mut export(&folder, &["--samples", "100"]));
    assert_eq!(code, 0);
    assert!(stdout.contains("has all 4 shards already"), "{stdout}");
    assert!(stdout.contains("is complete: 100 samples"), "{stdout}");
    let (code, stdout, _) = ran(&mut export(&folder, &["--samples", "200"]));
    assert_eq!(code, 0);
    assert!(
        stdout.contains("4 shards, 208 images") && stdout.contains("3 shards were"),
        "{stdout}"
    );
}

#[test]
fn ranks_come_from_arguments_or_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--samples", "100", "--rank", "1", "--world-size", "2"];
    let (code, stdout, _) = ran(&mut export(folder.path(), &more));
    assert_eq!(code, 0);
    assert!(stdout.contains("36 of 100 samples; other ranks make the rest"), "{stdout}");
    assert!(folder.path().join("manifest-1-of-2.json").exists());
    let mut other = export(folder.path(), &["--samples", "100"]);
    let (code, stdout, _) = ran(other.env("RANK", "0").env("WORLD_SIZE", "2"));
    assert_eq!(code, 0);
    assert!(stdout.contains("is complete: 100 samples"), "{stdout}");
    assert!(!folder.path().join("manifest-1-of-2.json").exists());
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (more, words) in [
        (&["--format", "parquet"][..], "unknown format `parquet`"),
        (&["--images", "gif"], "gif"),
        (&["--images", "jpeg:101"], "101"),
        (&["--shard-bytes", "many"], "is not a size, such as 256MiB"),
        (&["--set", "samples=endless"], "say how many samples to export: --samples N"),
        (&["--images", "jpeg", "--set", "output.dtype=f32"], "u8"),
        (&["--format", "images", "--images", "raw"], "raw"),
    ] {
        let (code, _, said) = ran(&mut export(folder.path(), more));
        assert_eq!(code, 2, "{more:?}: {said}");
        assert!(said.contains(words), "{said}");
    }
    assert!(!folder.path().join("manifest.json").exists());
}

#[test]
fn bytes_of_a_shard_are_those_of_images_before_they_are_encoded() {
    let counts = |images: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = genset();
        command.args(["export", common::DIGITS, "--samples", "300", "--shard-bytes", "160KiB"]);
        let (code, ..) = ran(command.args(["--images", images, "-o"]).arg(folder.path()));
        assert_eq!(code, 0);
        let shards = Shards::open(folder.path()).unwrap();
        shards.manifest().shards.iter().map(|shard| shard.count).collect::<Vec<_>>()
    };
    // 104 samples of two 784-byte images; whole blocks of 32 are 96.
    assert_eq!(counts("raw"), [96, 96, 96, 12]);
    assert_eq!(counts("png"), counts("raw"));
}

/// A file may become no larger than this: what a full disk does to a write, without one.
#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_named() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for format in ["safetensors", "webdataset", "mds"] {
        let place = folder.path().join(format);
        let limited = |blocks: &str| {
            let mut shell = Command::new("sh");
            shell
                .arg("-c")
                .arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""))
                .arg(assert_cmd::cargo_bin!("genset"))
                .args(["export", common::DIGITS, "--shard-samples", "256", "--workers", "1"])
                .args(["--samples", "1000", "--format", format, "--images", "raw", "-o"])
                .arg(&place)
                .env_remove("RANK")
                .env_remove("WORLD_SIZE");
            shell
        };
        let (code, _, said) = ran(&mut limited("64"));
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("{}/digits", place.display())), "{said}");
        assert!(said.contains("the same command goes on"), "{said}");
        let names: Vec<_> = tree(&place).into_keys().collect();
        assert_eq!(names, [Path::new("manifest.json")], "{said}");
        let (code, _, said) = ran(&mut limited("unlimited"));
        assert_eq!(code, 0, "{said}");
        let straight = whole.path().join(format);
        let mut command = genset();
        command.args(["export", common::DIGITS, "--shard-samples", "256", "--samples", "1000"]);
        command.args(["--format", format, "--images", "raw", "-o"]).arg(&straight);
        assert_eq!(ran(&mut command).0, 0);
        assert_same(&straight, &place);
    }
}

#[test]
fn ctrl_c_ends_an_export_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = genset();
    command
        .args(["export", common::DIGITS, "--set", "samples=endless", "--samples", "100000000"])
        .args(["--shard-bytes", "8MiB", "--workers", "1", "-o"])
        .arg(folder.path());
    let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let begun = std::time::Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("the same command goes on"), "{said}");
    let hidden = |path: &PathBuf| path.to_str().unwrap().starts_with('.');
    assert_eq!(tree(folder.path()).keys().filter(|path| hidden(path)).count(), 0);
}

#[test]
fn verify_ends_with_1_and_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ran(&mut export(folder.path(), &["--samples", "100"])).0, 0);
    let verify = |more: &[&str]| ran(genset().arg("verify").arg(folder.path()).args(more));
    let (code, stdout, _) = verify(&["--regenerate", "5"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("4 shards, 100 samples, 200 pictures"), "{stdout}");
    assert!(stdout.contains("5 samples made anew: 10 of 10 pictures equal"), "{stdout}");
    let shard = folder.path().join("digits-000002.safetensors");
    let mut bytes = fs::read(&shard).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&shard, bytes).unwrap();
    let (code, stdout, _) = verify(&["--json"]);
    assert_eq!(code, 1);
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["good"], false);
    assert_eq!(document["verified"]["faults"][0]["shard"], "digits-000002.safetensors");
    let (code, stdout, _) = verify(&[]);
    assert_eq!(code, 1);
    assert!(stdout.contains("digits-000002.safetensors: has other bytes"), "{stdout}");
    let (code, _, said) = ran(genset().arg("verify").arg(folder.path().join("none")));
    assert_eq!(code, 1);
    assert!(said.contains("none"), "{said}");
}
