//! Generators: ONNX files.

use std::hint::black_box;
use std::sync::LazyLock;

use genset::graph::{Dim, Model};

use super::change::choose;

/// Small ones, which differ in operators, inputs and types, and hostile ones.
const MODELS: [&[u8]; 8] = [
    include_bytes!("../../tests/models/channels-1.onnx"),
    include_bytes!("../../tests/models/noise-inputs.onnx"),
    include_bytes!("../../tests/models/class-index.onnx"),
    include_bytes!("../../tests/models/class-one-hot.onnx"),
    include_bytes!("../../tests/models/latent-spatial.onnx"),
    include_bytes!("../../tests/models/truncation-input.onnx"),
    include_bytes!("../../tests/models/output-f16.onnx"),
    include_bytes!("../../tests/models/terabyte-intermediate.onnx"),
];

/// More rewrites than this of one file are not tried.
const MAX_OFFERS: usize = 16;

/// An ONNX file: what is read of its graph, the shapes of its tensors, and every rewrite alone.
pub fn model(input: &[u8]) {
    static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| MODELS.map(<[u8]>::to_vec).to_vec());
    let Some((_, bytes)) = choose(input, &VALID) else { return };
    let Ok(model) = Model::from_bytes("fuzz.onnx", bytes.into()) else { return };
    black_box((model.opset(), model.producer(), model.parameters(), model.random_nodes()));
    black_box((model.custom_operators(), model.runtime_operators()));
    for output in model.outputs() {
        black_box(model.output_range(&output.name));
    }
    let mut wanted = Vec::new();
    for input in model.inputs() {
        black_box(model.class_count(&input.name));
        let dims = input.shape.iter().flatten().map(|dim| match dim {
            Dim::Fixed(size) => usize::try_from(*size).unwrap_or(usize::MAX),
            _ => 2,
        });
        let dims: Vec<usize> = dims.collect();
        black_box(model.linear_layers(&input.name, dims.get(1..).unwrap_or_default(), true));
        wanted.push((&*input.name, dims));
    }
    let _ = model.shapes(&wanted);
    let _ = model.shapes(&[]);
    let offers = model.offers();
    black_box(model.transposed());
    for offer in offers.into_iter().take(MAX_OFFERS) {
        let _ = model.rewritten(&[offer]);
    }
}
