//! A stream beside what is read from disk: `genset bench --against`, `--exports`.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::Path;

use common::{DIGITS, genset, json};
use genset::bench::{Exports, Origin, Rival, Settings, compare};
use genset::load::{LoaderBuilder, Options, Stop};
use serde_json::Value;
use tempfile::TempDir;

/// As little as can be measured.
const LITTLE: [&str; 8] = ["--rounds", "2", "--seconds", "0.05", "--workers", "1", "--batch", "64"];

const NAMES: [&str; 5] =
    ["safetensors, raw", "MDS, raw", "WebDataset, JPEG", "JPEG folder", "PNG folder"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `bench` says of digits with `more`.
#[track_caller]
fn bench(recipe: &str, more: &[&str]) -> Value {
    let output =
        genset().args(["bench", recipe, "--json"]).args(LITTLE).args(more).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said, "");
    json(&output.stdout)
}

#[track_caller]
fn fails(code: i32, arguments: &[&str], words: &[&str]) {
    let output = genset().arg("bench").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for words in words {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// 300 digits in every format.
#[track_caller]
fn exported(folder: &TempDir, more: &[&str]) -> Value {
    let mut arguments = vec!["--exports", "--folder", text(folder.path())];
    arguments.extend(more);
    bench(DIGITS, &arguments)
}

#[test]
fn the_stream_is_measured_beside_its_own_samples_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("plot.svg");
    let kept = tempfile::tempdir().unwrap();
    let said = exported(&kept, &["--samples", "300", "--plot", text(&plot)]);
    // What there was before is there as before.
    for key in ["images_per_second", "ceiling_images_per_second", "efficiency", "peak_rss_bytes"] {
        assert!(said[key].as_f64().unwrap() > 0.0, "{key}: {said}");
    }
    let live = &said["live"];
    assert_eq!((live["name"].as_str(), live["origin"].as_str()), (Some("digits"), Some("live")));
    assert_eq!(live["ratio_to_live"], 1.0);
    assert!(live["bytes_on_disk"].as_u64().unwrap() > 100_000);
    assert_eq!(live["bytes_a_sample"], 2.0 * 28.0 * 28.0);
    assert!(live["break_even"].is_null());

    let against = said["against"].as_array().unwrap();
    let names: Vec<_> = against.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    assert_eq!(said["absent"], Value::Array(vec![]));
    for one in against {
        assert_eq!((one["origin"].as_str(), one["samples"].as_u64()), (Some("export"), Some(300)));
        assert_eq!((one["views"].as_u64(), &one["image"]), (Some(2), &live["image"]));
        let rate = one["images_per_second"].as_f64().unwrap();
        let rounds: Vec<f64> = serde_json::from_value(one["rounds"].clone()).unwrap();
        assert_eq!(rounds.len(), 2);
        assert!((rounds[0] + rounds[1]) / 2.0 - rate < 1.0, "{one}");
        for key in ["ratio_to_live", "first_batch_ms", "open_ms", "store_microseconds_an_image"] {
            assert!(one[key].as_f64().unwrap() > 0.0, "{key}: {one}");
        }
        if cfg!(target_os = "linux") {
            assert!(one["cpu_microseconds_an_image"].as_f64().unwrap() > 0.0, "{one}");
        }
        assert!(one["shuffled"]["images_per_second"].as_f64().unwrap() > 0.0, "{one}");
        assert!(one["break_even"]["generating_is_cheaper"].is_string(), "{one}");
        let (bytes, each) = (&one["bytes_on_disk"], one["bytes_a_sample"].as_f64().unwrap());
        assert!((bytes.as_f64().unwrap() / 300.0 - each).abs() < 1e-6);
        let fits = live["bytes_on_disk"].as_f64().unwrap() / each;
        assert!((one["samples_in_generator"].as_f64().unwrap() - fits).abs() < 1e-6);
    }
    // Raw shards, and no others, lie as they are delivered, and are at least as large.
    assert!(against[0]["without_copy"]["images_per_second"].as_f64().unwrap() > 0.0);
    assert!(against[1..].iter().all(|one| one["without_copy"].is_null()));
    assert!(against[..2].iter().all(|one| one["bytes_a_sample"].as_f64().unwrap() >= 1568.0));

    let svg = fs::read_to_string(&plot).unwrap();
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    assert_eq!(parsed.root_element().tag_name().name(), "svg");
    let words: Vec<_> = parsed.descendants().filter_map(|node| node.text()).collect();
    assert!(NAMES.iter().all(|name| words.contains(name)), "{words:?}");

    // The same folder again: what is there is read, and says nothing of what it took to write.
    let again = exported(&kept, &[]);
    for one in again["against"].as_array().unwrap() {
        assert_eq!(one["samples"], 300);
        assert!(one["store_microseconds_an_image"].is_null(), "{one}");
        assert!(one["break_even"].is_null(), "{one}");
    }
    // What is named stands for itself: it was there before.
    let shards = kept.path().join("safetensors");
    let named = bench(DIGITS, &["--against", text(&shards), "--against", "builtin:fashion"]);
    let [shards, fashion] = &named["against"].as_array().unwrap()[..] else { panic!("{named}") };
    assert_eq!(
        (shards["name"].as_str(), shards["origin"].as_str()),
        (Some("safetensors"), Some("dataset"))
    );
    assert!(shards["break_even"].is_object() && shards["without_copy"].is_object());
    assert!(fashion["break_even"].is_null(), "{fashion}");
    assert!(fashion["shuffled"].is_null() && fashion["bytes_on_disk"].is_u64(), "{fashion}");

    stored(&kept.path().join("png"));
}

/// A benchmark of what is stored has no ceiling, and says so.
fn stored(path: &Path) {
    let said = bench(text(path), &["--against", text(path)]);
    assert!(said["images_per_second"].as_f64().unwrap() > 0.0);
    for key in [
        "ceiling_images_per_second",
        "efficiency",
        "generated_images_per_second",
        "block",
        "runtime",
    ] {
        assert!(said[key].is_null(), "{key}: {said}");
    }
    assert!(said["live"]["bytes_on_disk"].is_null());
    assert!(said["against"][0]["break_even"].is_null(), "{said}");
    let output = genset().args(["bench", text(path)]).args(LITTLE).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("delivered") && !table.contains("ceiling"), "{table}");
    fails(2, &[text(path), "--exports", "--seconds", "60"], &["has no generator"]);
}

