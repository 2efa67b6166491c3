//! An audit keeps its word: a generator that memorised is found, copies are named and can be
//! excluded, honest images raise no alarm, and what cannot be audited is refused with a way out.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{DIGITS, digests, genset, json, open, stream};
use serde_json::Value;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit").join(name)
}

/// Digits of a seed as shards of one image a sample.
fn digits(folder: &TempDir, seed: u64, samples: u64) -> PathBuf {
    let path = folder.path().join(format!("digits-{seed}-{samples}"));
    let output = genset()
        .args(["export", DIGITS, "--samples", &samples.to_string(), "-o"])
        .arg(&path)
        .args(["--set", "views.count=1", "--set", "views.latent=[]"])
        .args(["--set", &format!("seed={seed}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// What an audit of `recipe` says with this exit code.
#[track_caller]
fn audit(code: i32, recipe: &str, real: &Path, held_out: &Path, more: &[&str]) -> Value {
    let output = genset()
        .args(["audit", recipe, "--json", "--against"])
        .arg(real)
        .arg("--held-out")
        .arg(held_out)
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(code), ""), "{more:?}");
    json(&output.stdout)
}

fn closest(report: &Value) -> Vec<u64> {
    let pairs = report["spaces"][0]["copies"]["closest"].as_array().unwrap();
    pairs.iter().map(|pair| pair["index"].as_u64().unwrap()).collect()
}

#[test]
fn a_generator_that_has_memorised_is_found_and_its_copies_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("pairs.png");
    let recipe = fixture("memoriser.toml");
    let (real, held_out) =
        (fixture("real-images-idx3-ubyte.gz"), fixture("held-out-images-idx3-ubyte.gz"));
    let more = ["--samples", "2000", "--sheet", sheet.to_str().unwrap()];
    let report = audit(1, recipe.to_str().unwrap(), &real, &held_out, &more);
    assert_eq!(report["alarm"], true);
    let copies = &report["spaces"][0]["copies"];
    assert!(copies["suspects"].as_u64().unwrap() > 1000, "{copies}");
    assert!(copies["closer"][0]["p"].as_f64().unwrap() < 1e-6, "{copies}");
    assert_eq!(copies["closest"].as_array().unwrap().len(), 100);
    assert!(fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));

    // For people, the verdict stands at the end.
    let output = genset()
        .args(["audit", recipe.to_str().unwrap(), "--samples", "500", "--against"])
        .arg(&real)
        .arg("--held-out")
        .arg(&held_out)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.trim_end().lines().last().unwrap().starts_with("COPIES: "), "{text}");
}

#[test]
fn copies_are_named_and_gone_when_they_are_excluded() {
    let folder = tempfile::tempdir().unwrap();
    // The first 300 samples are the real images themselves.
    let (real, held_out) = (digits(&folder, 7, 300), digits(&folder, 8, 600));
    let found = audit(1, DIGITS, &real, &held_out, &["--samples", "2000"]);
    assert!(closest(&found).iter().all(|index| *index < 300), "{:?}", closest(&found));
    let least = found["spaces"][0]["copies"]["generated"]["distance"][0].as_f64().unwrap();
    assert!(least < 1e-6, "{least}");

    let all: Vec<String> = (0..300).map(|index| index.to_string()).collect();
    let exclude = format!("exclude=[{}]", all.join(","));
    let without = audit(0, DIGITS, &real, &held_out, &["--samples", "2000", "--set", &exclude]);
    assert_eq!(without["alarm"], false);
    assert_ne!(found["generated"]["digest"], without["generated"]["digest"]);
}

#[test]
fn what_is_excluded_changes_and_nothing_else_does() {
    let plain = open(DIGITS, &["samples=96"]);
    let excluding = open(DIGITS, &["samples=96", "exclude=[5, 40, 40]"]);
    assert_ne!(plain.digest(), excluding.digest());
    let of = |dataset: &genset::Dataset| {
        let batches = stream(dataset.loader().batch(32).workers(2));
        let made: Vec<String> = digests(&batches).iter().map(|sample| sample.blake3).collect();
        let labels: Vec<i64> =
            batches.iter().flat_map(|batch| batch.labels().unwrap().to_vec()).collect();
        (made, labels)
    };
    let ((before, labels), (after, same)) = (of(&plain), of(&excluding));
    assert_eq!(labels, same, "labels stay");
    let changed: Vec<usize> = (0..96).filter(|index| before[*index] != after[*index]).collect();
    assert_eq!(changed, [5, 40]);
    // Random access gives what the stream gives.
    let batch = excluding.get(40).unwrap();
    assert_eq!(digests([&batch]).iter().next().unwrap().blake3, after[40]);
}

