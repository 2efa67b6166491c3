//! Latents to images: what a generator's inputs and outputs mean, and how it is run.
//!
//! A [`Contract`] joins what the ONNX file says with what the recipe says. A [`Generator`] holds a
//! session bound to fixed memory and turns the inputs of a block into rows of images. [`infer`]
//! proposes a recipe for a file that has none, and [`doctor`] runs a generator to find out
//! whether it keeps its word.

mod builtin;
mod contract;
pub mod doctor;
pub mod execution;
mod generator;
pub mod infer;
pub mod precision;
mod probe;

pub use builtin::{Builtin, builtins};
pub use contract::{
    BatchSize, Contract, ImageFormat, InputContract, MAX_BLOCK_BYTES, ShapeProbe, resolve,
};
pub use generator::Generator;
pub use probe::{Probe, Probed, output_shape};
