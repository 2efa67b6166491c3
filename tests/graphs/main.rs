//! ONNX models as values, held against ONNX Runtime: models that were edited or written run as the
//! originals do, and every shape that is inferred is the shape that comes out.

#[path = "../../src/graph/build.rs"]
#[allow(dead_code, reason = "the room's own tests use other parts of it")]
mod build;
#[path = "../common/mod.rs"]
mod common;
mod files;
#[path = "../../src/graph/proto.rs"]
#[allow(dead_code, reason = "the messages of a whole model; tests write a few")]
mod proto;
mod shapes;

use genset::Result;
use genset::graph::Model;
use genset::runtime::{Runtime, Session, SessionOptions, Tensor};

/// The ONNX Runtime of this machine.
fn runtime() -> &'static Runtime {
    Runtime::open(&common::options(&[]).search).unwrap()
}

/// `model`, ready to run.
fn session(runtime: &Runtime, model: &Model) -> Result<Session> {
    Session::open(runtime, (&model.loadable()?).into(), &SessionOptions::default())
}

/// What `model` makes of `z` as its output `name`.
fn run(runtime: &Runtime, model: &Model, z: &Tensor, name: &str) -> Vec<f32> {
    let mut session = session(runtime, model).unwrap();
    session.run_once(&[("z", z)], name).unwrap().view().unwrap().to_f32()
}
