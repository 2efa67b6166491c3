//! Derivatives of single operators, held against central differences on ONNX Runtime: in double
//! precision where the CPU provider has the operator in it, and otherwise in single.

#[path = "../../src/graph/build.rs"]
#[allow(dead_code, reason = "the room's own tests use other parts of it")]
mod build;
mod case;
#[path = "../common/mod.rs"]
mod common;
mod layout;
mod pointwise;
#[path = "../../src/graph/proto.rs"]
#[allow(dead_code, reason = "the messages of a whole model; tests write a few")]
mod proto;
mod refused;
mod sums;
mod windows;

use genset::Result;
use genset::graph::Model;
