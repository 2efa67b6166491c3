//! Random access: one session, and the blocks that it made last.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;

use super::batch::{Images, Indices, Memory};
use super::memory::{aligned, joined};
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
    made: Made,
}

/// Where whoever asks in random order has blocks kept that were made for it, beside those that random
/// access keeps itself: for processes that share what they make.
pub trait BlockStore {
    /// Copies the images of sample `index` in `epoch` to `out`, which has a slice for each group of
    /// views.
    fn load(&self, index: u64, epoch: u64, out: &mut [BytesMut]) -> Kept;

    /// Says that the block that begins with sample `first` is being made, and whether to
    /// [`save`](Self::save) it then.
    fn claim(&self, first: u64, epoch: u64) -> bool;

    /// Keeps the images of the block's samples, in their order, those of each group after each other; or
    /// nothing, if the block that was claimed came to nothing.
    fn save(&self, first: u64, epoch: u64, samples: Option<&[&[BytesMut]]>);
}

/// What a [`BlockStore`] has of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Its images, which were copied.
    Copied,
    /// Nothing.
    Absent,
    /// Nothing yet: someone else is making its block.
    BeingMade,
}

/// The blocks that were made last, each by its first sample and epoch. One that is looked up is not
/// moved: where all of a pass is kept nothing has to go, and where it is not, a random order gains
/// as little either way.
struct Made {
    blocks: HashMap<BlockKey, Block>,
    /// Oldest first.
    order: VecDeque<BlockKey>,
    /// How many are kept; at least one.
    limit: usize,
}

/// First sample and epoch.
type BlockKey = (u64, u64);
/// One piece for each sample.
type Block = Vec<Piece>;

impl Access {
    /// Keeps blocks up to `memory` bytes of images, and one in any case.
    pub fn new(generator: Option<Generator>, stream: &Stream, memory: u64) -> Self {
        let block = (stream.block as u64 * stream.sample_bytes() as u64).max(1);
        let limit = usize::try_from(memory / block).unwrap_or(usize::MAX).max(1);
        Self {
            generator,
            hand: stream.stored.as_ref().map(|stored| stored.hand(Caching::Within)),
            inputs: BlockInputs::default(),
            made: Made { blocks: HashMap::new(), order: VecDeque::new(), limit },
        }
    }

    /// The images of the samples `indices` in `epoch`, in that order, one tensor for each group of
    /// views. Makes the whole blocks that the samples are in, unless they are there. A bad image
    /// spoils only its own sample.
    pub fn get(
        &mut self,
        stream: &Stream,
        indices: &[u64],
        epoch: u64,
        store: Option<&dyn BlockStore>,
    ) -> Result<Vec<Images>> {
        let mut samples = parts(stream, indices.len());
        let mut order: Vec<usize> = (0..indices.len()).collect();
        order.sort_unstable_by_key(|&at| indices[at]);
        if let Some(store) = store {
            // What others are making comes last: it may be there by then.
            let mut load = |at: usize| store.load(indices[at], epoch, &mut samples[at]);
            let kept: Vec<Kept> = order.iter().map(|&at| load(at)).collect();
            let of = |wanted| order.iter().zip(&kept).filter(move |(_, kept)| **kept == wanted);
            order = of(Kept::Absent).chain(of(Kept::BeingMade)).map(|(at, _)| *at).collect();
        }
        for at in order {
            let out = std::mem::take(&mut samples[at]);
            samples[at] = self.fill(stream, indices[at], epoch, out, store)?;
        }
        let own = |(bytes, group)| Images::new(Memory::Buffer(bytes), group, indices.len(), None);
        Ok(joined(samples).into_iter().zip(&stream.groups).map(own).collect())
    }

    /// Writes the images of one sample.
    fn fill(
        &mut self,
        stream: &Stream,
        index: u64,
        epoch: u64,
        mut out: Vec<BytesMut>,
        store: Option<&dyn BlockStore>,
    ) -> Result<Vec<BytesMut>> {
        let block = u64::from(stream.block);
        if let Some(stored) = &stream.stored
            && stored.number(index).is_some()
        {
            return self.read(stream, stored, index, epoch, out);
        }
        let first = index / block * block;
        let key = (first, epoch);
        if !self.made.blocks.contains_key(&key) {
            match store {
                None => self.make(stream, first, epoch, self.made.limit)?,
                Some(store) => {
                    if store.load(index, epoch, &mut out) == Kept::Copied {
                        return Ok(out);
                    }
                    self.make_for(stream, first, epoch, store)?;
                }
            }
        }
        let at = usize::try_from(index - first).unwrap_or(0);
        let piece = self.made.blocks.get_mut(&key).and_then(|block| block.get_mut(at));
        let piece = piece.expect("a block that was made has all its samples");
        if let Some(error) = piece.error.take() {
            // An error belongs to whoever gets it; who asks again makes the block again.
            self.made.forget(key);
            return Err(error);
        }
        for (out, made) in out.iter_mut().zip(&piece.out) {
            out.copy_from_slice(made);
        }
        Ok(out)
    }

