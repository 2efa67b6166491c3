//! The probe keeps its word: an encoder that sees what pixels do not show scores as it should, the
//! same bytes give the same report, and what cannot be probed is refused with a way out.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{genset, json, open, options};
use genset::evaluate::{Features, Probe, Regularisation, Report};
use genset::graph::{EncoderInput, Model, Weights};
use genset::load::Stop;
use ndarray::Array2;
use serde_json::Value;
use tempfile::TempDir;

const SIDE: usize = 8;

fn encoder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/encoders/{name}.onnx"))
}

/// Uniform in 0 to `below`, from a place.
fn draw(place: usize, below: usize) -> usize {
    let mut word = (place as u64 ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((word ^ (word >> 29)) % below as u64) as usize
}

/// Noisy stripes that begin anywhere: class 0 runs down, class 1 across. The mean image of both is
/// gray, so no linear function of the pixels tells them apart. No pixel is white.
fn stripes(from: usize, count: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let image = |index: usize| {
        let phase = draw(index * 1000, 4);
        let value = |at: usize| {
            let (row, column) = (at / SIDE, at % SIDE);
            let along = if label(index) == 0 { column } else { row };
            let bright = (along + phase) / 2 % 2;
            (40 + 120 * bright + draw(index * 1000 + 1 + at, 60)) as u8
        };
        (0..SIDE * SIDE).map(value).collect()
    };
    let indices = from..from + count;
    (indices.clone().map(image).collect(), indices.map(label).collect())
}

fn label(index: usize) -> u8 {
    draw(index * 1000 + 999, 2) as u8
}

/// Writes IDX files as MNIST has them, and gives the path of the images.
fn idx(folder: &Path, name: &str, images: &[Vec<u8>], labels: Option<&[u8]>) -> PathBuf {
    let count = u32::try_from(images.len()).unwrap().to_be_bytes();
    let side = u32::try_from(SIDE).unwrap().to_be_bytes();
    let path = folder.join(format!("{name}-images-idx3-ubyte"));
    fs::write(&path, [&[0, 0, 8, 3], &count[..], &side, &side, &images.concat()].concat()).unwrap();
    if let Some(labels) = labels {
        let bytes = [&[0, 0, 8, 1], &count[..], labels].concat();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), bytes).unwrap();
    }
    path
}

/// A folder with stripes to learn from and others to tell.
fn data() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = stripes(0, 600);
    let train = idx(folder.path(), "train", &images, Some(&labels));
    let (images, labels) = stripes(5000, 200);
    let test = idx(folder.path(), "t10k", &images, Some(&labels));
    (folder, train, test)
}

fn verb(encoder: &Path, train: &Path, test: &Path, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = genset();
    command.arg("probe").arg(encoder).arg("--train").arg(train).arg("--test").arg(test);
    command.args(arguments);
    command
}

#[track_caller]
fn report(encoder: &Path, train: &Path, test: &Path, arguments: &[&str]) -> Value {
    let output = verb(encoder, train, test, arguments).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    json(&output.stdout)
}

