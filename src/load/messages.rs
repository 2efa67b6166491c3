//! What the stages of a loader share, and what they tell each other.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;

use super::batch::Latents;
use super::credits::Credits;
use super::pool::Returns;
use super::replay::{Kept, Replay};
use super::shares::Step;
use super::state::Stop;
use super::statistics::Counters;
use super::stream::Stream;
use crate::error::Error;
use crate::sample::{BlockInputs, Source};

/// What all stages of one loader know.
#[derive(Debug)]
pub(super) struct Context {
    pub stream: Arc<Stream>,
    pub want_latents: bool,
    /// Set by whoever ends the loader: the consumer's drop, an error, the user's [`Stop`].
    pub stop: Stop,
    /// Samples that the consumer has taken.
    pub credits: Credits,
    pub counters: Counters,
    /// Blocks that wait for an echo, if the recipe has echoes.
    pub replay: Option<Replay>,
}

/// A block to be delivered: what it comes from, and where its images go.
#[derive(Debug)]
pub(super) struct Job {
    pub epoch: u64,
    /// The first sample of the block.
    pub first: u64,
    /// The generated sample that it delivers.
    pub source: Source,
    pub origin: Origin,
    pub pieces: Vec<Piece>,
}

/// What the images of a block come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A generator call on these inputs.
    Drawn(BlockInputs),
    /// An earlier one, whose outcome was kept.
    Kept(Kept),
}

/// Consecutive samples of a block that go to consecutive places in one batch.
#[derive(Debug)]
pub(super) struct Piece {
    /// Counts the batches of this loader, in the order of delivery.
    pub sequence: u64,
    pub samples: Range<u64>,
    /// Where in the batch, in samples.
    pub offset: usize,
    /// The part of the batch's buffers, one for each group of views.
    pub out: Vec<BytesMut>,
    /// The first of its images that may not be delivered.
    pub error: Option<Error>,
}

/// What the stages tell the consumer.
#[derive(Debug)]
pub(super) enum Event {
    /// The next batch in order has been planned.
    Opened {
        epoch: u64,
        step: Step,
        returns: Vec<Returns>,
        labels: Option<Vec<i64>>,
        latents: Option<Latents>,
    },
    /// A part of a batch is made; `offset` in samples, `bytes` for each group of views.
    Part { sequence: u64, offset: usize, samples: usize, bytes: Vec<BytesMut> },
    /// A block could not be made. Its images would go to this batch from `offset` on.
    Failed { sequence: u64, offset: usize, error: Error },
    /// Every batch has been planned.
    End,
}
