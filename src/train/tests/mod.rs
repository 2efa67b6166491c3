//! Steps held against PyTorch's, in double precision, as `onnx/training_fixtures.py` wrote them to
//! `tests/training`; and against what they must be by themselves.

mod byol;
mod encoders;
mod objectives;
mod steps;

use std::fs;
use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::Value;

use super::design::Design;
use super::encoder::Encoder;
use super::machine::{Feed, Machine, Measured, Pace};
use super::objective::Objective;
use super::optimizer::Optimizer;
use super::trainer::Trainer;
use crate::codec::RawForm;
use crate::graph::EncoderInput;
use crate::load::GroupForm;
use crate::recipe::{Dtype, Layout};
use crate::runtime::{Runtime, Search, SessionOptions};

fn runtime() -> &'static Runtime {
    Runtime::open(&Search { install: true, ..Search::default() }).unwrap()
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/training").join(file)
}

fn encoder(file: &str) -> Encoder {
    Encoder::read(&path(file), None).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Tensors that were computed elsewhere, and what they are.
struct Fixture {
    bytes: Vec<u8>,
    case: Value,
}

impl Fixture {
    fn read(name: &str) -> Self {
        let bytes = fs::read(path(&format!("{name}.safetensors"))).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let case = &header.metadata().as_ref().unwrap()["case"];
        let case = serde_json::from_str(case).unwrap();
        Self { bytes, case }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn dims(&self, name: &str) -> Vec<usize> {
        self.tensors().tensor(name).unwrap().shape().to_vec()
    }

    fn has(&self, name: &str) -> bool {
        self.tensors().tensor(name).is_ok()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.tensors().tensor(name).unwrap().data().to_vec()
    }

    /// Of single or double precision.
    #[track_caller]
    fn floats(&self, name: &str) -> Vec<f64> {
        let bytes = self.bytes(name);
        match self.tensors().tensor(name).unwrap().dtype() {
            safetensors::Dtype::F64 => {
                bytes.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect()
            }
            safetensors::Dtype::F32 => {
                bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four).into()).collect()
            }
            other => panic!("`{name}` is {other:?}"),
        }
    }

    fn ints(&self, name: &str) -> Vec<i64> {
        self.bytes(name).as_chunks().0.iter().map(|eight| i64::from_le_bytes(*eight)).collect()
    }

    /// The group of views that its images are.
    fn group(&self) -> GroupForm {
        let [_, views, channels, height, width] = self.dims("images")[..] else {
            panic!("images are [B, V, C, H, W]")
        };
        group(views, [channels, height, width])
    }

    fn feed<'a>(&self, images: &'a [u8]) -> Feed<'a> {
        Feed { images: vec![images], ..Feed::default() }
    }
}

fn group(views: usize, [channels, height, width]: [usize; 3]) -> GroupForm {
    let form = RawForm { channels, height, width, dtype: Dtype::U8, layout: Layout::Nchw };
    GroupForm { name: String::new(), views, form }
}

/// A step on the features themselves, without a head.
fn design<'a>(
    encoder: &'a Encoder,
    groups: &'a [GroupForm],
    batch: usize,
    objective: Objective,
    optimizer: Optimizer,
) -> Design<'a> {
    Design {
        encoder,
        groups,
        input: Some(EncoderInput::default()),
        batch,
        objective,
        head: Vec::new(),
        optimizer,
        clip: None,
        classes: 0,
        latent: 0,
        has_sources: false,
        accumulate: 1,
        own_kernels: true,
    }
}

#[track_caller]
fn trainer(design: &Design<'_>) -> Trainer {
    let made = Trainer::new(design, runtime(), &SessionOptions::default(), 1);
    made.unwrap_or_else(|error| panic!("{error:#}"))
}

/// The place of a variable.
#[track_caller]
fn place(trainer: &Trainer, name: &str) -> usize {
    let found = trainer.variables().iter().position(|variable| variable.name == name);
    found.unwrap_or_else(|| panic!("no variable `{name}`"))
}

#[track_caller]
fn values(trainer: &Trainer, name: &str) -> Vec<f64> {
    trainer.values(place(trainer, name)).unwrap().iter().map(|&value| value.into()).collect()
}

fn pace(step: u64, rate: f64) -> Pace {
    Pace { step, rate, keep: 0.0 }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn distance(one: &[f64], other: &[f64]) -> f64 {
    assert_eq!(one.len(), other.len());
    norm(&one.iter().zip(other).map(|(one, other)| one - other).collect::<Vec<_>>())
}

/// `[rows, columns]` with its axes swapped.
fn turned(values: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

fn is_close(one: f64, other: f64, tolerance: f64) -> bool {
    (one - other).abs() <= tolerance * other.abs().max(1e-3)
}

fn loss(measured: Measured) -> f64 {
    measured.loss.into()
}
