//! Any generator streams from the recipe that `genset inspect` wrote, unedited; what the file does
//! not say is asked for by name; what is wrong with a generator is reported before anybody trains
//! on it.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{digests, folder_with, genset, json, models, open, stream};
use genset::{Batch, Dataset};
use serde_json::Value;
use tempfile::TempDir;

/// A sound generator, and what there is to know about it.
struct Good {
    name: &'static str,
    /// The settings that only its author knows, each of which has to be asked for.
    answers: &'static [&'static str],
    /// Channels, height, width.
    image: [usize; 3],
    /// What the recipe must say.
    says: &'static [&'static str],
}

const PLAIN: Good = Good {
    name: "dynamic-batch",
    answers: &[],
    image: [3, 8, 8],
    says: &["role = \"latent\"", "layout = \"NCHW\"", "range = [-1, 1]"],
};

const GOOD: &[Good] = &[
    PLAIN,
    Good { name: "static-batch-4", says: &["block = 32"], ..PLAIN },
    Good { name: "static-batch-1", ..PLAIN },
    Good { name: "no-batch", says: &["layout = \"CHW\""], ..PLAIN },
    Good { name: "nhwc", says: &["layout = \"NHWC\""], ..PLAIN },
    Good { name: "flat-784", image: [1, 28, 28], says: &["shape = [1, 28, 28]"], ..PLAIN },
    Good { name: "flat-192", says: &["layout = \"flat\"", "shape = [3, 8, 8]"], ..PLAIN },
    Good {
        name: "flat-ambiguous",
        image: [1, 16, 16],
        // An assumption, and the recipe says so.
        says: &["shape = [1, 16, 16]", "[4, 8, 8] would fit as well"],
        ..PLAIN
    },
    Good { name: "channels-1", image: [1, 8, 8], ..PLAIN },
    Good { name: "channels-4", image: [4, 8, 8], ..PLAIN },
    Good { name: "output-f16", ..PLAIN },
    Good { name: "output-f64", ..PLAIN },
    Good { name: "output-u8", says: &["range = [0, 255]"], ..PLAIN },
    Good { name: "range-0-1", says: &["range = [0, 1]"], ..PLAIN },
    Good { name: "range-0-255", says: &["range = [0, 255]"], ..PLAIN },
    Good {
        name: "two-latents",
        answers: &["generator.inputs.content={role=\"latent\"}"],
        says: &["inputs.content]", "inputs.style]"],
        ..PLAIN
    },
    Good { name: "latent-spatial", ..PLAIN },
    Good {
        name: "class-one-hot",
        says: &["role = \"class\"", "encoding = \"one-hot\"", "classes = 5"],
        ..PLAIN
    },
    Good {
        name: "class-index",
        says: &["role = \"class\"", "encoding = \"index\"", "classes = 5"],
        ..PLAIN
    },
    Good { name: "truncation-input", says: &["role = \"truncation\""], ..PLAIN },
    Good { name: "noise-inputs", says: &["role = \"noise\""], ..PLAIN },
    Good {
        name: "constant-input",
        answers: &["generator.inputs.alpha={role=\"constant\", value=0.25}"],
        says: &["role = \"constant\"", "value = 0.25"],
        ..PLAIN
    },
    Good { name: "intermediate-latent", ..PLAIN },
    Good { name: "external-data-inside", ..PLAIN },
];

/// A faulty generator and how it is found out.
const FAULTY: &[(&str, Fault)] = &[
    ("latent-ignored", Fault::Finding("error", "latent-ignored", "`style`")),
    ("constant-output", Fault::Finding("error", "constant-output", "the same image")),
    ("nan-always", Fault::Finding("error", "not-finite", "256 of 256 images")),
    ("nan-sometimes", Fault::Finding("error", "not-finite", "first sample 33")),
    ("hidden-random", Fault::Finding("error", "hidden-random", "RandomNormalLike")),
    ("batch-statistics", Fault::Finding("warning", "batch-dependent", "the other samples")),
    ("batch-position", Fault::Finding("warning", "batch-dependent", "its position")),
    ("custom-operator", Fault::Unusable("custom-operators", "com.example.FancyActivation")),
    ("not-a-generator", Fault::Unusable("not-a-generator", "takes images (input image")),
    ("unknown-range", Fault::Question("generator.output.range")),
    ("external-data-missing", Fault::Refused("put `missing.bin` beside the model")),
];

