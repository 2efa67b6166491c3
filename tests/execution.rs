//! Promises about edits of a generator's graph: which are taken is said and can be asked for, and
//! what must be the same bytes with and without them is.

mod common;

use std::fs;

use common::{DIGITS, folder_with, folder_with_recipe, genset, json, open, options, stream};
use genset::generate::execution::{Edit, Profile, Rewrites};
use genset::load::Options;
use genset::{Dataset, Kind};
use tempfile::TempDir;

/// The recipe in `folder`, opened with `rewrites`.
fn with(folder: &TempDir, settings: &[&str], rewrites: &str) -> genset::Result<Dataset> {
    let options = Options { rewrites: rewrites.parse()?, ..options(settings) };
    Dataset::open_with(folder.path().join("recipe.toml"), options)
}

fn digits(settings: &[&str], rewrites: &str) -> genset::Result<Dataset> {
    Dataset::open_with(DIGITS, Options { rewrites: rewrites.parse()?, ..options(settings) })
}

/// The bytes of the first samples, as a loader with these settings delivers them.
fn bytes(dataset: &Dataset, batch: usize, workers: usize) -> Vec<u8> {
    let loader = dataset.loader().range(0..150).batch(batch).workers(workers).rank(0, 1);
    stream(loader).iter().flat_map(|batch| batch.images().bytes().to_vec()).collect()
}

const LATENT: &str = "samples = 1000\ngenerator.block = 16\ngenerator.inputs.z.role = \"latent\"\n";

#[test]
fn an_epilogue_delivers_the_bytes_that_the_view_stage_delivers() {
    for (model, output) in [
        ("dynamic-batch", "layout = \"NCHW\"\nrange = [-1, 1]"),
        // Another range than the model's is clamped.
        ("dynamic-batch", "layout = \"NCHW\"\nrange = [-0.3, 0.71]"),
        ("dynamic-batch", "layout = \"NCHW\"\nrange = [0.5, -0.5]"),
        ("static-batch-4", "layout = \"NCHW\"\nrange = [-1, 1]"),
        ("nhwc", "layout = \"NHWC\"\nrange = [-1, 1]"),
        ("flat-192", "layout = \"flat\"\nrange = [-1, 1]\nshape = [3, 8, 8]"),
        ("channels-1", "layout = \"NCHW\"\nrange = [-1, 1]"),
        ("channels-4", "layout = \"NCHW\"\nrange = [-1, 1]"),
        ("output-f16", "layout = \"NCHW\"\nrange = [-1, 1]"),
        ("range-0-255", "layout = \"NCHW\"\nrange = [0, 255]"),
        // Ends in a convolution or product that a runtime could take the scale into.
        ("unknown-range", "layout = \"NCHW\"\nrange = [-1, 1]"),
    ] {
        for layout in ["NCHW", "NHWC"] {
            let recipe = format!(
                "{LATENT}[generator.output]\n{output}\n[views]\ncount = 2\n\
                 latent = [{{ op = \"gaussian\", std = 0.5 }}]\n[output]\nlayout = \"{layout}\"\n"
            );
            let folder = folder_with_recipe(model, &recipe);
            let plain = with(&folder, &[], "none").unwrap();
            let edited = with(&folder, &[], "epilogue").unwrap();
            assert_eq!(edited.generated().unwrap().rewrites().len(), 1, "{model}");
            assert_eq!(plain.digest(), edited.digest());
            let truth = bytes(&plain, 64, 1);
            assert!(truth.iter().any(|byte| *byte != truth[0]), "{model}: a real image");
            assert!(bytes(&edited, 64, 1) == truth, "{model}, {output}, {layout}");
            let sample = edited.get(77).unwrap();
            assert_eq!(sample.images().bytes(), plain.get(77).unwrap().images().bytes());
        }
    }
}