/// What the verb says when it fails with this exit code.
#[track_caller]
fn fails(code: i32, encoder: &Path, train: &Path, test: &Path, arguments: &[&str]) -> String {
    let output = verb(encoder, train, test, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    said
}

fn value(accuracy: &Value) -> f64 {
    accuracy["accuracy"]["value"].as_f64().unwrap()
}

#[test]
fn an_encoder_that_sees_stripes_beats_pixels() {
    let (folder, _, test) = data();
    // The folder stands for its training images, as MNIST's does.
    let report = report(&encoder("edges"), folder.path(), &test, &[]);
    let features = &report["features"];
    assert_eq!((&report["output"], &features["dimensions"]), (&"features".into(), &2.into()));
    assert_eq!(report["train"]["images"], 600);
    assert_eq!(report["classes"].as_array().unwrap().len(), 2);
    assert!(value(&features["linear"]) > 0.95, "{features}");
    assert!(value(&features["knn"]) > 0.95, "{features}");
    assert_eq!(features["knn"]["k"], 20);
    let tried = features["linear"]["tried"].as_array().unwrap();
    let l2: Vec<&Value> = tried.iter().map(|tried| &tried["l2"]).collect();
    assert!(l2.contains(&&features["linear"]["l2"]) && l2.len() >= 3, "{tried:?}");
    assert!((58..=60).contains(&features["linear"]["held_out"].as_u64().unwrap()), "{features}");
    for classes in [&features["linear"]["classes"], &features["knn"]["classes"]] {
        let classes = classes.as_array().unwrap();
        let of: u64 = classes.iter().map(|class| class["of"].as_u64().unwrap()).sum();
        assert_eq!((classes.len(), of), (2, 200));
    }
    let [pixels, random] = &report["baselines"].as_array().unwrap()[..] else {
        panic!("{report}");
    };
    assert_eq!((&pixels["name"], &pixels["dimensions"]), (&"raw pixels".into(), &64.into()));
    assert_eq!((&random["name"], &random["dimensions"]), (&"random encoder".into(), &2.into()));
    assert!(value(&pixels["linear"]) < 0.7, "{pixels}");
    let difference = &pixels["difference"]["linear"];
    assert!(difference["interval"][0].as_f64().unwrap() > 0.2, "{difference}");
    assert_eq!(random["kept"], serde_json::json!([]));
    assert_ne!(random["linear"], features["linear"], "its parameters are other ones");
}

#[test]
fn threads_change_nothing_and_a_seed_is_a_seed() {
    let (_folder, train, test) = data();
    let on = |arguments: &[&str]| report(&encoder("edges"), &train, &test, arguments);
    let one = on(&["--workers", "1"]);
    assert_eq!(one, on(&["--workers", "3"]));
    let other = on(&["--seed", "1"]);
    assert_ne!(one["baselines"][1]["knn"], other["baselines"][1]["knn"]);
    assert_eq!(one["features"]["knn"], other["features"]["knn"]);
}

#[test]
fn outputs_that_are_the_same_features_score_the_same() {
    let (_folder, train, test) = data();
    let on = |output: &str| {
        let arguments = ["--output", output, "--no-baselines"];
        report(&encoder("edges"), &train, &test, &arguments)["features"].clone()
    };
    let features = on("features");
    assert_eq!(on("pooled")["linear"]["accuracy"], features["linear"]["accuracy"]);
    assert_eq!(on("maps")["linear"]["accuracy"], features["linear"]["accuracy"]);
}

#[test]
fn an_encoder_says_itself_what_it_expects() {
    let (_folder, train, test) = data();
    // Batches of four, three channels, pixels in [-1, 1]: gray is repeated, and 2 of 198 are left.
    let on = |arguments: &[&str]| {
        let arguments = [arguments, &["--test-limit", "198", "--no-baselines"]].concat();
        report(&encoder("edges-fixed"), &train, &test, &arguments)
    };
    let own = on(&[]);
    assert_eq!(own["input"], serde_json::json!({ "range": [-1.0, 1.0] }));
    assert_eq!(own["test"]["images"], 198);
    assert!(value(&own["features"]["linear"]) > 0.95, "{own}");
    let same = on(&["--mean", "0.5", "--std", "0.5,0.5,0.5"]);
    assert_eq!(same["features"], own["features"]);
    assert_eq!(same["input"], serde_json::json!({ "mean": [0.5], "std": [0.5, 0.5, 0.5] }));
    assert_eq!(on(&["--range", "-1,1"])["features"], own["features"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.onnx");
    let model = Model::read(&encoder("edges")).unwrap();
    let wrong = model.with_metadata(EncoderInput::KEY, "{\"range\": [1]}").unwrap();
    wrong.write_to(&path, Weights::AsTheyAre).unwrap();
    let said = fails(1, &path, &train, &test, &[]);
    assert!(said.contains("wrong.onnx: metadata `genset.input`"), "{said}");
}

#[test]
fn fewer_images_and_a_given_regularisation() {
    let (_folder, train, test) = data();
    let arguments = ["--limit", "100", "--l2", "0.01", "--k", "5", "--no-baselines"];
    let report = report(&encoder("edges"), &train, &test, &arguments);
    assert_eq!(report["train"]["images"], 100);
    let linear = &report["features"]["linear"];
    assert_eq!((&linear["l2"], &linear["tried"]), (&0.01.into(), &serde_json::json!([])));
    assert_eq!(report["features"]["knn"]["k"], 5);
    assert_eq!(report["baselines"], serde_json::json!([]));
}

#[test]
fn the_table_says_it_all() {
    let (_folder, train, test) = data();
    let output = verb(&encoder("edges"), &train, &test, &[]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "edges.onnx: 2 features from `features`, pixels in [0, 1]",
        "learnt from 600 images of train-images-idx3-ubyte, tested on 200",
        "encoder - raw pixels",
        "encoder - random encoder",
        "training images held out",
        "tried: 1 ",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn images_that_do_not_fit_say_what_to_set() {
    let (_folder, train, test) = data();
    let said = fails(2, &encoder("edges"), &train, &test, &["--set", "source.size=12"]);
    assert!(said.contains("--set source.size=8"), "{said}");
    let said = fails(2, &encoder("edges"), &train, &test, &["--set", "source.channels=3"]);
    assert!(said.contains("--set source.channels=1"), "{said}");
    let said = fails(2, &encoder("edges"), &train, &test, &["--set", "views.count=2"]);
    assert!(said.contains("there are 2 views of each") && said.contains("views.count=1"), "{said}");
    let said = fails(1, &encoder("edges"), &train, &test, &["--output", "tokens"]);
    assert!(said.contains("`tokens` has shape [256, 64, 2]"), "{said}");
    let said = fails(2, &encoder("edges"), &train, &test, &["--output", "nothing"]);
    assert!(said.contains("it has features, pooled, maps, tokens"), "{said}");
    let said = fails(2, &encoder("edges"), &train, &test, &["--mean", "0.5,0.5", "--std", "1"]);
    assert!(said.contains("for 2 channels, the encoder has 1"), "{said}");
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let (_folder, train, test) = data();
    for arguments in [
        &["--mean", "0.5"][..],
        &["--range", "0,1", "--mean", "0.5", "--std", "1"],
        &["--range", "1,0"],
        &["--range", "1"],
        &["--k", "0"],
        &["--k", "601"],
        &["--l2", "0"],
        &["--batch", "0"],
        &["--workers", "0"],
        &["--limit", "0"],
    ] {
        fails(2, &encoder("edges"), &train, &test, arguments);
    }
    let said = fails(1, &encoder("edges"), &train, &test, &["--memory", "0"]);
    assert!(said.contains("--limit N takes fewer images"), "{said}");
}

#[test]
fn data_that_proves_nothing_is_refused() {
    let (folder, train, test) = data();
    let edges = encoder("edges");
    let said = fails(2, &edges, &train, folder.path(), &[]);
    assert!(said.contains("are the same") && said.contains("t10k-images-idx3-ubyte"), "{said}");

    let other = tempfile::tempdir().unwrap();
    let (images, labels) = stripes(9000, 40);
    let unlabelled = idx(other.path(), "bare", &images, None);
    let said = fails(2, &edges, &unlabelled, &test, &[]);
    assert!(said.contains("bare-images-idx3-ubyte") && said.contains("no labels"), "{said}");
    let one = idx(other.path(), "one", &images, Some(&[3; 40]));
    let said = fails(2, &edges, &one, &test, &[]);
    assert!(said.contains("all training images have the label 3"), "{said}");
    let more: Vec<u8> = labels.iter().map(|label| label * 7).collect();
    let more = idx(other.path(), "more", &images, Some(&more));
    let said = fails(2, &edges, &train, &more, &[]);
    assert!(said.contains("no training image has: 7"), "{said}");

    let recipe = |name: &str, samples: &str| {
        let text = format!(
            "name = \"{name}\"\nseed = {}\nsamples = {samples}\n[generator]\nmodel = \"builtin:digits\"\n\
             [views]\ncount = 1\n",
            name.len()
        );
        let path = other.path().join(format!("{name}.toml"));
        fs::write(&path, text).unwrap();
        path
    };
    let (endless, few) = (recipe("endless", "\"endless\""), recipe("few", "50"));
    let said = fails(2, &edges, &endless, &few, &[]);
    assert!(said.contains("no end of training images in endless"), "{said}");
    assert!(said.contains("--limit N takes the first N"), "{said}");
    let said = fails(2, &edges, Path::new("builtin:digits"), &few, &[]);
    assert!(said.contains("there are 2 views of each"), "{said}");
}

#[test]
fn features_that_are_no_numbers_name_the_image() {
    let (folder, _, test) = data();
    let (mut images, labels) = stripes(0, 600);
    images[417][9] = 255;
    let train = idx(folder.path(), "train", &images, Some(&labels));
    let encoder = encoder("not-a-number");
    let said = fails(1, &encoder, &train, &test, &["--no-baselines"]);
    assert!(said.contains("the features of image 417 are not finite"), "{said}");
    // Without it there are features, but nothing that a random encoder could differ in.
    let said = fails(1, &encoder, &train, &test, &["--limit", "417"]);
    assert!(said.contains("no constant of it is a parameter"), "{said}");
}

/// As during a training: datasets are opened once, the encoder is in memory, and only a number is
/// wanted.
#[test]
fn a_library_probes_what_it_has_in_memory() {
    let (_folder, train, test) = data();
    let (train, test) = (open(&train, &[]), open(&test, &[]));
    let model = Model::read(&encoder("edges")).unwrap();
    let probe = Probe {
        linear: None,
        neighbours: Some(5),
        baselines: false,
        limit: Some(300),
        test_limit: Some(100),
        ..Probe::default()
    };
    let run = |probe: &Probe, model: &Model| -> Report {
        probe.run(model, [&train, &test], &options(&[]), &Stop::new(), &mut |_| {}).unwrap()
    };
    let trained = run(&probe, &model);
    assert_eq!((trained.train.images, trained.test.images), (300, 100));
    assert!(trained.features.linear.is_none());
    assert!(trained.features.knn.unwrap().accuracy.value > 0.95);
    let random = run(&probe, &model.initialised(3).unwrap().model);
    assert_eq!(random.encoder, "edges.onnx");

    let probe = Probe { linear: Some(Regularisation::Fixed(0.1)), neighbours: None, ..probe };
    assert!(run(&probe, &model).features.linear.unwrap().accuracy.value > 0.95);
    let stop = Stop::new();
    stop.stop();
    let stopped = probe.run(&model, [&train, &test], &options(&[]), &stop, &mut |_| {});
    assert!(stopped.unwrap_err().is_interrupted());
}

#[test]
fn features_that_are_there_already_are_judged() {
    let features = |from: usize| {
        let labels: Vec<i64> = (from..from + 60).map(|row| (row % 3) as i64 * 10).collect();
        let values = Array2::from_shape_fn((60, 3), |(row, column)| {
            f32::from(u8::from(row % 3 == column)) + 0.1 * draw(from + row, 10) as f32
        });
        Features::new(values, labels).unwrap()
    };
    let mut told = Vec::new();
    let outcome = Probe::default()
        .judge(features(0), features(300), &Stop::new(), &mut |progress| told.push(progress))
        .unwrap();
    assert_eq!(outcome.dimensions, 3);
    assert_eq!(outcome.linear.unwrap().accuracy.correct, 60);
    assert!(told.iter().all(|progress| progress.done <= progress.total) && !told.is_empty());
}
