//! The manifest of a folder of shards.
#![no_main]

use std::sync::LazyLock;

use genset::shard::Manifest;
use genset_fuzz::choose;
use libfuzzer_sys::fuzz_target;

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

static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let read = Manifest::parse(MANIFEST.as_bytes());
    vec![read.expect("a valid manifest").to_text().into_bytes()]
});

fuzz_target!(|input: &[u8]| {
    let Some((_, bytes)) = choose(input, &VALID) else { return };
    let Ok(manifest) = Manifest::parse(&bytes) else { return };
    let _ = (manifest.there(), manifest.is_complete(), manifest.bytes());
    let again = Manifest::parse(manifest.to_text().as_bytes());
    assert_eq!(again.expect("what was read can be read"), manifest);
});
