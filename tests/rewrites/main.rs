//! A rewritten model computes what the model computed: random layers of each pattern against their
//! definition and against ONNX Runtime on the model as it was, to 1e-5 of the output's scale.

#[path = "../common/mod.rs"]
mod common;
mod models;
mod onnx;
mod phases;
mod products;
mod reference;
mod resize;
mod scale;