    /// Reads the images of a stored sample.
    fn read(
        &mut self,
        stream: &Stream,
        stored: &Stored,
        index: u64,
        epoch: u64,
        out: Vec<BytesMut>,
    ) -> Result<Vec<BytesMut>> {
        let hand = self.hand.as_mut().expect("a stream with stored samples has a hand");
        let mut piece = piece(index, out);
        hand.fill(Filling { stream, stored, epoch, threads: None }, &mut piece);
        let skipped = piece.skipped.pop().map(|(_, error)| error);
        match piece.error.or(skipped) {
            Some(error) => Err(error),
            None => Ok(piece.out),
        }
    }

    /// Makes a block, and has it kept if nobody else does. One with a bad image is nobody's.
    fn make_for(
        &mut self,
        stream: &Stream,
        first: u64,
        epoch: u64,
        store: &dyn BlockStore,
    ) -> Result<()> {
        let claimed = store.claim(first, epoch);
        // It is kept there: here only until the next.
        let made = self.make(stream, first, epoch, 1);
        if claimed {
            let block = self.made.blocks.get(&(first, epoch)).filter(|_| made.is_ok());
            let good = block.filter(|block| block.iter().all(|piece| piece.error.is_none()));
            let samples: Option<Vec<&[BytesMut]>> =
                good.map(|block| block.iter().map(|piece| &piece.out[..]).collect());
            store.save(first, epoch, samples.as_deref());
        }
        made
    }

    /// Makes a block, as one of `limit` that are kept.
    fn make(&mut self, stream: &Stream, first: u64, epoch: u64, limit: usize) -> Result<()> {
        let mut samples = self.made.oldest(limit).unwrap_or_else(|| empty(stream));
        for (index, old) in (first..).zip(&mut samples) {
            *old = piece(index, std::mem::take(&mut old.out));
        }
        let source = stream.echo.source(first).index;
        stream.fill(source, epoch, &mut self.inputs);
        let Self { generator: Some(generator), inputs, .. } = self else {
            return Ok(());
        };
        generator.run(inputs, &mut |first_row, values| {
            let rows = Rows::of_job(stream, epoch, first, first_row, values);
            make_generated(stream, rows, &mut samples, None);
            Ok(())
        })?;
        self.made.keep((first, epoch), samples);
        Ok(())
    }
}

impl Made {
    /// The oldest block, for the next to be made in its place, where no more are kept.
    fn oldest(&mut self, limit: usize) -> Option<Block> {
        if self.order.len() < limit {
            return None;
        }
        self.blocks.remove(&self.order.pop_front()?)
    }

    fn keep(&mut self, key: BlockKey, block: Block) {
        self.order.push_back(key);
        self.blocks.insert(key, block);
    }

    fn forget(&mut self, key: BlockKey) {
        self.order.retain(|other| *other != key);
        self.blocks.remove(&key);
    }
}

/// Room for the images of `samples` samples, for each and each group of views, cut out of one buffer
/// a group.
fn parts(stream: &Stream, samples: usize) -> Vec<Vec<BytesMut>> {
    let sizes: Vec<usize> = stream.groups.iter().map(|group| group.format.sample_bytes()).collect();
    let mut buffers: Vec<BytesMut> = sizes.iter().map(|size| aligned(size * samples)).collect();
    let mut cut = || {
        let groups = buffers.iter_mut().zip(&sizes);
        groups.map(|(buffer, size)| buffer.split_to(*size)).collect()
    };
    (0..samples).map(|_| cut()).collect()
}

/// Where the images of sample `index` go.
fn piece(index: u64, out: Vec<BytesMut>) -> Piece {
    let one = index..index + 1;
    Piece {
        sequence: 0,
        samples: one.clone(),
        offset: 0,
        out,
        error: None,
        batch: Indices::Run(one),
        skipped: Vec::new(),
    }
}

/// Room for a block.
fn empty(stream: &Stream) -> Block {
    parts(stream, stream.block as usize).into_iter().map(|out| piece(0, out)).collect()
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("made", &self.made.order).finish_non_exhaustive()
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
        Self { access: Access::new(Some(generator), stream, 0), stream: Arc::clone(stream) }
    }

    /// Makes the first block, and gives how many images the generator made for it.
    pub fn make(&mut self) -> Result<usize> {
        self.access.make(&self.stream, 0, 0, 1)?;
        Ok(self.access.inputs.rows)
    }
}
