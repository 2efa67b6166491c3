//! ONNX models as values.
//!
//! A file or its bytes come in, a [`Model`] comes out: what goes into the graph and out of it,
//! between which values an output lies, which nodes draw random numbers, which files belong to
//! it. Reading runs nothing, loads nothing, and holds hostile files to the limits below before it
//! allocates for them. What a `Model` says has been checked; what is wrong is an error that names
//! the file and the tensor.
//!
//! The way of a file: `model` reads it, `wire` looks over its bytes, `proto` decodes them, `check`
//! and `external` hold it to its word. `body` then finds every node wherever it is nested, and
//! `operators`, `range`, `labels` and `linear` each answer one question about them; `shape` tells how
//! large every tensor is. `draft` holds a model that is being edited, `scope` sees to its names and
//! `write` to its bytes; `expose` makes a model with one output more, `annotate` one with other
//! metadata (`encoder_input`: what values an encoder expects), `initialise` one that is untrained. `save` writes files, `loadable`
//! is what a runtime is given. `README.md` beside this file has the whole way.

mod annotate;
mod body;
#[cfg(test)]
mod build;
mod check;
pub(crate) mod compose;
mod constant;
mod differentiate;
mod draft;
mod encoder_input;
mod epilogue;
mod expose;
mod external;
mod flow;
mod initialise;
mod labels;
mod linear;
mod loadable;
mod model;
mod nodes;
mod operators;
mod parameters;
mod proto;
mod range;
mod rewrite;
mod save;
mod scope;
mod shape;
mod tensors;
#[cfg(test)]
mod tests;
mod value;
mod weights;
mod wire;
mod write;

pub(crate) use compose::{
    BATCH_NORM, BATCH_NORM_GRADIENT, CONV, CONV_IMAGE_GRADIENT, CONV_WEIGHT_GRADIENT, OWN_DOMAIN,
    RELU_GRADIENT,
};
pub use differentiate::DIRECTION;
pub use encoder_input::EncoderInput;
pub use epilogue::{Delivered, Epilogue};
pub use initialise::Initialised;
pub(crate) use initialise::uniform;
pub use linear::{LinearLayer, LinearLayers};
pub use loadable::Loadable;
pub use model::Model;
pub use operators::NodeName;
pub use range::OutputRange;
pub use rewrite::{InputValues, Offer, Rewrite, Transposed};
pub use save::Weights;
pub use shape::Shapes;
pub use value::{Dim, Element, ValueInfo};

#[cfg(test)]
use crate::error::Result;

/// The largest main file: what protobuf itself can hold.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// The most memory that the messages of a file may take, besides the file itself.
pub const MAX_PARSED_BYTES: u64 = 4 << 30;

/// The most nodes in a file, with those of subgraphs and functions.
pub const MAX_NODES: usize = 1_000_000;

/// How deep messages may nest. A graph in a node of a graph is three levels.
pub const MAX_DEPTH: usize = 64;

/// The most dimensions of a tensor.
pub const MAX_RANK: usize = 16;

/// The largest tensor that a file may hold or declare.
pub const MAX_TENSOR_BYTES: u64 = 64 << 30;

/// The most elements that the fixed dimensions of an output may multiply to.
pub const MAX_OUTPUT_ELEMENTS: u64 = 1 << 32;
