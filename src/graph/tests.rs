//! The promises of the room: whole files in, answers or plain errors out, never a panic.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use prost::Message;

use super::build::{self, node};
use super::draft::Draft;
use super::proto::{ModelProto, StringStringEntryProto};
use super::*;
use crate::error::Kind;

fn error_of(file: &[u8]) -> crate::Error {
    Model::from_bytes("g", file.to_vec().into()).unwrap_err()
}

#[test]
fn a_model_answers_what_it_was_built_with() {
    let mut proto = build::small();
    let entry = StringStringEntryProto { key: "genset.range".into(), value: "[-1, 1]".into() };
    proto.metadata_props.push(entry);
    proto.producer_version = "1.2".into();
    // Before IR version 4 every initializer was listed as an input too.
    proto.graph.as_mut().unwrap().input.push(build::value("weight", 1, &["8", "48"]));
    let model = build::read(&proto).unwrap();
    let shown = |values: &[ValueInfo]| {
        values.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(shown(model.inputs()), "z: f32 [batch, 8]");
    assert_eq!(shown(model.outputs()), "image: f32 [batch, 3, 4, 4]");
    assert_eq!(model.metadata("genset.range"), Some("[-1, 1]"));
    assert_eq!(model.metadata("other"), None);
    assert_eq!((model.opset(), model.producer().as_str()), (Some(20), "test 1.2"));
    assert_eq!((model.name(), model.path()), ("test", None));
    assert_eq!(model.parameters(), 388);
    assert_eq!(model.random_nodes(), []);
    let range = model.output_range("image").unwrap();
    assert_eq!((range.low, range.high), (-1.0, 1.0));
    assert_eq!(model.output_range("z"), None);
}

#[test]
fn foreign_operators_are_told_by_who_defines_them() {
    let of = |domain: &str, operator: &str| super::proto::NodeProto {
        domain: domain.into(),
        ..node(operator, &["z"], &["image"])
    };
    let nodes = vec![
        of("org.evil", "Load"),
        of("org.evil", "Load"),
        of("com.microsoft", "Gelu"),
        of("ai.onnx.ml", "Scaler"),
        of("ai.onnx", "Relu"),
        of("mine", "Block"),
    ];
    let mut proto = build::model(nodes, vec![]);
    proto.functions = vec![super::proto::FunctionProto {
        name: "Block".into(),
        domain: "mine".into(),
        ..Default::default()
    }];
    let model = build::read(&proto).unwrap();
    assert_eq!(model.custom_operators(), [("org.evil".into(), "Load".into())]);
    assert_eq!(model.runtime_operators(), [("com.microsoft".into(), "Gelu".into())]);
}

#[test]
fn weights_in_the_file_are_not_copied() {
    let model = build::read(&build::small()).unwrap();
    let held = model.bytes().as_ptr_range();
    let graph = model.proto().graph.as_ref().unwrap();
    let raw = graph.initializer[1].raw_data.as_ref().unwrap();
    assert!(held.contains(&raw.as_ptr()));
}

#[test]
fn truncated_files_and_trailing_garbage_are_refused() {
    let file = build::small().encode_to_vec();
    for end in 1..file.len() {
        let error = error_of(&file[..end]);
        assert_eq!(error.kind(), Kind::Model, "{end}: {error}");
        assert!(error.to_string().contains("truncated or not an ONNX file"), "{end}: {error}");
    }
    for garbage in [&b"garbage"[..], &[0], &[0xff; 9]] {
        let error = error_of(&[&file, garbage].concat());
        assert!(error.to_string().contains("truncated or not an ONNX file"), "{error}");
    }
}

#[test]
fn common_mistakes_have_their_own_way_out() {
    assert!(error_of(b"").to_string().contains("empty"));
    assert!(error_of(b"PK\x03\x04rest").advice().unwrap().contains("torch.onnx.export"));
    assert!(
        error_of(b"version https://git-lfs.github.com/spec/v1\n").advice().unwrap().contains("lfs")
    );
    let folder = tempfile::tempdir().unwrap();
    let error = Model::read(folder.path()).unwrap_err();
    assert!(error.kind() == Kind::Io && error.to_string().contains("is a folder"), "{error}");
    let error = Model::read(&folder.path().join("gone.onnx")).unwrap_err();
    assert!(error.kind() == Kind::Io && error.to_string().contains("gone.onnx"), "{error}");
    let path = folder.path().join("bad.onnx");
    fs::write(&path, b"nonsense").unwrap();
    let error = Model::read(&path).unwrap_err();
    assert!(error.summary().contains("bad.onnx: truncated or not an ONNX file"), "{error}");
    if cfg!(unix) {
        assert!(
            Model::read(Path::new("/dev/zero")).unwrap_err().to_string().contains("plain file")
        );
    }
}

#[test]
fn a_file_too_large_for_the_format_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.onnx");
    fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    let error = Model::read(&path).unwrap_err();
    assert!(error.is_limit() && error.to_string().contains("huge.onnx"), "{error}");
}

