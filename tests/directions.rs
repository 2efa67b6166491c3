//! Directions keep their word: they do on unseen latents what their names say, the same run is the
//! same file, and what cannot be found is refused with a way out.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{DIGITS, folder_with_recipe, genset, json, models, open, options};
use genset::directions::{Explorer, FORMAT, Method, Settings, attributes};
use genset::load::{Options, Stop, read_recipe};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tempfile::TempDir;

/// Enough samples for 64 elements, few enough for a test.
const FEW: [[&str; 2]; 3] =
    [["--samples", "1500"], ["--held-out", "200"], ["--strip-samples", "2"]];

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The verb on `recipe` with `arguments`, and few samples where those do not say how many.
fn verb(recipe: &Path, arguments: &[&str], file: &Path) -> assert_cmd::Command {
    let mut command = genset();
    command.arg("directions").arg(recipe).arg("-o").arg(file).args(arguments);
    for few in FEW.iter().filter(|few| !arguments.contains(&few[0])) {
        command.args(few);
    }
    command
}

/// Runs the verb on `recipe` with `arguments`, and gives the report and the file.
#[track_caller]
fn find(recipe: &Path, arguments: &[&str], folder: &Path) -> (Value, Vec<u8>) {
    let file = folder.join("dirs.safetensors");
    let output = verb(recipe, arguments, &file).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    (json(&output.stdout), fs::read(file).unwrap())
}

/// What the verb says when it fails; it must leave no file behind.
#[track_caller]
fn fails(code: i32, recipe: &Path, arguments: &[&str]) -> String {
    let folder = folder();
    let file = folder.path().join("dirs.safetensors");
    let output = verb(recipe, arguments, &file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    said
}

fn effect<'v>(report: &'v Value, direction: &str, attribute: &str) -> &'v Value {
    let by = |list: &'v Value, key: &str, name: &str| {
        let mut found = list.as_array().unwrap().iter();
        found.find(|entry| entry[key] == name).unwrap_or_else(|| panic!("{name} in {list}"))
    };
    by(&by(&report["directions"], "name", direction)["effects"], "attribute", attribute)
}

fn odd(name: &str) -> (TempDir, PathBuf) {
    let folder = folder_with_recipe(name, "");
    let recipe = folder.path().join("recipe.toml");
    let infer = genset()
        .arg("inspect")
        .arg(folder.path().join(format!("{name}.onnx")))
        .args(["--set", "generator.output.range=[-1,1]", "-o"])
        .arg(&recipe)
        .output()
        .unwrap();
    assert!(infer.status.success(), "{}", String::from_utf8_lossy(&infer.stderr));
    (folder, recipe)
}

#[test]
fn regressed_directions_move_their_attributes_on_unseen_latents() {
    let folder = folder();
    let (report, file) = find(Path::new(DIGITS), &[], folder.path());
    assert_eq!((&report["method"], &report["input"]), (&"regress".into(), &"z".into()));
    assert_eq!(report["fitted"], serde_json::json!([0, 1500]));
    assert_eq!(report["held_out"], serde_json::json!([1500, 1700]));
    let gray = attributes().iter().filter(|attribute| !attribute.colour).count();
    assert_eq!(report["directions"].as_array().unwrap().len(), gray);
    for (name, least) in
        [("slant", 0.6), ("thickness", 0.5), ("vertical-position", 0.4), ("size", 0.2)]
    {
        let effect = effect(&report, name, name);
        let number = |key: &str| effect[key].as_f64().unwrap();
        assert!(number("in_std") > least && number("t") > 10.0, "{name}: {effect}");
        assert!(effect["interval"][0].as_f64().unwrap() > 0.0, "{name}: {effect}");
        assert_eq!(effect["pairs"], 200, "{name}: {effect}");
        let strip = folder.path().join(format!("dirs-strips/{name}.png"));
        assert!(fs::read(strip).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    // Slant is a thing of its own.
    assert!(effect(&report, "slant", "thickness")["in_std"].as_f64().unwrap().abs() < 0.2);

    let tensors = SafeTensors::deserialize(&file).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&file).unwrap();
    let metadata = metadata.metadata().clone().unwrap();
    assert_eq!(metadata["format"], FORMAT);
    assert_eq!((metadata["input"].as_str(), metadata["method"].as_str()), ("z", "regress"));
    assert!(metadata["model"].contains("digits"), "{}", metadata["model"]);
    let kept: Value = serde_json::from_str(&metadata["report"]).unwrap();
    assert_eq!(kept["directions"], report["directions"]);
    assert_eq!(tensors.len(), gray);
    for (name, tensor) in tensors.tensors() {
        assert!(!name.contains('.') && name == name.to_lowercase(), "{name}");
        assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[64][..]));
        let values = tensor.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let length: f32 = values.map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{name}: {length}");
    }
}

