//! Random access: one session, and the block that it made last.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;

use super::batch::{Images, Indices, Memory};
use super::memory::aligned;
use super::messages::Piece;
use super::store::Caching;
use super::stored::{Filling, Hand, Stored, make_generated};
use super::stream::Stream;
use super::views::Rows;
use crate::error::Result;
use crate::generate::Generator;
use crate::sample::BlockInputs;

pub(super) struct Access {
    /// `None` where everything is stored.
    generator: Option<Generator>,
    /// `None` where nothing is stored.
    hand: Option<Hand>,
    inputs: BlockInputs,
    /// First sample and epoch of the block that `samples` holds, if it holds one.
    block: Option<(u64, u64)>,
    /// One piece for each sample.
    samples: Vec<Piece>,
}

impl Access {
    pub fn new(generator: Option<Generator>, stream: &Stream) -> Self {
        let pieces = if generator.is_some() { stream.block } else { 1 };
        Self {
            generator,
            hand: stream.stored.as_ref().map(|stored| stored.hand(Caching::Within)),
            inputs: BlockInputs::default(),
            block: None,
            samples: (0..pieces).map(|_| empty(stream)).collect(),
        }
    }

    /// A copy of the images of sample `index` in `epoch`, one for each group of views. Makes the
    /// whole block that the sample is in, unless it is there. A bad image spoils only its own
    /// sample.
    pub fn get(&mut self, stream: &Stream, index: u64, epoch: u64) -> Result<Vec<Images>> {
        let block = u64::from(stream.block);
        if let Some(stored) = &stream.stored
            && stored.number(index).is_some()
        {
            return self.read(stream, stored, index, epoch);
        }
        let first = index / block * block;
        if self.block != Some((first, epoch)) {
            self.make(stream, first, epoch)?;
        }
        let piece = &mut self.samples[usize::try_from(index - first).unwrap_or(0)];
        if let Some(error) = piece.error.take() {
            // An error belongs to whoever gets it; who asks again makes the block again.
            self.block = None;
            return Err(error);
        }
        let copy = |(out, group): (&BytesMut, _)| {
            let mut bytes = aligned(out.len());
            bytes.copy_from_slice(out);
            Images::new(Memory::Buffer(bytes), group, 1, None)
        };
        Ok(piece.out.iter().zip(&stream.groups).map(copy).collect())
    }

    /// The images of a stored sample.
    fn read(
        &mut self,
        stream: &Stream,
        stored: &Stored,
        index: u64,
        epoch: u64,
    ) -> Result<Vec<Images>> {
        let hand = self.hand.as_mut().expect("a stream with stored samples has a hand");
        let one = index..index + 1;
        let mut piece = Piece { samples: one.clone(), batch: Indices::Run(one), ..empty(stream) };
        hand.fill(Filling { stream, stored, epoch, threads: None }, &mut piece);
        let skipped = piece.skipped.pop().map(|(_, error)| error);
        if let Some(error) = piece.error.or(skipped) {
            return Err(error);
        }
        let own = |(bytes, group)| Images::new(Memory::Buffer(bytes), group, 1, None);
        Ok(piece.out.into_iter().zip(&stream.groups).map(own).collect())
    }

    fn make(&mut self, stream: &Stream, first: u64, epoch: u64) -> Result<()> {
        self.block = None;
        for (index, piece) in (first..).zip(&mut self.samples) {
            let one = index..index + 1;
            (piece.samples, piece.batch, piece.error) = (one.clone(), Indices::Run(one), None);
        }
        let source = stream.echo.source(first).index;
        stream.fill(source, epoch, &mut self.inputs);
        let Self { generator: Some(generator), inputs, samples, .. } = self else {
            return Ok(());
        };
        generator.run(inputs, &mut |first_row, values| {
            let rows = Rows::of_job(stream, epoch, first, first_row, values);
            make_generated(stream, rows, samples, None);
            Ok(())
        })?;
        self.block = Some((first, epoch));
        Ok(())
    }
}

/// Room for the images of one sample.
fn empty(stream: &Stream) -> Piece {
    Piece {
        sequence: 0,
        samples: 0..0,
        offset: 0,
        out: stream.groups.iter().map(|group| aligned(group.format.sample_bytes())).collect(),
        error: None,
        batch: Indices::Run(0..0),
        skipped: Vec::new(),
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("block", &self.block).finish_non_exhaustive()
    }
}

/// One session and the views of what it makes, on the caller's thread, again and again: what a
/// worker does, for measuring how fast.
#[derive(Debug)]
pub(crate) struct BlockMaker {
    access: Access,
    stream: Arc<Stream>,
}

impl BlockMaker {
    pub(super) fn new(generator: Generator, stream: &Arc<Stream>) -> Self {
        Self { access: Access::new(Some(generator), stream), stream: Arc::clone(stream) }
    }

    /// Makes the first block, and gives how many images the generator made for it.
    pub fn make(&mut self) -> Result<usize> {
        self.access.make(&self.stream, 0, 0)?;
        Ok(self.access.inputs.rows)
    }
}
