//! The recipes under `examples/recipes` run, and say what they are.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{open, options};
use genset::Dataset;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes");
    let mut recipes: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    recipes.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    recipes.sort();
    recipes
}

#[test]
fn every_example_runs_and_is_a_dataset_of_its_own() {
    let mut digests = Vec::new();
    for path in examples() {
        let dataset = open(&path, &["generator.block=4"]);
        let views = dataset.recipe().views.count() as usize;
        let batch = dataset.get(3).unwrap();
        assert_eq!(batch.images().shape()[..2], [1, views], "{}", path.display());
        assert!(!digests.contains(&dataset.digest()), "{}", path.display());
        digests.push(dataset.digest());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(dataset.recipe().name, stem, "a recipe is named as its file");
        assert!(fs::read_to_string(&path).unwrap().starts_with("# "), "{stem} says what it is");
        assert_eq!(dataset.plan(3).unwrap().views.len(), views, "{stem}");
    }
    assert!(digests.len() >= 5);
}

#[test]
fn a_steered_dataset_is_known_by_the_bytes_of_its_walks() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: f32| {
        let data: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), 64).flatten().collect();
        let tensor = TensorView::new(Dtype::F32, vec![64], &data).unwrap();
        safetensors::serialize_to_file([("up", tensor)], None, &folder.path().join(name)).unwrap();
    };
    write("a.safetensors", 0.2);
    write("b.safetensors", 0.2);
    write("c.safetensors", -0.2);
    let recipe = |file: &str| {
        let text = format!(
            "[generator]\nmodel = \"builtin:digits\"\nblock = 2\n[views]\n\
             latent = [{{ op = \"steer\", file = \"{file}\", strength = 1 }}]\n"
        );
        fs::write(folder.path().join("r.toml"), text).unwrap();
        folder.path().join("r.toml")
    };
    let bytes = |dataset: &Dataset| dataset.get(0).unwrap().images().bytes().to_vec();
    let [a, b, c] = ["a", "b", "c"].map(|name| open(recipe(&format!("{name}.safetensors")), &[]));
    assert_eq!((a.digest(), bytes(&a)), (b.digest(), bytes(&b)));
    assert_ne!(a.digest(), c.digest());
    assert_ne!(bytes(&a), bytes(&c));
    assert_eq!(a.plan(0).unwrap().views[0].to_string(), "steer up 1");

    let error = Dataset::open_with(recipe("d.safetensors"), options(&[])).unwrap_err().to_string();
    assert!(error.contains("views.latent[0].file: "), "{error}");
}
