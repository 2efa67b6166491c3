//! What is text: manifests and recipes.

use std::path::Path;
use std::sync::LazyLock;

use genset::recipe::{Described, Notes, Recipe};
use genset::shard::Manifest;

use super::change::choose;

const MANIFEST: &str = r#"{
  "genset_shards": 1,
  "dataset": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
  "name": "digits",
  "contents": "delivered",
  "format": "safetensors",
  "encoding": "raw",
  "groups": [
    {"name": "", "views": 2, "channels": 1, "height": 28, "width": 28, "dtype": "u8", "layout": "NCHW"}
  ],
  "labels": true,
  "classes": ["zero", "one"],
  "latents": [2, 64],
  "parameters": false,
  "samples": {"from": 0, "to": 96},
  "samples_per_shard": 64,
  "model": null,
  "provenance": {
    "genset": "0.1.0", "runtime": "1.31.1", "providers": ["cpu"], "precision": "f32",
    "rewrites": []
  },
  "recipe": "name = \"digits\"\n",
  "shards": [
    {"name": "digits-000000.safetensors", "first": 0, "count": 64, "bytes": 100000, "blake3": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
    {"name": "digits-000001.safetensors", "first": 64, "count": 32, "bytes": 50000, "blake3": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}
  ]
}"#;

/// The manifest of a folder of shards. What is read is written and read again.
pub fn manifest(input: &[u8]) {
    static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let read = Manifest::parse(MANIFEST.as_bytes());
        vec![read.expect("a valid manifest").to_text().into_bytes()]
    });
    let Some((_, bytes)) = choose(input, &VALID) else { return };
    let Ok(manifest) = Manifest::parse(&bytes) else { return };
    let _ = (manifest.there(), manifest.is_complete(), manifest.bytes());
    let again = Manifest::parse(manifest.to_text().as_bytes());
    assert_eq!(again.expect("what was read can be read"), manifest);
}

const RECIPES: [&str; 8] = [
    include_str!("../../examples/recipes/digits-echo.toml"),
    include_str!("../../examples/recipes/fashion-simclr.toml"),
    include_str!("../../examples/recipes/latent-pixel.toml"),
    include_str!("../../examples/recipes/multi-crop.toml"),
    include_str!("../../examples/recipes/same-class.toml"),
    include_str!("../../examples/recipes/steered-pixel.toml"),
    "[source]\npath = \"photos\"\nsize = [32, 48]\nchannels = 3\non-bad = \"skip\"\n\
     [views]\ncount = 2\npixel = [{ op = \"flip\" }]\n",
    "samples = \"endless\"\n[generator]\nmodel = \"g.onnx\"\n[generator.inputs.z]\n\
     role = \"latent\"\ndistribution = \"normal\"\n[mix]\nsource = \"photos\"\nratio = 0.25\n",
];

/// A recipe. What is read of a generator is written and read again.
pub fn recipe(input: &[u8]) {
    static VALID: LazyLock<Vec<Vec<u8>>> =
        LazyLock::new(|| RECIPES.map(|text| text.as_bytes().to_vec()).to_vec());
    let Some((choice, bytes)) = choose(input, &VALID) else { return };
    let Ok(text) = std::str::from_utf8(&bytes) else { return };
    let read = Described::parse(text, "recipe.toml", "name", Path::new("."), &[]);
    assert!(read.is_ok() || bytes != VALID[choice], "a valid recipe was refused: {read:?}");
    let Ok(Described::Generated(recipe)) = read else { return };
    let _ = recipe.digest(|_| Ok(()));
    let written = recipe.to_toml(&Notes::new());
    let again = Recipe::parse(&written, "recipe.toml", Path::new("."));
    assert_eq!(again.expect("what was written can be read"), *recipe, "{written}");
}
