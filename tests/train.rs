//! `genset train` keeps its word: a run that is killed goes on to the same bits, what goes wrong
//! stops it with the last good checkpoint, and what cannot be trained is refused with a way out.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{DIGITS, folder_with_recipe, genset, json};
use genset::graph::Weights;
use genset::train::Architecture;
use serde_json::Value;
use tempfile::TempDir;

/// A small encoder for the digits in a fresh folder.
fn encoder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.onnx");
    let model = Architecture::ConvSmall.build(1, 28, 3).unwrap();
    model.write_to(&path, Weights::Inside).unwrap();
    (folder, path)
}

const SMALL: [&str; 10] =
    ["--batch", "8", "--head", "16,8", "--steps", "30", "--save-every", "4", "--log-every", "1"];

/// `genset train` of the digits with these arguments.
fn verb(
    data: impl AsRef<Path>,
    encoder: &Path,
    output: &Path,
    rest: &[&str],
) -> assert_cmd::Command {
    let mut command = genset();
    command.arg("train").arg(data.as_ref()).arg("--encoder").arg(encoder);
    command.arg("-o").arg(output).args(rest);
    command
}

/// The same in a process of its own, to be stopped.
fn start(encoder: &Path, output: &Path, rest: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo_bin!("genset"));
    command.args(["train", DIGITS, "--encoder"]).arg(encoder).arg("-o").arg(output).args(rest);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What it prints when it succeeds.
#[track_caller]
fn trained(encoder: &Path, output: &Path, rest: &[&str]) -> Value {
    let done = verb(DIGITS, encoder, output, rest).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!((done.status.code(), said.as_str()), (Some(0), ""), "{rest:?}");
    json(&done.stdout)
}

/// What it says when it fails with this exit code.
#[track_caller]
fn fails(
    code: i32,
    data: impl AsRef<Path>,
    encoder: &Path,
    output: &Path,
    rest: &[&str],
) -> String {
    let done = verb(data, encoder, output, rest).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(code), "{rest:?}: {said}");
    said
}

fn lines(output: &Path) -> Vec<Value> {
    let text = fs::read_to_string(output.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn checkpoints(output: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(output.join("checkpoints")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".safetensors"));
    names.sort();
    names
}

#[test]
fn a_run_that_is_killed_again_and_again_goes_on_to_the_same_bits() {
    let (folder, encoder) = encoder();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let report = trained(&encoder, &whole, &SMALL);
    assert_eq!((&report["steps"], &report["resumed"]), (&30.into(), &0.into()));
    assert_eq!(checkpoints(&whole), ["step-00000028.safetensors", "step-00000030.safetensors"]);
    let mut kills = 0;
    let mut wait = Duration::from_millis(50);
    loop {
        let mut child = start(&encoder, &killed, &SMALL);
        let seen = checkpoints(&killed);
        let began = Instant::now();
        // Killed at whatever it does then; at first before it has begun, later further on.
        while began.elapsed() < wait && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(3));
            // And right after it has written something, which is when files are half there.
            if kills > 2 && checkpoints(&killed) != seen {
                break;
            }
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        wait = if kills < 3 { wait * 3 } else { Duration::from_secs(60) };
        assert!(kills < 30, "it gets nowhere: {:?}", checkpoints(&killed));
    }
    assert!(kills >= 4, "{kills}");
    let [one, two] = [&whole, &killed].map(|run| fs::read(run.join("encoder.onnx")).unwrap());
    assert!(one == two, "the encoder differs after {kills} kills");
    let last = "checkpoints/step-00000030.safetensors";
    let [one, two] = [&whole, &killed].map(|run| fs::read(run.join(last)).unwrap());
    let read = |bytes| safetensors::SafeTensors::deserialize(bytes).unwrap();
    for (name, tensor) in read(&one).tensors() {
        assert!(tensor == read(&two).tensor(&name).unwrap(), "{name} differs after {kills} kills");
    }
    let [one, two] = [&whole, &killed].map(|run| lines(run));
    let losses = |lines: &[Value]| -> Vec<(u64, f64)> {
        lines
            .iter()
            .map(|line| (line["step"].as_u64().unwrap(), line["loss"].as_f64().unwrap()))
            .collect()
    };
    assert_eq!(losses(&one), losses(&two));
    // Nothing is left to do, and nothing changes.
    let report = trained(&encoder, &killed, &SMALL);
    assert_eq!((&report["steps"], &report["resumed"]), (&0.into(), &30.into()));
    let said = fails(1, DIGITS, &encoder, &killed, &[&SMALL[..], &["--seed", "1"]].concat());
    assert!(said.contains("run.json") && said.contains("seed 0, not 1"), "{said}");
    let said = fails(1, DIGITS, &encoder, &killed, &[&SMALL[..4], &["--steps", "31"]].concat());
    assert!(said.contains("steps 30, not 31") && said.contains("another folder"), "{said}");
    let other = folder.path().join("other.onnx");
    let model = Architecture::ConvSmall.build(1, 28, 4).unwrap();
    model.write_to(&other, Weights::Inside).unwrap();
    let said = fails(1, DIGITS, &other, &killed, &SMALL);
    assert!(said.contains("encoder"), "{said}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_a_checkpoint() {
    let (folder, encoder) = encoder();
    let output = folder.path().join("run");
    let rest = ["--batch", "8", "--head", "16,8", "--steps", "100000", "--save-every", "100000"];
    let child = start(&encoder, &output, &[&rest[..], &["--log-every", "1"]].concat());
    let began = Instant::now();
    while fs::read_to_string(output.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
        < 3
    {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not begin");
        sleep(Duration::from_millis(10));
    }
    assert!(checkpoints(&output).is_empty());
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(130), "{said}");
    assert!(said.contains("goes on after step"), "{said}");
    assert_eq!(checkpoints(&output).len(), 1);
}

#[test]
fn a_loss_that_is_no_number_stops_with_the_last_good_checkpoint() {
    let (folder, encoder) = encoder();
    let output = folder.path().join("run");
    let rest = ["--learning-rate", "1e30", "--warmup", "20", "--save-every", "1"];
    let said = fails(1, DIGITS, &encoder, &output, &[&SMALL[..6], &rest[..]].concat());
    assert!(said.contains("is not a finite number at step"), "{said}");
    let last = checkpoints(&output).pop().unwrap();
    assert!(said.contains(&last) && said.contains("--clip"), "{said}");
    // No bad number is in it.
    let bytes = fs::read(output.join("checkpoints").join(last)).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, tensor) in tensors.tensors() {
        let finite = |four: &[u8; 4]| f32::from_le_bytes(*four).is_finite();
        assert!(tensor.data().as_chunks().0.iter().all(finite), "{name}");
    }
}

