//! Providers are strict: what was asked for runs, or is an error with the command that would bring
//! it. Those that run agree with the CPU, and keep every promise about bytes.
//!
//! The tests with the OpenVINO provider need `genset runtime install openvino` and are ignored
//! without it being asked for: `cargo xtask test --only openvino` does both.
#![cfg(feature = "cli")]

mod common;

use std::process::Output;
use std::sync::OnceLock;
use std::time::Duration;

use common::{DIGITS, digests, stream};
use genset::load::Options;
use genset::runtime::{Provider, Runtime, Search};
use genset::{Batch, Dataset, Kind};
use serde_json::Value;
use tempfile::TempDir;

fn genset() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo_bin!("genset"));
    for name in ["GENSET_ORT", "ORT_DYLIB_PATH", "ORT_LOG", "NVIDIA_TF32_OVERRIDE"] {
        command.env_remove(name);
    }
    command.timeout(Duration::from_secs(60));
    command
}

/// The same where nothing is installed and there is no Python.
fn bare(cache: &TempDir) -> assert_cmd::Command {
    let mut command = genset();
    command.env("GENSET_CACHE", cache.path()).env("GENSET_PYTHON", cache.path().join("no-python"));
    command
}

/// The pinned library of the CPU provider, installed in the user's own cache if it is not there.
fn library() -> &'static str {
    static LIBRARY: OnceLock<String> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let output = genset().args(["runtime", "install"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn refused(output: &Output, wanted: &[&str]) {
    let stderr = text(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{stderr}");
    for wanted in wanted {
        assert!(stderr.contains(wanted), "`{wanted}` is not in: {stderr}");
    }
}

fn digest(command: &mut assert_cmd::Command, more: &[&str]) -> Output {
    command.args(["digest", DIGITS, "--count", "2"]).args(more).output().unwrap()
}

#[test]
fn an_absent_provider_is_an_error_with_the_command_that_brings_it() {
    let cache = tempfile::tempdir().unwrap();
    for (name, package) in [
        ("openvino", "openvino"),
        ("cuda", "cuda"),
        ("tensorrt", "cuda"),
        ("tensorrt-rtx", "tensorrt-rtx"),
    ] {
        let install = format!("genset runtime install {package}`");
        for list in [name.to_owned(), format!("{name},cpu"), format!("cpu,{name}")] {
            let output = digest(&mut bare(&cache), &["--provider", &list]);
            refused(&output, &[&format!("provider `{name}`"), &install]);
        }
    }
    // The others come with no package: only a build that was named can have them.
    let output = digest(&mut genset(), &["--provider", "coreml,cpu", "--ort", library()]);
    refused(&output, &["provider `coreml` is not in ONNX Runtime", "which has: ", "cpu", "--ort"]);
}

#[test]
fn a_runtime_that_was_named_stays_the_one_even_without_the_provider() {
    let cache = tempfile::tempdir().unwrap();
    let path = library();
    let output = digest(&mut bare(&cache), &["--provider", "cuda", "--ort", path]);
    refused(&output, &["provider `cuda` is not in ONNX Runtime", path, "install cuda"]);
}

#[test]
fn a_precision_that_a_provider_has_not_is_refused_before_anything_is_loaded() {
    // No runtime is here at all, and the error is another one.
    let cache = tempfile::tempdir().unwrap();
    let set = |precision: &str| format!("generator.precision={precision}");
    let output = digest(&mut bare(&cache), &["--set", &set("bf16")]);
    refused(&output, &["generator.precision: provider `cpu` cannot compute in bf16", "openvino"]);
    let output = digest(&mut bare(&cache), &["--set", &set("f16"), "--provider", "openvino"]);
    refused(&output, &["provider `openvino` cannot compute in f16", "tensorrt"]);
    let output = digest(&mut bare(&cache), &["--set", &set("f16"), "--provider", "cuda,cpu"]);
    refused(&output, &["provider `cuda` cannot compute in f16", "export the model in f16"]);
}

#[test]
fn an_option_that_nobody_takes_is_an_error() {
    let option =
        |option: &str| digest(&mut genset(), &["--ort", library(), "--provider-option", option]);
    refused(&option("cuda.devices=1"), &["provider `cuda` has no option `devices`", "device_id"]);
    refused(&option("cuda.device_id=one"), &["cannot be `one`", "0 to 255"]);
    refused(&option("cuda.device_id=1"), &["provider `cuda` is not used", "--provider cuda"]);
}

#[test]
fn what_runs_where_is_shown_node_by_node() {
    let run = |more: &[&str]| {
        let output = genset()
            .args(["inspect", DIGITS, "--providers", "--ort", library()])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let document: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    assert!(nodes.len() > 3 && nodes.iter().all(|node| node["provider"] == "cpu"), "{document}");
    assert!(nodes.iter().any(|node| node["operator"] == "ConvTranspose"), "{document}");
    assert_eq!(document["shares"][0]["nodes"], nodes.len());
    assert!(run(&[]).contains(" ConvTranspose"));
}

#[test]
fn what_can_be_installed_is_listed() {
    let cache = tempfile::tempdir().unwrap();
    let output = bare(&cache).args(["runtime", "list", "--json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = list["packages"].as_array().unwrap();
    let names: Vec<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["onnxruntime", "openvino", "cuda", "tensorrt-rtx"]);
    assert!(packages.iter().all(|package| package["path"].is_null()));
}

/// A dataset on the OpenVINO provider, or on the CPU of the same ONNX Runtime.
fn open(provider: Provider, settings: &[&str]) -> genset::Result<Dataset> {
    // Whoever is first opens the runtime for all.
    static RUNTIME: OnceLock<&'static Runtime> = OnceLock::new();
    let search = Search { providers: vec![Provider::OpenVino], ..Search::default() };
    RUNTIME.get_or_init(|| Runtime::open(&search).unwrap());
    let settings = settings.iter().map(ToString::to_string).collect();
    Dataset::open_with(
        DIGITS,
        Options { providers: vec![provider], settings, ..Options::default() },
    )
}

fn images(dataset: &Dataset) -> Vec<f32> {
    let loader = dataset.loader().rank(0, 1).range(0..512).workers(2);
    let floats = |batch: &Batch| batch.images().as_f32().unwrap().iter().copied().collect();
    stream(loader).iter().flat_map(floats as fn(&Batch) -> Vec<f32>).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert!(!a.is_empty() && a.len() == b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
#[ignore = "needs `genset runtime install openvino`"]
fn openvino_agrees_with_the_cpu_and_bf16_is_another_precision() {
    let floats = ["output.dtype=\"f32\"", "views.pixel=[]"];
    let cpu = images(&open(Provider::Cpu, &floats).unwrap());
    let f32 = images(&open(Provider::OpenVino, &floats).unwrap());
    let difference = largest_difference(&cpu, &f32);
    assert!(difference < 1e-3, "{difference}");

    let with_bf16 = [floats[0], floats[1], "generator.precision=\"bf16\""];
    match open(Provider::OpenVino, &with_bf16) {
        Ok(dataset) => {
            let difference = largest_difference(&f32, &images(&dataset));
            assert!(difference > 1e-4 && difference < 0.3, "{difference}");
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Provider);
            assert!(error.summary().contains("no instructions"), "{error}");
        }
    }
}

#[test]
#[ignore = "needs `genset runtime install openvino`"]
fn openvino_delivers_the_same_bytes_to_any_number_of_workers() {
    for precision in ["f32", "bf16"] {
        let setting = format!("generator.precision=\"{precision}\"");
        let Ok(dataset) = open(Provider::OpenVino, &[&setting]) else { continue };
        let delivered = |batch, workers| {
            let loader = dataset.loader().rank(0, 1).range(0..512);
            digests(&stream(loader.batch(batch).workers(workers))).together().unwrap()
        };
        let alone = delivered(512, 1);
        for (batch, workers) in [(512, 4), (7, 1), (64, 4), (33, 2)] {
            assert_eq!(delivered(batch, workers), alone, "{precision} {batch} {workers}");
        }
    }
}

#[test]
#[ignore = "needs `genset runtime install openvino`"]
fn openvino_runs_every_node_of_a_generator() {
    let placements =
        open(Provider::OpenVino, &[]).unwrap().generated().unwrap().placements().unwrap();
    assert!(placements.len() > 3);
    assert!(placements.iter().all(|node| node.provider == "openvino"), "{placements:?}");
}
