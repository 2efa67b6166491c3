//! Training steps by hand, for a loop of one's own.

use super::encoder::Encoder;
use super::run::trained;
use super::trainer::{Feed, Pace, Trainer};
use crate::error::{Error, Kind, Result};
use crate::graph::{EncoderInput, Model};
use crate::load::Batch;

/// An encoder that is being trained, batch by batch: made by [`super::Training::stepper`].
#[derive(Debug)]
pub struct Stepper {
    pub(super) trainer: Trainer,
    pub(super) encoder: Encoder,
    pub(super) input: EncoderInput,
    pub(super) batch: usize,
    pub(super) accumulate: u64,
    pub(super) step: u64,
}

/// What a step says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The loss before the step, a mean over its batches.
    pub loss: f32,
    /// The norm of all gradients together, before clipping.
    pub norm: f32,
    /// 1 if embeddings are spread over the sphere, 0 if they collapsed.
    pub spread: f32,
}

impl Stepper {
    /// One step over as many batches as [`super::Settings::accumulate`] says, with the learning
    /// rate `rate`. A slow copy, where the objective has one, keeps the share `keep` of what it
    /// was.
    ///
    /// # Errors
    /// [`Kind::Argument`] for other numbers of batches or samples than the steps were made for,
    /// and those of the runtime.
    pub fn step(&mut self, batches: &[Batch], rate: f64, keep: f64) -> Result<Measured> {
        let wanted = (self.accumulate, self.batch);
        let fits = batches.iter().all(|batch| batch.len() == self.batch);
        if batches.len() as u64 != self.accumulate || !fits {
            let found: Vec<_> = batches.iter().map(Batch::len).collect();
            let message = format!("batches of {found:?} samples, not {} of {}", wanted.0, wanted.1);
            return Err(Error::new(Kind::Argument, message).help("build the loader to match"));
        }
        self.step += 1;
        let feeds: Vec<Feed<'_>> = batches.iter().map(Feed::of).collect();
        self.trainer.step(&feeds, Pace { step: self.step, rate, keep })
    }

    /// The encoder with its parameters as they are now.
    ///
    /// # Errors
    /// Those of the runtime.
    pub fn model(&self) -> Result<Model> {
        trained(&self.encoder, &self.trainer, &self.input)
    }
}