#[test]
fn embeddings_that_collapse_stop_the_run() {
    let (folder, encoder) = encoder();
    let output = folder.path().join("run");
    // Views agree, and nothing asks for more: agreement is reached by one direction for all.
    let rest = [
        "--objective",
        "alignment:uniformity=0",
        "--head",
        "--batch",
        "8",
        "--steps",
        "2000",
        "--learning-rate",
        "2",
        "--warmup",
        "0",
        "--schedule",
        "constant",
        "--save-every",
        "10",
    ];
    let said = fails(1, DIGITS, &encoder, &output, &rest);
    assert!(said.contains("have collapsed") && said.contains("last good checkpoint"), "{said}");
    // It is one from before they did.
    let last = checkpoints(&output).pop().unwrap();
    let step: u64 = last["step-".len().."step-00000000".len()].parse().unwrap();
    let lines = lines(&output);
    let until = lines.last().unwrap()["step"].as_u64().unwrap();
    assert!(said.contains(&last) && step > 0 && step <= until - 90, "{said}");
}

#[test]
fn what_cannot_be_trained_is_told() {
    let (folder, encoder) = encoder();
    let output = folder.path().join("run");
    let recipe = |rest: &str| {
        let path = folder.path().join("recipe.toml");
        fs::write(&path, format!("generator.model = \"builtin:digits\"\n{rest}")).unwrap();
        path
    };
    let said = fails(2, recipe("[views]\ncount = 1\n"), &encoder, &output, &SMALL);
    assert!(said.contains("compares views") && said.contains("views.count = 2"), "{said}");
    let few = ["--set", "samples=5"];
    let said = fails(2, DIGITS, &encoder, &output, &[&SMALL[..], &few].concat());
    assert!(said.contains("a batch of 8 is more than the 5 samples"), "{said}");
    let said = fails(2, DIGITS, &encoder, &output, &["--batch", "1"]);
    assert!(said.contains("one sample"), "{said}");
    let other = folder.path().join("three.onnx");
    Architecture::VitTiny.build(1, 32, 0).unwrap().write_to(&other, Weights::Inside).unwrap();
    let said = fails(2, DIGITS, &other, &output, &SMALL);
    assert!(said.contains("32 x 32, not 28 x 28") && said.contains("resize"), "{said}");
    // A generator of three channels, without classes.
    let said = "[generator.inputs.z]\nrole = \"latent\"\n[generator.output]\nlayout = \"NCHW\"\n\
                range = [-1, 1]\n";
    let plain = folder_with_recipe("dynamic-batch", said);
    let plain = plain.path().join("recipe.toml");
    for objective in ["cross-entropy", "supcon"] {
        let rest = ["--objective", objective, "--set", "views.count=2"];
        let said = fails(2, &plain, &encoder, &output, &[&SMALL[..], &rest].concat());
        assert!(said.contains("needs classes") && said.contains("class input"), "{said}");
    }
    let said =
        fails(2, &plain, &encoder, &output, &[&SMALL[..], &["--set", "views.count=2"]].concat());
    assert!(said.contains("takes 1 channels, the images have 3"), "{said}");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let bare = tests.join("encoders/not-a-number.onnx");
    let said = fails(1, DIGITS, &bare, &output, &SMALL);
    assert!(said.contains("no weights that could be trained"), "{said}");
    assert!(!output.exists(), "nothing was begun");
}

#[test]
fn an_operator_without_a_rule_is_named_with_its_node() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("run");
    let encoder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/training/no-rule.onnx");
    let said = fails(1, DIGITS, &encoder, &output, &SMALL);
    assert!(said.contains("`Hardmax`") && said.contains("`odd/"), "{said}");
}
