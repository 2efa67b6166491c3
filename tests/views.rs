//! Views keep every promise of the stream: the same bytes whatever batch, workers, ranks, threads
//! or restarts; several tensors a batch; one generator image for views that share a latent.

mod common;

use std::fs;
use std::path::Path;

use common::{DIGITS, digests, folder_with_recipe, genset, json, open, stream};
use genset::load::SampleDigests;
use genset::{Batch, Dataset};

const SAMPLES: u64 = 500;

/// Every kind of group at once, on colour images of 8×8 whose values depend on their whole block.
const EVERYTHING: &str = r#"
samples = 2000
generator.block = 24
generator.inputs.z = { role = "latent" }
generator.output = { layout = "NCHW", range = [-1, 1] }

[[views.groups]]
name = "global"
count = 2
anchor = true
latent = [ { op = "gaussian", std = [0.1, 0.5] }, { op = "angular", degrees = [0, 30] } ]
pixel = [
    { op = "random-resized-crop", size = 12, scale = [0.2, 1.0] },
    { op = "flip" },
    { op = "colour-jitter", brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8 },
    { op = "grayscale", p = 0.2 },
    { op = "gaussian-blur", kernel = 3, p = 0.5 },
    { op = "erase", value = "noise" },
]

[[views.groups]]
name = "local"
count = 6
pixel = [
    { op = "random-resized-crop", size = [5, 4], scale = [0.05, 0.4] },
    { op = "affine", degrees = 20, translate = [0.1, 0.1], scale = [0.8, 1.2], shear = 10, filter = "bilinear" },
    { op = "solarize", p = 0.3 },
    { op = "posterize", bits = 5, p = 0.3 },
]

[[views.groups]]
name = "plain"
count = 1

[[views.groups]]
name = "pool"
count = 2
pool = 5
latent = [ { op = "interpolate", t = [0.1, 0.3], path = "slerp" }, { op = "truncate", limit = 2.0 } ]

[output]
dtype = "f32"
layout = "NHWC"
normalise = { mean = [0.5], std = [0.25] }
"#;

fn truth(dataset: &Dataset, epoch: u64) -> String {
    let mut digests = SampleDigests::new();
    (0..SAMPLES).for_each(|i| digests.add(&dataset.get_in_epoch(i, epoch).unwrap()));
    digests.together().unwrap()
}

#[test]
fn nothing_but_the_recipe_changes_a_byte_with_all_views_on() {
    for model in ["dynamic-batch", "batch-statistics", "static-batch-4", "static-batch-1"] {
        let folder = folder_with_recipe(model, EVERYTHING);
        let dataset = open(folder.path().join("recipe.toml"), &[]);
        let whole = truth(&dataset, 0);
        let loader = || dataset.loader().range(0..SAMPLES);
        let alone = || loader().rank(0, 1);
        for (batch, workers, prefetch, threads) in
            [(1, 1, 1, 0), (7, 2, 8, 0), (64, 4, 2, 0), (100, 1, 4, 3), (256, 2, 1, 2)]
        {
            let set_up = alone().batch(batch).workers(workers).prefetch(prefetch);
            let delivered = stream(set_up.view_threads(threads));
            let same = digests(&delivered).together().unwrap() == whole;
            assert!(same, "{model}: batch {batch}, {workers} workers, {threads} view threads");
        }
        for (world, batch) in [(2, 33), (3, 7)] {
            let mut all = SampleDigests::new();
            for rank in 0..world {
                let set_up = loader().rank(rank, world).batch(batch).workers(2);
                all.merge(digests(&stream(set_up)));
            }
            assert_eq!(all.together().unwrap(), whole, "{model}: {world} ranks");
        }
        let mut first = alone().batch(31).workers(2).build().unwrap();
        let before: Vec<Batch> = first.by_ref().take(4).map(Result::unwrap).collect();
        let mut all = digests(&before);
        all.merge(digests(&stream(alone().batch(19).workers(1).resume(first.state()))));
        assert_eq!(all.together().unwrap(), whole, "{model}: resumed");
    }
}