#[test]
fn what_cannot_hold_the_images_is_absent_and_says_why_and_nothing_is_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let mut command = genset();
    command.args(["bench", DIGITS, "--exports", "--samples", "64", "--set", "output.dtype=f32"]);
    let output = command.args(LITTLE).env("TMPDIR", place.path()).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for words in [
        "the stream",
        "safetensors, raw",
        "  without a copy",
        "PNG folder is not there: png can not hold images of type f32",
        "64 samples were exported, and removed",
        "samples in ",
        "generating is cheaper",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    // ONNX Runtime may leave a file of its own.
    let left = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("genset")));
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_measured() {
    fails(1, &[DIGITS, "--seconds", "60", "--against", "no/such.toml"], &["no/such.toml"]);
    let nowhere = [DIGITS, "--seconds", "60", "--exports", "--plot", "no/such/plot.svg"];
    fails(1, &nowhere, &["plot.svg"]);
    let nowhere = [DIGITS, "--seconds", "60", "--exports", "--folder", "/dev/null/here"];
    fails(1, &nowhere, &["/dev/null/here"]);
    fails(2, &[DIGITS, "--plot", "plot.svg"], &["--against"]);
    fails(2, &[DIGITS, "--samples", "5"], &["--exports"]);
    fails(2, &[DIGITS, "--folder", "here"], &["--exports"]);
    fails(2, &[DIGITS, "--exports", "--samples", "0"], &["--samples"]);
}

#[test]
fn images_of_another_size_are_brought_to_the_generators() {
    let (dataset, folder) = (common::open(DIGITS, &[]), tempfile::tempdir().unwrap());
    let set_up = |builder: LoaderBuilder| builder.workers(1).rank(0, 1).batch(32);
    let exports = Exports { folder: folder.path().into(), samples: 64, stop: Stop::new() };
    let (rivals, absent) = exports.write(&dataset, &set_up, &mut |_, _| {}).unwrap();
    assert!(absent.is_empty() && rivals.iter().all(|rival| rival.origin == Origin::Export));
    let own = rivals[0].path.clone();
    let open = |image| Rival::open(&own, image, Options::default()).unwrap();
    let (same, other) = (open([1, 28, 28]), open([3, 16, 20]));
    assert!(same.mapped && !other.mapped);
    assert_eq!(same.bytes, rivals[0].bytes);
    let group = &other.dataset.forms()[0];
    assert_eq!((group.views, group.form.axes()), (2, [3, 16, 20]));

    let settings =
        Settings { rounds: 1, round: std::time::Duration::from_millis(10), ..Settings::default() };
    let mut told = Vec::new();
    let rivals = [same, other];
    let compared = compare(&dataset, &rivals, &set_up, &settings, &Stop::new(), &mut |n, of| {
        told.push((n, of));
    })
    .unwrap();
    // The stream, three orders of what lies ready, two of what is resized.
    assert_eq!(told, [1, 2, 3, 4, 5, 6].map(|n| (n, 6)));
    assert_eq!(compared.against[1].image, [3, 16, 20]);
    let stop = Stop::new();
    stop.stop();
    let error = compare(&dataset, &rivals, &set_up, &settings, &stop, &mut |_, _| {}).unwrap_err();
    assert!(error.is_interrupted(), "{error}");
}
