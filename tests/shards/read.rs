//! What is exported is what is delivered.

use genset::recipe::Recipe;
use genset::shard::{Contents, Format, rows_recipe};

use super::*;

/// Every format, with the encodings that lose nothing.
const LOSSLESS: [(Format, Encoding); 7] = [
    (Format::Safetensors, Encoding::Raw),
    (Format::Safetensors, Encoding::Png),
    (Format::WebDataset, Encoding::Png),
    (Format::WebDataset, Encoding::Raw),
    (Format::Mds, Encoding::Raw),
    (Format::Mds, Encoding::WebP),
    (Format::Images, Encoding::Png),
];

#[test]
fn every_format_gives_back_what_was_delivered() {
    let dataset = digits(100);
    for (format, encoding) in LOSSLESS {
        let folder = tempfile::tempdir().unwrap();
        let export = Export {
            format,
            encoding: Some(encoding),
            from: Some(5),
            latents: true,
            parameters: true,
            ..small()
        };
        let exported = run(&export, &dataset, folder.path()).unwrap();
        assert_eq!((exported.shards, exported.images, exported.there), (7, 190, 95));
        let shards = Shards::open(folder.path()).unwrap();
        assert_eq!(shards.samples(), 5..100, "{format} {encoding}");
        assert_eq!(shards.classes().len(), 10);
        assert_delivers(&shards, &dataset);
        assert!(Shards::is_there(folder.path()));
    }
}

#[test]
fn raw_safetensors_are_runs_of_memory_within_a_shard() {
    let (dataset, folder) = (digits(40), tempfile::tempdir().unwrap());
    run(&small(), &dataset, folder.path()).unwrap();
    let shards = Shards::open(folder.path()).unwrap();
    let run = shards.run(18..31, 0).unwrap().expect("within a shard");
    let wanted: Vec<u8> = (18..31).flat_map(|index| images(&shards, index)).collect();
    assert!(run == wanted);
    assert_eq!(shards.mapped(18..31, 0).unwrap().as_deref(), Some(run));
    assert_eq!(shards.run(10..20, 0).unwrap(), None, "over two shards");
    assert_eq!(shards.together(10..40), 6);
    assert_eq!(shards.together(33..40), 7);
    assert!(shards.run(39..41, 0).is_ok_and(|run| run.is_none()));
    let error = shards.label(40).unwrap_err().to_string();
    assert!(error.contains("there is no sample 40"), "{error}");
}

#[test]
fn several_groups_of_floats_are_stored_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let views = r#"views.groups=[{ name = "a", count = 2 }, { name = "b", latent = [{ op = "gaussian", std = 0.3 }], pixel = [{ op = "random-resized-crop", size = 14 }] }]"#;
    let settings = ["samples=20", "output.dtype=f32", "output.layout=NHWC"];
    let mut recipe = common::open(common::DIGITS, &settings).generated().unwrap().recipe().clone();
    let text = format!("generator.model = \"g\"\n{views}\n");
    recipe.views = Recipe::parse(&text, "r", Path::new(".")).unwrap().views;
    let dataset = digits(20).with_recipe(recipe).unwrap();
    run(&small(), &dataset, folder.path()).unwrap();
    let shards = Shards::open(folder.path()).unwrap();
    assert_eq!((shards.pictures(), shards.manifest().form.groups.len()), (3, 2));
    assert_delivers(&shards, &dataset);
}

#[test]
fn rows_are_what_views_are_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "samples=40",
        "views.count=3",
        "views.anchor=true",
        "views.pixel=[{ op = \"flip\" }, { op = \"random-resized-crop\", size = 20 }]",
        "output.dtype=f32",
    ];
    let dataset = common::open(common::DIGITS, &settings);
    let export = Export { contents: Contents::Rows, ..small() };
    run(&export, &dataset, folder.path()).unwrap();
    let shards = Shards::open(folder.path()).unwrap();
    let manifest = shards.manifest();
    assert_eq!(manifest.contents, Contents::Rows);
    assert_eq!(manifest.dataset, dataset.digest(), "of the dataset itself, not of the derived one");
    let recipe = Recipe::parse(&manifest.recipe, "r", Path::new(".")).unwrap();
    assert_eq!(recipe.views, dataset.generated().unwrap().recipe().views);
    let rows =
        dataset.with_recipe(rows_recipe(dataset.generated().unwrap().recipe()).unwrap()).unwrap();
    assert_eq!(shards.pictures(), dataset.generated().unwrap().recipe().views.rows() as usize);
    assert_delivers(&shards, &rows);
}

/// Opening reads the manifest and no shard; a sample's shard is found without a search.
#[test]
fn ten_million_samples_open_without_a_look_at_any_shard() {
    let (dataset, folder) = (digits(100), tempfile::tempdir().unwrap());
    run(&small(), &dataset, folder.path()).unwrap();
    let mut manifest = Shards::open(folder.path()).unwrap().manifest().clone();
    let entry = manifest.shards[0].clone();
    (manifest.samples, manifest.samples_per_shard) = (0..10_000_000, 1000);
    manifest.shards = (0..10_000)
        .map(|number| genset::shard::ShardEntry {
            name: format!("digits-{number:06}.safetensors"),
            first: number * 1000,
            count: 1000,
            ..entry.clone()
        })
        .collect();
    let text = manifest.to_text();
    assert!(text.len() < 2_000_000, "{} bytes", text.len());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("manifest.json"), text).unwrap();
    let shards = Shards::open(folder.path()).unwrap();
    assert_eq!(shards.manifest(), &manifest);
    assert!(shards.place(9_999_999).ends_with("digits-009999.safetensors"));
    let error = shards.label(1_234_567).unwrap_err().to_string();
    assert!(error.contains("digits-001234.safetensors"), "{error}");
}
