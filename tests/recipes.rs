//! The recipes under `examples/recipes` run, and say what they are.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{digests, open, options, stream};
use genset::Dataset;
use genset::load::{Images, SampleDigests};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes");
    let mut recipes: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    recipes.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    recipes.sort();
    recipes
}

/// The settings of Jahanian et al. (2022), multi-crop, echoes, edits, and what the benchmarks stream.
const SETTINGS: [&str; 12] = [
    "digits-echo",
    "edited",
    "fashion-simclr",
    "latent-only",
    "latent-pixel",
    "multi-crop",
    "pixel-only",
    "pool-1",
    "pool-20",
    "pool-5",
    "same-class",
    "steered-pixel",
];

#[test]
fn every_setting_has_an_example_that_says_what_it_is() {
    let examples = examples();
    let stems: Vec<_> = examples.iter().map(|e| e.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(stems, SETTINGS);
    for (path, stem) in examples.iter().zip(stems) {
        assert!(fs::read_to_string(path).unwrap().starts_with("# "), "{stem}");
        assert_eq!(open(path, &[]).name(), stem, "a recipe is named as its file");
    }
}

#[test]
fn every_example_streams_and_is_a_dataset_of_its_own() {
    let mut known = Vec::new();
    for path in examples() {
        let dataset = open(&path, &["samples=400"]);
        let name = path.display();
        assert!(!known.contains(&dataset.digest()), "{name}");
        known.push(dataset.digest());

        let mut truth = SampleDigests::new();
        (0..100).for_each(|i| truth.add(&dataset.get(i).unwrap()));
        let loader = dataset.loader().range(0..100).rank(0, 1).batch(33).workers(2);
        assert_eq!(digests(&stream(loader)), truth, "{name}");

        let sample = dataset.get(3).unwrap();
        let of_group = |group: &Images| -> Vec<Vec<u8>> {
            (0..group.shape()[1]).map(|view| group.view_bytes(0, view).to_vec()).collect()
        };
        let views: Vec<Vec<u8>> = sample.groups().iter().flat_map(of_group).collect();
        assert_eq!(
            views.len(),
            dataset.generated().unwrap().recipe().views.count() as usize,
            "{name}"
        );
        assert_eq!(views.len(), dataset.plan(3).unwrap().views.len(), "{name}");
        assert!(views.windows(2).all(|pair| pair[0] != pair[1]), "{name}: views differ");
    }
}

#[test]
fn an_edited_dataset_is_known_by_its_edits_and_delivers_the_latents_that_made_its_images() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes/edited.toml");
    let (edited, plain) = (open(&path, &["samples=64"]), open(&path, &["samples=64", "edit=[]"]));
    assert_ne!(edited.digest(), plain.digest());
    let file = fs::read(path.with_file_name("digits-directions.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&file).unwrap();
    let direction = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap().data();
        data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let (slant, thickness) = (direction("slant"), direction("thickness"));
    let along =
        |latent: &[f32], d: &[f32]| -> f32 { latent.iter().zip(d).map(|(z, d)| z * d).sum() };
    let batch = edited
        .loader()
        .batch(64)
        .latents(true)
        .rank(0, 1)
        .build()
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let latents = batch.latents().unwrap();
    assert_eq!(latents.shape(), [64, 2, 64]);
    let mut hasher = blake3::Hasher::new();
    latents.iter().for_each(|value| _ = hasher.update(&value.to_le_bytes()));
    assert_eq!(&hasher.finalize().to_hex()[..16], "cfe5a5483d96c1ed", "on every machine");
    for sample in 0..64 {
        let plan = edited.plan(sample as u64).unwrap();
        let drawn = plan.edits[1].values["thickness"];
        assert!((-2.0..2.0).contains(&drawn));
        for (view, planned) in plan.inputs[0].views.iter().enumerate() {
            let latent = latents.slice(ndarray::s![sample, view, ..]);
            let latent = latent.as_slice().unwrap();
            assert_eq!(latent, planned);
            assert!(along(latent, &slant).abs() < 1e-5);
            assert!((along(latent, &thickness) - drawn).abs() < 1e-5);
        }
        let (a, b) = (edited.get(sample as u64).unwrap(), plain.get(sample as u64).unwrap());
        assert_eq!(a.labels(), b.labels());
        assert_ne!(a.images().bytes(), b.images().bytes());
    }
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
