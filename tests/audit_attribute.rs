//! What an audit of attributes says is so: an attribute that edits take out can no longer be read
//! from the images, one that they leave can, and the images are of their classes still.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{genset, json};
use serde_json::Value;

/// A recipe of digits that edits along `dirs.safetensors`, with these keys.
fn recipe(folder: &Path, keys: &str) -> PathBuf {
    let path = folder.join("recipe.toml");
    let text = format!(
        "generator.model = \"builtin:digits\"\n[[edit]]\nfile = \"dirs.safetensors\"\n{keys}\n"
    );
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn audit(recipe: &Path, arguments: &[&str]) -> Value {
    let output = genset().arg("audit").arg(recipe).args(arguments).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    json(&output.stdout)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number: {value}"))
}

#[test]
fn an_attribute_whose_gradients_are_taken_out_cannot_be_read_and_another_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dirs.safetensors");
    let found = genset()
        .args(["directions", "builtin:digits", "--method", "gradient", "--attribute", "slant"])
        .args(["--count", "6", "--samples", "128", "--held-out", "16", "--strip-samples", "1"])
        .arg("-o")
        .arg(&file)
        .arg("--json")
        .output()
        .unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let found = json(&found.stdout);
    let names: Vec<_> =
        found["directions"].as_array().unwrap().iter().map(|d| &d["name"]).collect();
    assert_eq!(names, ["slant", "slant-2", "slant-3", "slant-4", "slant-5", "slant-6"]);
    let shares: Vec<f64> =
        found["directions"].as_array().unwrap().iter().map(|d| number(&d["share"])).collect();
    assert!(shares[0] > 0.7 && shares.is_sorted_by(|a, b| a >= b), "{shares:?}");

    let recipe = recipe(folder.path(), "op = \"remove\"");
    let arguments =
        ["--attribute", "slant", "--attribute", "thickness", "--samples", "800", "--seed", "1"];
    let report = audit(&recipe, &arguments);
    assert_eq!((&report["told"][0], &report["apart"]), (&1744.into(), &true.into()));
    let [slant, thickness] = &report["attributes"].as_array().unwrap()[..] else { panic!("two") };
    for attribute in [slant, thickness] {
        assert!(number(&attribute["probes"][0]["before"]["linear"]["value"]) > 0.85, "{attribute}");
        assert_eq!(attribute["before"]["images"], 800);
    }
    // Far below the 90 and more of unedited images, and around chance: the standard error is 1.8.
    for kind in ["linear", "knn"] {
        let value = number(&slant["probes"][0]["after"][kind]["value"]);
        assert!((value - 0.5).abs() < 0.07, "{kind}: {value}");
        assert!(number(&report["classes"][0]["difference"][kind]["value"]) > -0.02, "{report}");
    }
    assert!(number(&slant["variance_left"]) < 0.06, "{slant}");
    assert!(number(&thickness["variance_left"]) > 0.5, "{thickness}");
    assert!(number(&thickness["probes"][0]["after"]["linear"]["value"]) > 0.75, "{thickness}");
    assert_eq!(thickness["removed"], false);
}

#[test]
fn a_fixed_coordinate_narrows_and_moves_the_attribute() {
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes");
    let directions = examples.join("digits-directions.safetensors");
    fs::copy(directions, folder.path().join("dirs.safetensors")).unwrap();
    let recipe = recipe(folder.path(), "directions = [\"slant\"]\nop = \"fix\"\nvalue = 2");
    let encoder = folder.path().join("encoder.onnx");
    let encoder = encoder.to_str().unwrap();
    let write = ["encoder", "conv-small", "--channels", "1", "--size", "28", "-o", encoder];
    assert!(genset().args(write).output().unwrap().status.success());
    let few = ["--attribute", "slant", "--samples", "200", "--from", "0", "--encoder", encoder];
    let report = audit(&recipe, &few);
    assert_eq!(report["apart"], false, "the directions were found on these samples");
    let slant = &report["attributes"][0];
    for (list, key) in [(&slant["probes"], "before"), (&report["classes"], "before")] {
        let of = |at: usize| (&list[at]["features"], number(&list[at][key]["linear"]["value"]));
        assert_eq!((of(0).0, of(1).0), (&"raw pixels".into(), &"encoder".into()));
        assert_ne!(of(0).1, of(1).1);
    }
    let (before, after) = (&slant["before"], &slant["after"]);
    assert!(number(&after["mean"]) > number(&before["quantiles"][4]), "{slant}");
    assert!(number(&after["std"]) < number(&before["std"]), "{slant}");
    assert!(number(&slant["same_side"]) < 0.65, "{slant}");
    let text = genset()
        .arg("audit")
        .arg(&recipe)
        .args(["--attribute", "all", "--samples", "100"])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    for words in ["slant: mu11 / mu02", "thickness: ", "edited - unedited", "not removed: "] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_cannot_be_audited_is_said() {
    let fails = |arguments: &[&str]| {
        let output = genset().arg("audit").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let error = fails(&["builtin:digits"]);
    assert!(error.contains("--against") && error.contains("--attribute"), "{error}");
    let error = fails(&["builtin:digits", "--attribute", "slant", "--level", "0.1"]);
    assert!(error.contains("'--attribute <NAME>' cannot be used with '--level"), "{error}");
    let error = fails(&["builtin:digits", "--attribute", "slant"]);
    assert!(error.contains("the recipe has no edits"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes");
    let directions = examples.join("digits-directions.safetensors");
    fs::copy(directions, folder.path().join("dirs.safetensors")).unwrap();
    let recipe = recipe(folder.path(), "op = \"remove\"");
    let error = fails(&[recipe.to_str().unwrap(), "--attribute", "slnat"]);
    assert!(error.contains("did you mean `slant`?"), "{error}");
}
