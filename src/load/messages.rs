//! What the stages of a loader share, and what they tell each other.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::batch::{Indices, Latents};
use super::counters::Counters;
use super::credits::Credits;
use super::pool::Returns;
use super::replay::{Kept, Replay};
use super::shares::Step;
use super::state::Stop;
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
    pub counters: Arc<Counters>,
    /// The seed of the order in which samples are delivered, if that is shuffled.
    pub shuffle: Option<u64>,
    /// Whether batches are delivered as they lie in memory, where they do.
    pub zero_copy: bool,
    /// Blocks that wait for an echo, if the recipe has echoes.
    pub replay: Option<Arc<Replay>>,
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

impl Job {
    /// The span of making it, for `tracing`: the samples that are wanted of the block.
    pub fn span(&self, worker: usize) -> tracing::Span {
        let start = self.pieces.first().map_or(self.first, |piece| piece.samples.start);
        let end = self.pieces.last().map_or(self.first, |piece| piece.samples.end);
        tracing::debug_span!("block", start, end, epoch = self.epoch, worker)
    }
}

/// What the images of a block come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A generator call on these inputs.
    Drawn(BlockInputs),
    /// An earlier one, whose outcome was kept.
    Kept(Kept),
    /// Nothing but what is stored.
    Stored,
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
    /// The samples of the whole batch.
    pub batch: Indices,
    /// Places of samples that are left out, and why.
    pub skipped: Vec<(u64, Error)>,
}

impl Piece {
    /// The index of the sample that is delivered at a position of the stream.
    ///
    /// # Panics
    /// If the position is not in the piece.
    pub fn index(&self, position: u64) -> u64 {
        let at = usize::try_from(position - self.samples.start).unwrap_or(usize::MAX);
        self.batch.get(self.offset.saturating_add(at)).expect("a position of the piece")
    }
}

/// What is known of a batch before its images are made.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub labels: Option<Vec<i64>>,
    pub latents: Option<Latents>,
    /// Its images, where they are delivered as they lie in memory.
    pub mapped: Option<Vec<Bytes>>,
}

/// What the stages tell the consumer.
#[derive(Debug)]
pub(super) enum Event {
    /// The next batch in order has been planned.
    Opened { epoch: u64, step: Step, returns: Vec<Returns>, index: Indices, known: Known },
    /// A part of a batch is made; `offset` in samples, `bytes` for each group of views.
    Part {
        sequence: u64,
        offset: usize,
        samples: usize,
        bytes: Vec<BytesMut>,
        skipped: Vec<(u64, Error)>,
    },
    /// A block could not be made. Its images would go to this batch from `offset` on.
    Failed { sequence: u64, offset: usize, error: Error },
    /// Every batch has been planned.
    End,
}