#[test]
fn the_hash_covers_the_files_beside_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut proto = build::small();
    proto.graph.as_mut().unwrap().initializer[0] = build::external("weight", &[8, 48], "w.bin");
    fs::write(&path, proto.encode_to_vec()).unwrap();
    let digest = |fill: u8| {
        fs::write(folder.path().join("w.bin"), vec![fill; 8 * 48 * 4]).unwrap();
        let model = Model::read(&path).unwrap();
        assert_eq!(model.external_files().len(), 1);
        let mut hasher = blake3::Hasher::new();
        model.hash_into(&mut hasher).unwrap();
        hasher.finalize()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn graphs_nested_to_the_limit_are_read_without_recursion() {
    let mut nodes = vec![node("RandomUniform", &[], &["u"])];
    for _ in 0..20 {
        nodes = vec![build::node_with("If", &["z"], &["x"], &[build::subgraph("then", nodes)])];
    }
    let model = build::read(&build::model(nodes, vec![])).unwrap();
    assert_eq!(model.random_nodes().len(), 1);
    let nodes = build::subgraph("then", model.proto().graph.clone().unwrap().node);
    let deeper = build::model(vec![build::node_with("If", &["z"], &["x"], &[nodes])], vec![]);
    assert!(build::read(&deeper).unwrap_err().is_limit());
}

/// Asks a model everything.
fn ask(model: &Model) {
    let _ = (model.opset(), model.producer(), model.parameters(), model.random_nodes());
    let _ = (model.custom_operators(), model.runtime_operators(), format!("{model:?}"));
    for input in model.inputs() {
        let _ = model.class_count(&input.name);
        let _ = model.linear_layers(&input.name, &[8], true);
    }
    let _ = (model.shapes(&[]), model.shapes(&[("z", vec![3, 8])]), model.loadable());
    if let Some(tensor) = model.tensors().first()
        && let Ok(edited) = model.with_output(tensor)
    {
        assert_eq!(edited.inputs(), model.inputs());
    }
    // What is not edited comes back; what is comes back as it was edited.
    let mut draft = Draft::of(model);
    assert_eq!(draft.bytes().unwrap(), model.bytes());
    let graph = draft.graph_mut();
    graph.doc_string.push_str("edited");
    graph.node.reverse();
    graph.initializer.reverse();
    let edited = draft.bytes().unwrap();
    assert_eq!(
        ModelProto::decode(edited).unwrap().encode_to_vec(),
        draft.proto_mut().encode_to_vec()
    );
    for output in model.outputs() {
        let _ = model.output_range(&output.name);
    }
    model.hash_into(&mut blake3::Hasher::new()).unwrap();
}

/// A model with something of everything.
fn varied() -> ModelProto {
    let branch = vec![node("RandomNormalLike", &["z"], &["r"])];
    let nodes = vec![
        node("Gather", &["weight", "y"], &["flat"]),
        build::node_with("If", &["z"], &["x"], &[build::subgraph("then_branch", branch)]),
        node("ConstantOfShape", &["shape"], &["zeros"]),
        build::node_with("Constant", &[], &["k"], &[build::int("value_int", 2)]),
        node("Shape", &["flat"], &["size"]),
        node("Range", &["k", "limit", "k"], &["range"]),
        node("Tile", &["size", "k"], &["tiled"]),
        build::node_with("Concat", &["size", "shape"], &["both"], &[build::int("axis", 0)]),
        node("Slice", &["both", "shape", "shape", "", "k"], &["part"]),
        node("Expand", &["flat", "part"], &["large"]),
        node("Reshape", &["large", "both"], &["grid"]),
        node("Tanh", &["flat"], &["t"]),
        node("Mul", &["t", "k"], &["m"]),
        build::node_with("Cast", &["m"], &["image"], &[build::int("to", 2)]),
    ];
    let weight = build::floats("weight", &[10, 2], &[0.5; 20]);
    let (shape, limit) = (build::ints("shape", &[2], &[3, 4]), build::ints("limit", &[], &[9]));
    let mut model = build::model(nodes, vec![weight, shape, limit]);
    model.graph.as_mut().unwrap().input.push(build::value("y", 7, &["batch"]));
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_files_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        inserted in prop::collection::vec(any::<u8>(), 0..4),
        at in any::<prop::sample::Index>(),
    ) {
        let mut file = varied().encode_to_vec();
        for (index, byte) in changes {
            let index = index.index(file.len());
            file[index] = byte;
        }
        let at = at.index(file.len());
        file.splice(at..at, inserted);
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        if let Ok(model) = Model::from_bytes("damaged", file.into()) {
            ask(&model);
        }
    }

    #[test]
    fn noise_never_panics(file in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(model) = Model::from_bytes("noise", file.into()) {
            ask(&model);
        }
    }
}