#[test]
fn the_same_run_is_the_same_file_and_the_library_does_what_the_verb_does() {
    let (one, two) = (folder(), folder());
    let arguments = ["--attribute", "slant", "--attribute", "size", "--conditional"];
    let (_, first) = find(Path::new(DIGITS), &arguments, one.path());
    let (_, second) = find(Path::new(DIGITS), &arguments, two.path());
    assert_eq!(first, second);
    let strip = |folder: &TempDir| fs::read(folder.path().join("dirs-strips/slant.png")).unwrap();
    assert_eq!(strip(&one), strip(&two));

    let recipe = read_recipe(Path::new(DIGITS), &[]).unwrap();
    let mut explorer = Explorer::open(&recipe, &options(&[]), None).unwrap();
    let settings = Settings {
        method: Method::Regress { ridge: 1e-3, conditional: true },
        samples: 1500,
        held_out: 200,
        attributes: vec!["slant".into(), "size".into()],
        ..Settings::default()
    };
    let mut last = (0, 0);
    let found =
        explorer.find(&settings, &Stop::new(), &mut |done, total| last = (done, total)).unwrap();
    assert_eq!(found.to_bytes().unwrap(), first);
    // Fitted, measured, and measured again on both sides of two directions.
    assert_eq!(last, (1500 + 200 + 4 * 200, 1500 + 200 + 4 * 200));
    assert!(found.report.direction("slant").unwrap().effect("slant").unwrap().is_significant());
}

#[test]
fn views_and_size_of_the_dataset_do_not_matter() {
    let directions = |settings: &[&str]| {
        let recipe = open(DIGITS, settings).generated().unwrap().recipe().clone();
        let mut explorer = Explorer::open(&recipe, &Options::default(), None).unwrap();
        let settings = Settings {
            method: Method::Sefa { layers: vec![] },
            samples: 0,
            held_out: 16,
            count: 2,
            ..Settings::default()
        };
        let found = explorer.find(&settings, &Stop::new(), &mut |_, _| ()).unwrap();
        found.to_bytes().unwrap()
    };
    assert_eq!(directions(&[]), directions(&["views.count=3", "samples=10"]));
}

#[test]
fn sefa_reads_the_weights_of_the_first_layer() {
    for (name, shape) in [
        ("latent-spatial", &[8, 1, 1][..]),
        ("class-one-hot", &[8]),
        ("class-index", &[8]),
        ("intermediate-latent", &[2, 8]),
        ("no-batch", &[8]),
    ] {
        let (folder, recipe) = odd(name);
        let (report, file) = find(&recipe, &["--method", "sefa", "--count", "3"], folder.path());
        let dataset = open(&recipe, &[]);
        let input = dataset
            .generated()
            .unwrap()
            .contract()
            .inputs
            .iter()
            .find(|input| report["input"] == input.name.as_str())
            .unwrap();
        let layers = dataset
            .generated()
            .unwrap()
            .model()
            .linear_layers(&input.name, &input.row, input.batched)
            .layers;
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let mut last = f64::INFINITY;
        for direction in report["directions"].as_array().unwrap() {
            let tensor = tensors.tensor(direction["name"].as_str().unwrap()).unwrap();
            assert_eq!(tensor.shape(), shape, "{name}");
            let bytes = tensor.data().chunks(4);
            let step: Vec<f64> =
                bytes.map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect();
            // The squared length of what a step adds to the layers is the eigenvalue.
            let mut squares = 0.0;
            for layer in &layers {
                for output in 0..layer.outputs {
                    let weight =
                        |row: usize| f64::from(layer.weights[row * layer.outputs + output]);
                    let rows = layer.elements.iter().enumerate();
                    squares += rows.map(|(row, e)| weight(row) * step[*e]).sum::<f64>().powi(2);
                }
            }
            let eigenvalue = direction["eigenvalue"].as_f64().unwrap();
            assert!((squares / eigenvalue - 1.0).abs() < 1e-4, "{name}: {squares} {eigenvalue}");
            assert!(eigenvalue <= last, "{name}");
            last = eigenvalue;
        }
    }
}