#[test]
fn a_later_epoch_shows_other_views_of_the_same_samples() {
    let folder = folder_with_recipe("dynamic-batch", EVERYTHING);
    let dataset = open(folder.path().join("recipe.toml"), &[]);
    let passes = dataset.loader().range(0..SAMPLES).rank(0, 1).batch(50).workers(2).epochs(3);
    let delivered = stream(passes);
    for (epoch, pass) in delivered.chunks(10).enumerate() {
        assert_eq!(digests(pass).together().unwrap(), truth(&dataset, epoch as u64), "{epoch}");
    }
    let [first, second] = [0, 1].map(|epoch| dataset.get_in_epoch(3, epoch).unwrap());
    for (name, same) in [("global", false), ("local", false), ("plain", true), ("pool", false)] {
        let of = |batch: &Batch| {
            let group = batch.groups().iter().find(|group| group.name() == name).unwrap();
            group.bytes().to_vec()
        };
        assert_eq!(of(&first) == of(&second), same, "{name}");
    }
}

#[test]
fn groups_are_tensors_of_their_own_and_share_generator_images() {
    let folder = folder_with_recipe("dynamic-batch", EVERYTHING);
    let dataset = open(folder.path().join("recipe.toml"), &[]);
    let batch = dataset.loader().batch(40).build().unwrap().next().unwrap().unwrap();
    let shapes: Vec<_> = batch.groups().iter().map(|g| (g.name(), g.shape())).collect();
    assert_eq!(
        shapes,
        [
            ("global", [40, 2, 12, 12, 3]),
            ("local", [40, 6, 5, 4, 3]),
            ("plain", [40, 1, 8, 8, 3]),
            ("pool", [40, 2, 8, 8, 3]),
        ]
    );
    // The anchor, one moved view of the first group, two of the pool.
    assert_eq!(dataset.generated().unwrap().recipe().views.rows(), 4);
    assert_eq!(dataset.block_inputs(0).rows, 24 * 4);
    let latents = batch.latents();
    assert!(latents.is_none(), "not asked for");
    let one = dataset.get(0).unwrap();
    let latents = one.latents().unwrap();
    assert_eq!(latents.shape(), [1, 11, 8]);
    let view = |v: usize| latents.slice(ndarray::s![0, v, ..]);
    assert_eq!(view(0), view(2), "the anchors of two groups");
    assert_ne!(view(0), view(1));
}

#[test]
fn pixel_views_of_one_latent_are_made_of_one_generator_image() {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes/pixel-only.toml");
    let dataset = open(recipe, &[]);
    assert_eq!(
        (
            dataset.generated().unwrap().recipe().views.count(),
            dataset.generated().unwrap().recipe().views.rows()
        ),
        (2, 1)
    );
    let plan = dataset.plan(5).unwrap();
    assert_eq!(plan.views.len(), 2);
    assert_ne!(plan.views[0].to_string(), plan.views[1].to_string());
}

#[test]
fn sheets_say_what_was_drawn_and_sweeps_go_through_values() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.png");
    let run = |args: &[&str]| {
        let run =
            genset().args(["preview", DIGITS, "--json", "-o"]).arg(&sheet).args(args).assert();
        json(&run.success().get_output().stdout)
    };
    let document = run(&["--count", "2"]);
    let drawn = &document["drawn"][1][0];
    assert!(drawn.to_string().contains("gaussian"), "{document}");
    let plain = run(&["--count", "2", "--plain"]);
    assert!(plain["height"].as_u64() < document["height"].as_u64());
    let swept = run(&["--sweep", "std=0:1.5:6", "--index", "3"]);
    assert_eq!(swept["sweep"]["values"].as_array().unwrap().len(), 6);
    assert_eq!(swept["views"], 2);
    assert!(fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));
    for (args, message) in [
        (["--sweep", "gausian.std=0:1:3"], "did you mean `gaussian.std`?"),
        (["--sweep", "std=-1:1:3"], "`std` cannot be -1"),
        (["--sweep", "std=0:1"], "KEY=FIRST:LAST:HOW-MANY"),
    ] {
        let run =
            genset().args(["preview", DIGITS, "-o"]).arg(&sheet).args(args).assert().failure();
        let stderr = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(stderr.contains(message), "{stderr}");
    }
}