enum Fault {
    /// A recipe is written; the finding has this severity and code, and names this.
    Finding(&'static str, &'static str, &'static str),
    /// No recipe can help; the finding has this code and names this.
    Unusable(&'static str, &'static str),
    /// Has to be answered.
    Question(&'static str),
    /// Is not even loaded.
    Refused(&'static str),
}

const HOSTILE: &[(&str, &str)] = &[
    ("external-data-outside", "`../outside.bin`"),
    ("external-data-absolute", "`/outside.bin`"),
    ("terabyte-output", "output `image`: shape [1, 3, 1048576, 1048576]"),
    ("terabyte-intermediate", "more than"),
    ("overflow-output", "output `image`"),
    ("terabyte-initializer", "tensor `weight_0`"),
    ("negative-dimension", "negative dimension"),
    ("truncated", "truncated or not an ONNX file"),
    ("not-protobuf", "not an ONNX file"),
    ("empty", "the file is empty"),
];

/// What `genset inspect` said about a model in a folder of its own.
struct Inspected {
    folder: TempDir,
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Inspected {
    fn recipe(&self) -> PathBuf {
        self.folder.path().join("recipe.toml")
    }
}

fn inspect(name: &str, settings: &[&str], more: &[&str]) -> Inspected {
    let folder = folder_with(name);
    let mut command = genset();
    command.arg("inspect").arg(folder.path().join(format!("{name}.onnx")));
    command.arg("-o").arg(folder.path().join("recipe.toml")).args(more);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Inspected { folder, code: output.status.code(), stdout: output.stdout, stderr }
}

/// A dataset from the recipe that `genset inspect` writes when it is answered.
fn inspected(name: &str) -> (TempDir, Dataset) {
    let good = GOOD.iter().find(|good| good.name == name).unwrap();
    let inspected = inspect(name, good.answers, &[]);
    assert_eq!(inspected.code, Some(0), "{name}: {}", inspected.stderr);
    let dataset = open(inspected.recipe(), &[]);
    (inspected.folder, dataset)
}

/// The codes and messages of findings with their severity.
fn findings(document: &Value) -> Vec<[&str; 4]> {
    let all = document["findings"].as_array().unwrap();
    all.iter()
        .map(|f| ["severity", "code", "message", "help"].map(|key| f[key].as_str().unwrap()))
        .collect()
}

#[test]
fn every_model_of_the_collection_has_an_expectation() {
    let there: BTreeSet<String> = fs::read_dir(models())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let good = GOOD.iter().map(|good| good.name);
    let bad = FAULTY.iter().map(|(name, _)| *name).chain(HOSTILE.iter().map(|(name, _)| *name));
    let expected: BTreeSet<String> = good.chain(bad).map(str::to_owned).collect();
    assert_eq!(there, expected);
}

#[test]
fn every_good_generator_streams_from_the_recipe_that_inspect_wrote() {
    for Good { name, answers, image, says } in GOOD {
        let inspected = inspect(name, answers, &[]);
        assert_eq!(inspected.code, Some(0), "{name}: {}", inspected.stderr);
        assert_eq!(inspected.stderr, "", "{name}");
        let report = String::from_utf8_lossy(&inspected.stdout).into_owned();
        assert!(!report.contains("error ["), "{name}: {report}");
        assert!(!report.contains("warning ["), "{name}: {report}");
        let recipe = fs::read_to_string(inspected.recipe()).unwrap();
        for said in *says {
            assert!(recipe.contains(said), "{name}: `{said}` is not in: {recipe}");
        }

        let dataset = open(inspected.recipe(), &[]);
        let [channels, height, width] = *image;
        let views = dataset.generated().unwrap().recipe().views.count() as usize;
        let loader = dataset.loader().rank(0, 1).range(0..75).batch(20).workers(2);
        let batches = stream(loader);
        let shapes: Vec<_> = batches.iter().map(|batch| batch.images().shape()).collect();
        assert_eq!(shapes[0], [20, views, channels, height, width], "{name}");
        assert_eq!(shapes[3], [15, views, channels, height, width], "{name}");
        assert_varied(name, &batches);

        let by_index: Vec<Batch> = (0..75).map(|i| dataset.get(i).unwrap()).collect();
        assert_eq!(
            digests(&batches).together().unwrap(),
            digests(&by_index).together().unwrap(),
            "{name}: by index and streamed"
        );
    }
}

/// Pixels use the range, and no two samples are alike.
fn assert_varied(name: &str, batches: &[Batch]) {
    let pixels: Vec<u8> = batches.iter().flat_map(|b| b.images().bytes()).copied().collect();
    let mean = pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / pixels.len() as f64;
    let spread = pixels.iter().map(|p| (f64::from(*p) - mean).powi(2)).sum::<f64>();
    let std = (spread / pixels.len() as f64).sqrt();
    assert!((40.0..215.0).contains(&mean) && std > 25.0, "{name}: mean {mean:.1}, std {std:.1}");
    let samples: BTreeSet<&[u8]> =
        batches.iter().flat_map(|b| (0..b.len()).map(|i| b.images().sample_bytes(i))).collect();
    assert_eq!(samples.len(), batches.iter().map(Batch::len).sum::<usize>(), "{name}");
}

#[test]
fn what_the_file_does_not_say_is_asked_for_by_name() {
    let unknown_range = ("unknown-range", &["generator.output.range=[-1,1]"][..]);
    let asking = GOOD.iter().map(|good| (good.name, good.answers)).chain([unknown_range]);
    for (name, answers) in asking.filter(|(_, answers)| !answers.is_empty()) {
        let asked = inspect(name, &[], &["--json"]);
        assert_eq!(asked.code, Some(1), "{name}");
        assert!(!asked.recipe().exists(), "{name}: nothing is guessed in silence");
        let document = json(&asked.stdout);
        assert_eq!(document["recipe"], Value::Null, "{name}");
        let questions: Vec<&str> = document["questions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|question| question["set"].as_str().unwrap())
            .collect();
        let key = |setting: &'_ str| setting.split_once('=').unwrap().0.to_owned();
        let keys: Vec<_> = questions.iter().map(|setting| key(setting)).collect();
        let wanted: Vec<_> = answers.iter().map(|setting| key(setting)).collect();
        assert_eq!(keys, wanted, "{name}");
        for question in &questions {
            let flag = format!("--set '{question}'");
            assert!(asked.stderr.contains(&flag), "{name}: {}", asked.stderr);
        }
        // The example that the question gives is a setting that works.
        let answered = inspect(name, &questions, &[]);
        assert_eq!(answered.code, Some(0), "{name}: {}", answered.stderr);
        open(answered.recipe(), &[]).get(7).unwrap();
    }
}

#[test]
fn every_fault_is_reported_by_its_code_with_advice() {
    for (name, fault) in FAULTY {
        let inspected = inspect(name, &[], &["--json"]);
        let document = json(&inspected.stdout);
        let said = &inspected.stderr;
        match *fault {
            Fault::Finding(severity, code, part) => {
                assert_eq!(inspected.code, Some(0), "{name}: {said}");
                let [found] = findings(&document)[..] else { panic!("{name}: {document}") };
                assert_eq!(found[..2], [severity, code], "{name}");
                assert!(found[2].contains(part), "{name}: {}", found[2]);
                assert!(found[3].len() > 10, "{name}: says what to do");
            }
            Fault::Unusable(code, part) => {
                assert_eq!(inspected.code, Some(1), "{name}: {said}");
                assert!(!inspected.recipe().exists(), "{name}: no recipe would run");
                let [found] = findings(&document)[..] else { panic!("{name}: {document}") };
                assert_eq!(found[..2], ["error", code], "{name}");
                assert!(found[2].contains(part), "{name}: {}", found[2]);
                assert!(said.contains(part) && !said.contains("--set"), "{name}: {said}");
                assert_eq!(document["error"]["kind"], "model", "{name}");
            }
            Fault::Question(key) => {
                assert_eq!(inspected.code, Some(1), "{name}: {said}");
                assert!(said.contains(&format!("--set '{key}=")), "{name}: {said}");
            }
            Fault::Refused(part) => {
                assert_eq!(inspected.code, Some(1), "{name}: {said}");
                assert!(said.contains(part), "{name}: `{part}` is not in: {said}");
                assert_eq!(document["error"]["kind"], "model", "{name}");
            }
        }
    }
}

#[test]
fn a_sound_generator_has_no_finding() {
    for good in [&PLAIN, &Good { name: "class-index", ..PLAIN }] {
        let inspected = inspect(good.name, good.answers, &["--json"]);
        let document = json(&inspected.stdout);
        assert!(findings(&document).is_empty(), "{}: {document}", good.name);
        assert_eq!(document["image"]["channels"], 3);
        assert_eq!(document["image"]["range"], serde_json::json!([-1.0, 1.0]));
        let recipe = document["recipe"].as_str().unwrap();
        assert!(recipe.contains(&format!("{}.onnx", good.name)), "{recipe}");
    }
}

#[test]
fn every_hostile_file_is_refused_before_it_is_run() {
    for (name, part) in HOSTILE {
        let inspected = inspect(name, &["generator.output.range=[-1,1]"], &["--json"]);
        let said = &inspected.stderr;
        assert_eq!(inspected.code, Some(1), "{name}: {said}");
        assert!(said.contains(part), "{name}: `{part}` is not in: {said}");
        assert!(said.contains(&format!("{name}.onnx")), "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
        assert!(json(&inspected.stdout)["error"]["message"].is_string(), "{name}");
        assert!(!inspected.recipe().exists(), "{name}");
    }
}

/// The same weights behind another layout, element type, batch or file.
#[test]
fn variants_of_one_generator_deliver_its_images() {
    let images = |name: &str| {
        let (_folder, dataset) = inspected(name);
        stream(dataset.loader().rank(0, 1).range(0..50).batch(50).workers(1)).remove(0)
    };
    for (plain, variants) in [
        (
            "dynamic-batch",
            &[
                "static-batch-4",
                "static-batch-1",
                "no-batch",
                "nhwc",
                "flat-192",
                "output-f16",
                "output-f64",
                "external-data-inside",
            ][..],
        ),
        ("range-0-1", &["range-0-255", "output-u8"]),
    ] {
        let expected = images(plain);
        for name in variants {
            let delivered = images(name);
            assert_eq!(delivered.images().shape(), expected.images().shape(), "{name}");
            let pairs = delivered.images().bytes().iter().zip(expected.images().bytes());
            // Half precision and other sums round to a neighbouring byte.
            let furthest = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(furthest <= 1, "{name} differs from {plain} by {furthest}");
        }
    }
}

#[test]
fn a_class_decides_what_is_seen() {
    for name in ["class-one-hot", "class-index"] {
        let (folder, dataset) = inspected(name);
        let recipe = folder.path().join("recipe.toml");
        let role = match name {
            "class-index" => "generator.inputs.label.balance={only=[3]}",
            _ => "generator.inputs.y.balance={only=[3]}",
        };
        let only = open(&recipe, &[role]);
        let mut changed = 0;
        for index in 0..20 {
            assert_eq!(only.get(index).unwrap().labels().unwrap(), [3]);
            let (drawn, fixed) = (dataset.get(index).unwrap(), only.get(index).unwrap());
            assert_eq!(drawn.latents(), fixed.latents(), "the class does not move the latent");
            let same = drawn.images().bytes() == fixed.images().bytes();
            assert_eq!(same, drawn.labels().unwrap() == [3], "{name}, sample {index}");
            changed += usize::from(!same);
        }
        assert!(changed > 5, "{name}");
    }
}

#[test]
fn a_constant_is_fed_as_the_recipe_has_it() {
    let (folder, dataset) = inspected("constant-input");
    let recipe = folder.path().join("recipe.toml");
    let other = open(&recipe, &["generator.inputs.alpha.value=0.75"]);
    assert_ne!(dataset.get(0).unwrap().images().bytes(), other.get(0).unwrap().images().bytes());
    assert_ne!(dataset.digest(), other.digest());
}

#[test]
fn a_sample_that_is_not_finite_is_named_and_spoils_no_other() {
    let inspected = inspect("nan-sometimes", &[], &[]);
    let dataset = open(inspected.recipe(), &[]);
    let loader = dataset.loader().rank(0, 1).range(0..64).batch(16).workers(2);
    let delivered: Vec<_> = loader.build().unwrap().collect();
    // Batches before the bad one, then the error, then nothing.
    assert_eq!(delivered.len(), 3);
    assert!(delivered[..2].iter().all(Result::is_ok));
    let error = delivered[2].as_ref().unwrap_err();
    assert_eq!(error.sample(), Some(33));
    assert!(error.to_string().contains("sample 33, view 0"), "{error}");
    assert_eq!(dataset.get(33).unwrap_err().sample(), Some(33));
    for index in [32, 34, 0, 63] {
        dataset.get(index).unwrap();
    }
}

#[test]
fn a_recipe_cannot_be_written_where_it_could_not_name_the_model() {
    let (folder, elsewhere) = (folder_with("dynamic-batch"), tempfile::tempdir().unwrap());
    let written = |output: &Path| {
        let mut command = genset();
        command.arg("inspect").arg(folder.path().join("dynamic-batch.onnx")).arg("-o").arg(output);
        command.output().unwrap()
    };
    let output = written(&elsewhere.path().join("recipe.toml"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("write the recipe beside the model"), "{said}");
    // A folder above will do.
    let above = tempfile::tempdir().unwrap();
    fs::create_dir(above.path().join("models")).unwrap();
    let model = above.path().join("models/g.onnx");
    fs::copy(folder.path().join("dynamic-batch.onnx"), &model).unwrap();
    let recipe = above.path().join("recipe.toml");
    genset().arg("inspect").arg(&model).arg("-o").arg(&recipe).assert().success();
    assert!(fs::read_to_string(&recipe).unwrap().contains("models/g.onnx"));
    open(&recipe, &[]).get(0).unwrap();
}

#[test]
fn without_a_file_the_whole_output_is_the_recipe() {
    let folder = folder_with("nhwc");
    let output = genset().arg("inspect").arg(folder.path().join("nhwc.onnx")).output().unwrap();
    let recipe = folder.path().join("pasted.toml");
    fs::write(&recipe, output.stdout).unwrap();
    open(&recipe, &[]).get(0).unwrap();
}