#[test]
fn layers_can_be_chosen_and_wrong_ones_are_named() {
    let (_folder, recipe) = odd("intermediate-latent");
    let said = fails(2, &recipe, &["--method", "sefa", "--layers", "nowhere"]);
    assert!(said.contains("no layer `nowhere` that reads input `w`"), "{said}");
    assert!(said.contains("there are: 1 MatMul"), "{said}");
    let folder = folder();
    let (report, _) = find(&recipe, &["--method", "sefa", "--layers", "1"], folder.path());
    assert_eq!(report["source"].as_array().unwrap().len(), 1);
}

#[test]
fn pca_of_the_first_layer_finds_what_sefa_finds() {
    let folder = folder();
    let of = |method: &str| {
        let arguments = ["--method", method, "--count", "1", "--attribute", "slant"];
        let (report, file) = find(Path::new(DIGITS), &arguments, folder.path());
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let tensor = tensors.tensor(&format!("{method}-1")).unwrap();
        let bytes = tensor.data().chunks(4);
        let values: Vec<f32> = bytes.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (values, report)
    };
    let ((sefa, _), (pca, report)) = (of("sefa"), of("pca"));
    let along: f32 = sefa.iter().zip(&pca).map(|(a, b)| a * b).sum();
    assert!(along > 0.98, "for normal latents they are one: {along}");
    assert_eq!(report["directions"][0]["moves"], "slant");
}

#[test]
fn activations_are_looked_up_by_name() {
    let digits = Path::new(DIGITS);
    let pca = |name| ["--method", "pca", "--activation", name, "--samples", "200"];
    let said = fails(1, digits, &pca("linaer"));
    assert!(said.contains("no node makes a tensor `linaer`"), "{said}");
    assert!(said.contains("among them linear"), "{said}");
    let said = fails(2, digits, &pca("z"));
    assert!(said.contains("varies alike in every direction"), "{said}");
}

