//! Training steps by hand, for a loop of one's own.

use super::encoder::Encoder;
use super::machine::{Feed, Machine, Measured, Pace};
use super::run::trained;
use crate::error::{Error, Kind, Result};
use crate::graph::{EncoderInput, Model};
use crate::load::Batch;

/// An encoder that is being trained, batch by batch: made by [`super::Training::stepper`].
#[derive(Debug)]
pub struct Stepper {
    pub(super) machine: Box<dyn Machine>,
    pub(super) encoder: Encoder,
    pub(super) input: EncoderInput,
    pub(super) batch: usize,
    pub(super) accumulate: u64,
    pub(super) step: u64,
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
        self.machine.step(&feeds, Pace { step: self.step, rate, keep })
    }

    /// The encoder with its parameters as they are now.
    ///
    /// # Errors
    /// Those of the runtime.
    pub fn model(&self) -> Result<Model> {
        trained(&self.encoder, &*self.machine, &self.input)
    }
}