#[test]
fn honest_images_raise_no_alarm_and_threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (real, held_out) = (digits(&folder, 7, 600), digits(&folder, 8, 600));
    let say = |workers: &str| {
        let more = ["--set", "seed=9", "--samples", "600", "--workers", workers];
        audit(0, DIGITS, &real, &held_out, &more)
    };
    let report = say("1");
    assert_eq!(report, say("3"));
    let variety = &report["spaces"][0]["variety"];
    assert_eq!(variety["images"], 600);
    // The same generator makes all three, so they are alike in everything.
    for measure in ["precision", "recall", "coverage"] {
        let of = |of: &str| variety[of][measure]["value"].as_f64().unwrap();
        assert!((of("generated") - of("held_out")).abs() < 0.1, "{measure}: {variety}");
    }
    assert!(report["balance"]["p"].as_f64().unwrap() > 1e-4, "{}", report["balance"]);
    assert_eq!(report["balance"]["classes"].as_array().unwrap().len(), 10);

    // Without images to hold out, some of the real ones are.
    let output = genset()
        .args(["audit", DIGITS, "--set", "seed=9", "--samples", "600", "--json", "--against"])
        .arg(&real)
        .output()
        .unwrap();
    let report = json(&output.stdout);
    assert_eq!(report["held_out_of_real"], true);
    assert_eq!(
        (&report["held_out"]["images"], &report["real"]["images"]),
        (&100.into(), &500.into())
    );
}

#[test]
fn an_encoder_is_a_space_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (real, held_out) = (digits(&folder, 7, 300), digits(&folder, 8, 300));
    let encoder = folder.path().join("encoder.onnx");
    let made = genset()
        .args(["encoder", "conv-small", "--channels", "1", "--size", "28", "-o"])
        .arg(&encoder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let more = ["--samples", "1000", "--encoder", encoder.to_str().unwrap()];
    let report = audit(1, DIGITS, &real, &held_out, &more);
    let spaces = report["spaces"].as_array().unwrap();
    assert_eq!(spaces.len(), 2);
    assert!(spaces[1]["name"].as_str().unwrap().contains("encoder.onnx"), "{}", spaces[1]["name"]);
    // Copies are copies in both.
    assert!(spaces.iter().all(|space| space["copies"]["alarm"] == true));
    assert!(spaces[1]["copies"]["level"].as_f64() < Some(0.01));
}

#[test]
fn what_cannot_be_audited_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (real, few) = (digits(&folder, 7, 300), digits(&folder, 8, 60));
    let clothes = fixture("real-images-idx3-ubyte.gz");
    let fails = |code: i32, arguments: &[&str], words: &[&str]| {
        let output = genset().arg("audit").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
        for word in words {
            assert!(said.contains(word), "{said} lacks {word}");
        }
    };
    let (real, few) = (real.to_str().unwrap(), few.to_str().unwrap());
    let clothes = clothes.to_str().unwrap();
    fails(2, &[DIGITS, "--against", real, "--held-out", few], &["60 held-out images", "100"]);
    fails(2, &[DIGITS, "--against", real, "--level", "1.5"], &["level of 1.5"]);
    fails(2, &[DIGITS, "--against", real, "--neighbours", "1"], &["at least 2"]);
    fails(2, &[DIGITS, "--against", real, "--range=-1,1"], &["--encoder"]);
    fails(2, &[DIGITS, "--against", DIGITS, "--limit", "9"], &["views of each"]);
    let size = ["--against", clothes, "--set", "source.size=32"];
    fails(2, &[&[DIGITS], &size[..]].concat(), &["[1, 28, 28]", "[1, 32, 32]", "source.size=28"]);
    fails(1, &[DIGITS, "--against", real, "--memory", "1"], &["--memory"]);
    fails(1, &[DIGITS, "--against", "nowhere"], &["nowhere"]);
}