#[test]
fn a_bad_image_is_named_through_an_epilogue() {
    for (model, first) in [("nan-always", 0), ("nan-sometimes", 33)] {
        let folder = folder_with_recipe(
            model,
            &format!("{LATENT}[generator.output]\nlayout = \"NCHW\"\nrange = [-1, 1]\n"),
        );
        let plain = with(&folder, &["generator.block=256"], "none").unwrap();
        let edited = with(&folder, &["generator.block=256"], "epilogue").unwrap();
        for workers in [1, 3] {
            let bad = |dataset: &Dataset| {
                let mut loader =
                    dataset.loader().workers(workers).rank(0, 1).batch(7).build().unwrap();
                let error = loader.find_map(Result::err).unwrap();
                (error.kind(), error.sample(), error.to_string())
            };
            assert_eq!(bad(&edited), bad(&plain));
            assert_eq!(bad(&edited).1, Some(first), "{model}");
        }
        for index in 25..50 {
            match (plain.get(index), edited.get(index)) {
                (Ok(a), Ok(b)) => assert_eq!(a.images().bytes(), b.images().bytes()),
                (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
                (a, b) => panic!("sample {index}: {a:?} but {b:?}"),
            }
        }
    }
}

#[test]
fn an_input_that_never_changes_may_be_a_constant() {
    let output = "[generator.output]\nlayout = \"NCHW\"\nrange = [-1, 1]\n";
    for (model, input, said) in [
        (
            "class-one-hot",
            "y",
            "role=\"class\", encoding=\"one-hot\", classes=5, balance={only=[3]}",
        ),
        (
            "class-index",
            "label",
            "role=\"class\", encoding=\"index\", classes=5, balance={only=[2]}",
        ),
        ("truncation-input", "truncation_psi", "role=\"truncation\", value=0.7"),
        ("constant-input", "alpha", "role=\"constant\", value=0.25"),
    ] {
        let folder = folder_with_recipe(model, &format!("{LATENT}{output}"));
        let input = input_of(&folder, model, input);
        let setting = format!("generator.inputs.{input}={{{said}}}");
        let plain = with(&folder, &[&setting], "none").unwrap();
        let edited = with(&folder, &[&setting], "fixed-inputs").unwrap();
        assert_eq!(
            edited.generated().unwrap().rewrites()[0].to_string(),
            format!("fixed-inputs@{input}")
        );
        for (batch, workers) in [(64, 1), (13, 3)] {
            assert!(bytes(&edited, batch, workers) == bytes(&plain, batch, workers), "{model}");
        }
    }
}

#[test]
fn what_only_fits_beside_constants_brings_them_along() {
    let only = "generator.inputs.y.balance={only=[3]}";
    assert!(digits(&[], "split-label").is_err(), "labels differ");
    let plain = digits(&[only], "none").unwrap();
    let edited = digits(&[only], "split-label").unwrap();
    let kinds: Vec<_> =
        edited.generated().unwrap().rewrites().iter().map(|edit| edit.rewrite.name()).collect();
    assert!(kinds.contains(&"split-label") && kinds.contains(&"fixed-inputs"), "{kinds:?}");
    let (truth, images) = (bytes(&plain, 64, 1), bytes(&edited, 64, 2));
    assert!(truth.iter().zip(&images).all(|(a, b)| a.abs_diff(*b) <= 1));
}

/// The name of the input of the model that is no latent.
fn input_of(folder: &TempDir, model: &str, guess: &str) -> String {
    let path = folder.path().join(format!("{model}.onnx"));
    let model = genset::graph::Model::read(&path).unwrap();
    let mut names = model.inputs().iter().map(|input| input.name.clone());
    names.find(|name| name != "z").unwrap_or_else(|| guess.to_owned())
}

#[test]
fn workers_and_batches_change_no_byte_with_rewrites() {
    let all = digits(&[], "none").unwrap();
    let fitting: Vec<Edit> = all.generated().unwrap().offers().edits().to_vec();
    let mut taken: Vec<Edit> = Vec::new();
    for edit in fitting {
        if !taken.iter().any(|other| other.excludes(&edit)) {
            taken.push(edit);
        }
    }
    let options = Options { rewrites: Rewrites::exactly(&taken), ..options(&[]) };
    let edited = Dataset::open_with(DIGITS, options).unwrap();
    assert_eq!(edited.generated().unwrap().rewrites(), taken);
    let truth = bytes(&edited, 150, 1);
    for (batch, workers) in [(1, 2), (7, 3), (64, 4)] {
        assert!(bytes(&edited, batch, workers) == truth, "{batch}, {workers}");
    }
    // Rounding apart, they are the same images.
    let plain = bytes(&all, 150, 1);
    assert!(truth.iter().zip(&plain).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |settings: &[&str], rewrites: &str, words: &[&str]| {
        let error = digits(settings, rewrites).unwrap_err();
        assert_eq!(error.kind(), Kind::Argument, "{error}");
        words.iter().for_each(|word| assert!(error.to_string().contains(word), "{error}"));
    };
    refused(&[], "fases", &["unknown rewrite `fases`", "epilogue"]);
    refused(&[], "fixed-inputs", &["`fixed-inputs` fits nothing", "`only` one class"]);
    refused(&["output.dtype=\"f32\""], "epilogue", &["`epilogue` fits nothing", "u8"]);
    refused(&["views.pixel=[{op=\"flip\"}]"], "epilogue", &["without pixel operations"]);
    refused(&[], "epilogue@nowhere", &["fits not `nowhere`"]);
    let edit = Edit { rewrite: "epilogue".parse().unwrap(), node: "nowhere".into() };
    let error = digits(&[], "none").unwrap().executed_with(&[edit]).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    // On the command line it is an error of usage.
    let output = genset().args(["digest", DIGITS, "--rewrites", "fases"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown rewrite"));
}

#[test]
fn weights_in_other_files_leave_the_graph_as_it_is() {
    let folder = folder_with("external-data-inside");
    let recipe = format!(
        "generator.model = \"external-data-inside.onnx\"\n{LATENT}\
         [generator.output]\nlayout = \"NCHW\"\nrange = [-1, 1]\n"
    );
    fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    assert!(with(&folder, &[], "auto").unwrap().generated().unwrap().offers().edits().is_empty());
    assert_eq!(with(&folder, &[], "epilogue").unwrap_err().kind(), Kind::Argument);
}

#[test]
fn a_report_names_the_rewrites_in_force() {
    let digest = |rewrites: &str| {
        let arguments = ["digest", DIGITS, "--count", "64", "--json", "--rewrites", rewrites];
        json(&genset().args(arguments).output().unwrap().stdout)
    };
    let (document, plain) = (digest("epilogue"), digest("none"));
    assert_eq!(document["rewrites"][0]["rewrite"], "epilogue");
    assert_eq!(plain["rewrites"].as_array().map(Vec::len), Some(0));
    assert_eq!(plain["blake3"], document["blake3"]);
}

/// A profile of the dataset, to be changed.
fn profile(dataset: &Dataset, rewrites: Vec<Edit>) -> Profile {
    Profile {
        genset: "0.1.0".into(),
        key: dataset.generated().unwrap().profile_key().unwrap(),
        rewrites,
        sessions: 3,
        threads: 2,
        measured: [("images_per_second".to_owned(), 1234.5)].into(),
    }
}

#[test]
fn a_profile_is_followed_and_one_that_does_not_fit_is_an_error() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("profiles");
    let dataset = digits(&[], "none").unwrap();
    let key = dataset.generated().unwrap().profile_key().unwrap();
    assert_eq!(Profile::load_from(&folder, &key).unwrap(), None);
    let edits: Vec<_> = dataset
        .generated()
        .unwrap()
        .offers()
        .edits()
        .iter()
        .filter(|e| e.rewrite.name() == "epilogue")
        .cloned()
        .collect();
    let stored = profile(&dataset, edits.clone());
    let path = stored.store_in(&folder).unwrap();
    assert_eq!(Profile::load_from(&folder, &key).unwrap(), Some(stored));

    let runtime = dataset.generated().unwrap().runtime().path().to_owned();
    let digest = || {
        let mut command = genset();
        command.env("GENSET_CACHE", cache.path()).arg("digest").arg(DIGITS);
        let output = command.args(["--count", "64", "--json", "--ort"]).arg(&runtime).output();
        json(&output.unwrap().stdout)
    };
    let document = digest();
    assert_eq!(document["rewrites"][0]["rewrite"], "epilogue", "{document}");
    // What no longer fits is never passed over.
    let nowhere = vec![Edit { node: "nowhere".into(), ..edits[0].clone() }];
    profile(&dataset, nowhere).store_in(&folder).unwrap();
    let document = digest();
    assert_eq!(document["error"]["kind"], "state", "{document}");
    let said = document["error"].to_string();
    assert!(said.contains("nowhere") && said.contains("genset tune"), "{said}");
    for broken in ["", "{}", "{\"genset\": 1}"] {
        fs::write(&path, broken).unwrap();
        let error = Profile::load_from(&folder, &key).unwrap_err();
        assert_eq!(error.kind(), Kind::State);
        let text = error.to_string();
        assert!(text.contains(&*path.to_string_lossy()) && text.contains("genset tune"), "{text}");
    }
    // A file under the name of another.
    let mut other = profile(&dataset, edits);
    other.key.cpu = "another".into();
    let elsewhere = other.store_in(&folder).unwrap();
    fs::rename(elsewhere, &path).unwrap();
    let error = Profile::load_from(&folder, &key).unwrap_err().to_string();
    assert!(error.contains("another model or machine"), "{error}");
}

#[test]
fn a_loader_has_the_sessions_that_were_asked_for() {
    let dataset = open(DIGITS, &[]);
    assert_eq!(dataset.loader().workers(2).build().unwrap().workers(), 2);
}
