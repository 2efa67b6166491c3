//! Training by ONNX Runtime's training API agrees with the step graph, goes on after an interruption,
//! and says what it needs.
//!
//! Those tests that train need a Python with `onnx/requirements-training.txt`, named by
//! `GENSET_TRAINING_PYTHON`; they are ignored without being asked for. `cargo xtask test --only ort-training` does
//! both.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{DIGITS, genset, json};
use genset::graph::{Model, Weights};
use genset::train::Architecture;
use serde_json::Value;
use tempfile::TempDir;

/// Trainings of one encoder by both backends, in a folder of their own.
struct Trial {
    folder: TempDir,
    words: Vec<&'static str>,
}

impl Trial {
    fn new(architecture: Architecture, words: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = architecture.build(1, 28, 3).unwrap();
        model.write_to(&folder.path().join("start.onnx"), Weights::Inside).unwrap();
        Self { folder, words: words.to_vec() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, output: &str, more: &[&str]) -> assert_cmd::Command {
        let mut command = genset();
        command.args(["train", DIGITS, "--encoder"]).arg(self.at("start.onnx"));
        command.arg("-o").arg(self.at(output)).args(["--batch", "16", "--step-threads", "1"]);
        command.args(&self.words).args(more);
        command
    }

    /// Trains by ONNX Runtime's training API.
    fn by_runtime(&self, output: &str, more: &[&str]) -> assert_cmd::Command {
        let mut command = self.command(output, more);
        command.args(["--backend", "ort-training", "--training-python"]).arg(python());
        command
    }

    fn encoder(&self, output: &str) -> Model {
        Model::read(&self.at(output).join("encoder.onnx")).unwrap()
    }

    fn losses(&self, output: &str) -> Vec<f64> {
        let text = fs::read_to_string(self.at(output).join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["loss"].as_f64().unwrap()).collect()
    }
}

fn python() -> PathBuf {
    std::env::var_os("GENSET_TRAINING_PYTHON").expect("GENSET_TRAINING_PYTHON").into()
}

#[track_caller]
fn succeeds(mut command: assert_cmd::Command) -> Value {
    let done = command.arg("--json").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    json(&done.stdout)
}

#[track_caller]
fn refused(mut command: assert_cmd::Command, wanted: &[&str]) {
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(matches!(done.status.code(), Some(1 | 2)), "{said}");
    for wanted in wanted {
        assert!(said.contains(wanted), "`{wanted}` is not in: {said}");
    }
}

/// The last checkpoint's tensors that the encoder has too: names and numbers.
fn variables(trial: &Trial, output: &str) -> Vec<(String, Vec<f32>)> {
    let path = trial.at(output).join("checkpoints/step-00000020.safetensors");
    let bytes = fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| {
        let numbers = data.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
        numbers.collect::<Vec<f32>>()
    };
    let mut all: Vec<_> =
        tensors.iter().map(|(name, tensor)| (name.to_owned(), floats(tensor.data()))).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn squares(one: &[f32], other: &[f32]) -> f64 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// A rate at which rounding does not grow into another way: encoders that have learnt nothing have
/// gradients that are large and turn at every step.
const SGD: [&str; 10] = [
    "--optimizer",
    "sgd:momentum=0,decay=0",
    "--learning-rate",
    "0.001",
    "--steps",
    "20",
    "--log-every",
    "1",
    "--save-every",
    "5",
];

/// With an epsilon that keeps gradients near zero, whose sign is a matter of rounding, from moving
/// parameters as far as others.
const ADAM: [&str; 4] = ["--optimizer", "adamw:decay=0,epsilon=0.001", "--learning-rate", "0.0001"];

/// Both backends, 20 steps: the losses, and how far the parameters are from each other, as a share of the way
/// that they have gone.
#[track_caller]
fn agree(architecture: Architecture, words: &[&'static str], limit: f64) {
    let trial = Trial::new(architecture, words);
    let ours = succeeds(trial.command("ours", &[]));
    let theirs = succeeds(trial.by_runtime("theirs", &[]));
    assert_eq!((&ours["steps"], &theirs["steps"]), (&20.into(), &20.into()));
    let said = fs::read(trial.at("theirs").join("run.json")).unwrap();
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["made_by"]["backend"], "ort-training");
    assert_eq!(said["made_by"]["onnxruntime"], "1.19.2");
    let pairs = trial.losses("ours").into_iter().zip(trial.losses("theirs"));
    for (step, (ours, theirs)) in pairs.enumerate() {
        assert!((ours - theirs).abs() < 1e-3 * ours.abs(), "step {step}: {ours}, {theirs}");
    }
    let start = Model::read(&trial.at("start.onnx")).unwrap();
    let (mut way, mut apart) = (0.0, 0.0);
    for (name, ours) in variables(&trial, "ours") {
        let Some(start) = start.initializer(&name) else { continue };
        let theirs = variables(&trial, "theirs");
        let theirs = theirs.iter().find(|(other, _)| *other == name);
        let (_, theirs) = theirs.unwrap_or_else(|| panic!("`{name}` is not there"));
        way += squares(&start, &ours);
        apart += squares(&ours, theirs);
    }
    let (way, apart) = (way.sqrt(), apart.sqrt());
    assert!(way > 0.0 && apart < limit * way, "{apart} apart on a way of {way}");
}

#[test]
#[ignore = "needs the training runtime"]
fn both_backends_train_alike_by_sgd() {
    agree(Architecture::ConvSmall, &SGD, 2e-3);
}

#[test]
#[ignore = "needs the training runtime"]
fn residual_encoders_train_alike_with_clipping_and_several_batches_a_step() {
    let words: Vec<_> = SGD.into_iter().chain(["--clip", "1", "--accumulate", "2"]).collect();
    agree(Architecture::ResnetTiny, &words, 2e-3);
}

#[test]
#[ignore = "needs the training runtime"]
fn transformers_train_alike_by_adamw() {
    let words = [&ADAM[..], &SGD[4..]].concat();
    agree(Architecture::VitTiny, &words, 2e-3);
}

#[test]
#[ignore = "needs the training runtime"]
fn a_run_goes_on_to_the_same_bits() {
    let words = [&ADAM[..], &SGD[4..]].concat();
    let trial = Trial::new(Architecture::ConvSmall, &words);
    succeeds(trial.by_runtime("whole", &[]));
    succeeds(trial.by_runtime("parts", &[]));
    // As if it had been killed after its third checkpoint but one.
    let parts = trial.at("parts");
    fs::remove_file(parts.join("encoder.onnx")).unwrap();
    fs::remove_file(parts.join("checkpoints/step-00000020.safetensors")).unwrap();
    let said = succeeds(trial.by_runtime("parts", &[]));
    assert_eq!((&said["resumed"], &said["steps"]), (&15.into(), &5.into()));
    let [whole, parts] = ["whole", "parts"].map(|output| trial.encoder(output));
    assert!(whole.bytes() == parts.bytes(), "the encoders differ");
    // The other backend keeps other things, so it does not go on from there.
    refused(trial.command("parts", &[]), &["backend"]);
}

#[test]
#[ignore = "needs the training runtime"]
fn artifacts_are_made_of_the_loss_that_is_written() {
    let trial = Trial::new(Architecture::ConvSmall, &SGD);
    let (loss, artifacts) = (trial.at("loss.onnx"), trial.at("artifacts"));
    let mut command = trial.command("none", &["--backend", "ort-training", "--step-graph"]);
    command.arg(&loss).assert().success();
    assert!(!trial.at("none").exists());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/ort_training.py");
    let mut command = Command::new(python());
    let done = command.arg(&script).arg("make").arg(&loss).arg("-o").arg(&artifacts);
    let done = done.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for name in ["training_model.onnx", "optimizer_model.onnx", "eval_model.onnx", "checkpoint"] {
        assert!(artifacts.join(name).is_file(), "{name}");
    }
    // A graph of another kind is told apart.
    let mut command = Command::new(python());
    let done =
        command.arg(&script).arg("make").arg(trial.at("start.onnx")).arg("-o").arg(&artifacts);
    let done = done.output().unwrap();
    assert!(!done.status.success());
    assert!(String::from_utf8_lossy(&done.stderr).contains("--step-graph"));
}

#[test]
fn what_the_training_api_has_not_is_refused() {
    let trial = Trial::new(Architecture::ConvSmall, &SGD[4..]);
    let backend = ["--backend", "ort-training"];
    let with = |more: &[&str]| trial.command("x", &[&backend[..], more].concat());
    refused(with(&[]), &["sgd:momentum=0.9", "sgd:momentum=0,decay=0", "adamw:decay=0"]);
    let plain = ["--optimizer", "sgd:momentum=0,decay=0"];
    refused(with(&[&plain[..], &["--objective", "byol"]].concat()), &["byol", "step-graph"]);
    refused(with(&[&plain[..], &["--precision", "bf16"]].concat()), &["f32"]);
    refused(
        trial.command("x", &["--training-python", "p"]),
        &["--training-python is for", "--backend"],
    );
    assert!(!trial.at("x").exists(), "nothing is begun that cannot be trained");
}

#[test]
fn a_python_that_cannot_train_is_refused_with_what_would_be_needed() {
    let trial = Trial::new(Architecture::ConvSmall, &SGD);
    let with = |python: &str| {
        let mut command = trial.command("x", &["--backend", "ort-training"]);
        command.arg("--training-python").arg(python);
        command
    };
    let needed = ["onnx/requirements-training.txt", "--training-python"];
    refused(with("no-such-python"), &[&["no-such-python cannot be started"], &needed[..]].concat());
    // A program that ends at once, and says nothing.
    refused(with("true"), &[&["has ended"], &needed[..]].concat());
    assert!(!trial.at("x").exists(), "nothing is begun that cannot be trained");
}