#[test]
fn a_scorer_gives_attributes_of_ones_own() {
    let (folder, recipe) = odd("dynamic-batch");
    let scorer = models().join("not-a-generator.onnx");
    let scorer = scorer.to_str().unwrap();
    let (report, _) = find(&recipe, &["--scorer", scorer], folder.path());
    let names: Vec<&str> = report["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attribute| attribute["name"].as_str().unwrap())
        .collect();
    let scores: Vec<&&str> = names.iter().filter(|name| name.starts_with("logits-")).collect();
    assert_eq!(scores.len(), 7, "{names:?}");
    assert!(names.contains(&"brightness"));
    let moved = names.iter().filter(|name| {
        name.starts_with("logits-") && effect(&report, name, name)["t"].as_f64().unwrap() > 5.0
    });
    assert!(moved.count() >= 4, "{report}");
    let (report, _) =
        find(&recipe, &["--scorer", scorer, "--attribute", "logits-3"], folder.path());
    assert!(effect(&report, "logits-3", "logits-3")["t"].as_f64().is_some());
    assert_eq!(report["attributes"].as_array().unwrap().len(), 7);
}

#[test]
fn what_cannot_be_measured_is_refused_with_a_way_out() {
    let digits = Path::new(DIGITS);
    let scorer = models().join("not-a-generator.onnx");
    for (arguments, parts) in [
        (vec!["--attribute", "slnat"], ["no attribute `slnat`", "did you mean `slant`?"]),
        (vec!["--attribute", "charm"], ["no attribute `charm`", "for others use a scorer"]),
        (vec!["--attribute", "warmth"], ["`warmth` needs colour", "gray"]),
        (vec!["--held-out", "4"], ["at least 8 samples", "held out"]),
        (vec!["--samples", "20"], ["20 samples are too few for 64 elements", "use at least 64"]),
        (vec!["--step", "0"], ["the step", "more than 0"]),
        (vec!["--layers", "1"], ["--layers belongs", "--method sefa"]),
        (vec!["--method", "sefa", "--conditional"], ["--conditional belongs", "--method regress"]),
        (vec!["--input", "w"], ["no latent input `w`", "it has: z"]),
    ] {
        let said = fails(2, digits, &arguments);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let said = fails(1, digits, &["--scorer", scorer.to_str().unwrap()]);
    let parts = ["not-a-generator.onnx", "[N, 3, 8, 8]", "images are f32 [N, 1, 28, 28]", "Resize"];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    let said = fails(1, digits, &["--scorer", "missing.onnx"]);
    assert!(said.contains("scorer missing.onnx"), "{said}");
}

#[test]
fn the_latent_must_be_there_and_be_one() {
    let noise = ["--set", "generator.inputs.z={role=\"noise\"}"];
    let said = fails(2, Path::new(DIGITS), &noise);
    assert!(said.contains("no latent input") && said.contains("role = \"latent\""), "{said}");
    let text = "generator.inputs.content={role=\"latent\"}\n\
                generator.inputs.style={role=\"latent\"}\n\
                generator.output={layout=\"NCHW\", range=[-1, 1]}\n";
    let folder = folder_with_recipe("two-latents", text);
    let recipe = folder.path().join("recipe.toml");
    let said = fails(2, &recipe, &[]);
    assert!(said.contains("2 latent inputs") && said.contains("--input: content, style"), "{said}");
    let (report, file) =
        find(&recipe, &["--input", "style", "--attribute", "brightness"], folder.path());
    assert_eq!((&report["input"], &report["shape"]), (&"style".into(), &serde_json::json!([4])));
    assert_eq!(SafeTensors::deserialize(&file).unwrap().len(), 1);
}

#[test]
fn sefa_without_a_linear_layer_names_what_it_met() {
    // The noise of a layer is added to what a convolution reads as an image.
    let text = "generator.inputs.noise_4={role=\"latent\"}\n\
                generator.inputs.z={role=\"noise\"}\n\
                generator.inputs.noise_8={role=\"noise\"}\n\
                generator.output={layout=\"NCHW\", range=[-1, 1]}\n";
    let folder = folder_with_recipe("noise-inputs", text);
    let said = fails(1, &folder.path().join("recipe.toml"), &["--method", "sefa"]);
    let parts =
        ["noise-inputs.onnx", "no linear layer", "input `noise_4`; met ", "--method regress"];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn weights_in_other_files_are_no_riddle() {
    let (_folder, recipe) = odd("external-data-inside");
    let said = fails(1, &recipe, &["--method", "sefa"]);
    assert!(said.contains("its weights lie in other files"), "{said}");
    assert!(said.contains("save the model as one file"), "{said}");
    find(&recipe, &["--attribute", "brightness"], folder().path());
}

#[test]
fn the_table_names_what_else_moves() {
    let folder = folder();
    let file = folder.path().join("d.safetensors");
    let arguments = ["--attribute", "slant", "--attribute", "thickness"];
    let output = verb(Path::new(DIGITS), &arguments, &file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["builtin:digits: 2 direction(s) of input `z` [64] by regress", "R²", "95 %"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(text.lines().any(|line| line.starts_with("slant") && line.ends_with("nothing else")));
    assert!(folder.path().join("d-strips/thickness.png").exists());
    let help = genset().args(["directions", "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    for flag in ["--method <METHOD>", "--scorer <ONNX>", "--held-out <N>", "--provider", "--json"] {
        assert!(help.contains(flag), "{flag} is not in: {help}");
    }
}
