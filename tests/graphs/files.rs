//! Weights in other files: edited, linked, far from the start of a file, written anew.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use genset::graph::{Element, Model, Weights};
use genset::runtime::Tensor;
use prost::Message;

use crate::proto::{ModelProto, StringStringEntryProto};
use crate::{build, run, runtime};

fn weights() -> Vec<u8> {
    (0..384_u16).flat_map(|i| (f32::from(i % 37) / 37.0 - 0.4).to_le_bytes()).collect()
}

/// `small` with its weights at `offset` of `w.bin`.
fn small(offset: u64) -> ModelProto {
    let mut proto = build::small();
    let mut weight = build::external("weight", &[8, 48], "w.bin");
    let value = offset.to_string();
    weight.external_data.push(StringStringEntryProto { key: "offset".into(), value });
    proto.graph.as_mut().unwrap().initializer[0] = weight;
    proto
}

/// The same with its weights inside.
fn whole() -> Model {
    let mut proto = build::small();
    let weight = &mut proto.graph.as_mut().unwrap().initializer[0];
    weight.float_data.clear();
    weight.raw_data = Some(weights().into());
    build::read(&proto).unwrap()
}

fn latents() -> Tensor {
    let mut z = Tensor::new(Element::F32, &[2, 8]).unwrap();
    let values: Vec<f32> = (0..16_u8).map(|i| f32::from(i) / 8.0 - 1.0).collect();
    z.write_floats(0, &values).unwrap();
    z
}

/// Checks that `model` and the model with an inner output make what the whole one makes.
#[track_caller]
fn assert_same(model: &Model) {
    let (runtime, z, whole) = (runtime(), latents(), whole());
    assert_eq!(run(runtime, model, &z, "image"), run(runtime, &whole, &z, "image"));
    let (edited, whole) = (model.with_output("grid").unwrap(), whole.with_output("grid").unwrap());
    assert_eq!(edited.external_files(), model.external_files());
    assert_eq!(run(runtime, &edited, &z, "grid"), run(runtime, &whole, &z, "grid"));
}

#[test]
fn edited_models_find_the_weights_beside_the_original() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), weights()).unwrap();
    let path = folder.path().join("m.onnx");
    fs::write(&path, small(0).encode_to_vec()).unwrap();
    assert_same(&Model::read(&path).unwrap());
}

#[test]
#[cfg(unix)]
fn a_cache_of_links_runs() {
    let cache = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (cache.path().join("blobs"), cache.path().join("snapshot"));
    fs::create_dir(&blobs).unwrap();
    fs::create_dir(&snapshot).unwrap();
    for (blob, name, bytes) in
        [("1", "m.onnx", small(0).encode_to_vec()), ("2", "w.bin", weights())]
    {
        fs::write(blobs.join(blob), bytes).unwrap();
        std::os::unix::fs::symlink(blobs.join(blob), snapshot.join(name)).unwrap();
    }
    assert_same(&Model::read(&snapshot.join("m.onnx")).unwrap());
}

#[test]
fn weights_past_four_gibibytes_are_found_and_moved() {
    const FAR: u64 = 5 << 30;
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("w.bin")).unwrap();
    // A hole, which takes no disk.
    file.seek(SeekFrom::Start(FAR)).unwrap();
    file.write_all(&weights()).unwrap();
    let path = folder.path().join("m.onnx");
    fs::write(&path, small(FAR).encode_to_vec()).unwrap();
    let model = Model::read(&path).unwrap();
    assert_same(&model);
    let error = {
        let past = folder.path().join("past.onnx");
        fs::write(&past, small(FAR + 1).encode_to_vec()).unwrap();
        Model::read(&past).unwrap_err().to_string()
    };
    assert!(error.contains(&format!("ends at byte {}", FAR + 1 + 1536)), "{error}");
    let copy = folder.path().join("copy.onnx");
    model.write_to(&copy, Weights::AsTheyAre).unwrap();
    assert_eq!(size(&folder.path().join("copy.onnx.data")), 1536);
    assert_same(&Model::read(&copy).unwrap());
}

#[test]
fn written_models_run_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    for weights in [Weights::Beside(1), Weights::Inside, Weights::AsTheyAre] {
        whole().write_to(&path, weights).unwrap();
        let model = Model::read(&path).unwrap();
        assert_eq!(model.external_files().len(), usize::from(weights == Weights::Beside(1)));
        assert_same(&model);
    }
}

fn size(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}
