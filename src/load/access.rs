//! Random access: one session, and the block that it made last.

use std::sync::Arc;

use super::batch::Images;
use super::messages::Piece;
use super::pool::aligned;
use super::stream::Stream;
use super::views::{Rows, make_views};
use crate::error::Result;
use crate::generate::Generator;
use crate::sample::BlockInputs;

#[derive(Debug)]
pub(super) struct Access {
    generator: Generator,
    inputs: BlockInputs,
    /// First sample and epoch of the block that `samples` holds, if it holds one.
    block: Option<(u64, u64)>,
    /// One piece for each sample.
    samples: Vec<Piece>,
}

impl Access {
    pub fn new(generator: Generator, stream: &Stream) -> Self {
        let piece = |_| Piece {
            sequence: 0,
            samples: 0..0,
            offset: 0,
            out: stream.groups.iter().map(|group| aligned(group.format.sample_bytes())).collect(),
            error: None,
        };
        Self {
            generator,
            inputs: BlockInputs::default(),
            block: None,
            samples: (0..stream.block).map(piece).collect(),
        }
    }

    /// A copy of the images of sample `index` in `epoch`, one for each group of views. Makes the
    /// whole block that the sample is in, unless it is there. A bad image spoils only its own
    /// sample.
    pub fn get(&mut self, stream: &Stream, index: u64, epoch: u64) -> Result<Vec<Images>> {
        let block = u64::from(stream.block);
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
        let copy = |(out, group): (&bytes::BytesMut, _)| {
            let mut bytes = aligned(out.len());
            bytes.copy_from_slice(out);
            Images::new(bytes, group, 1, None)
        };
        Ok(piece.out.iter().zip(&stream.groups).map(copy).collect())
    }

    fn make(&mut self, stream: &Stream, first: u64, epoch: u64) -> Result<()> {
        self.block = None;
        for (index, piece) in (first..).zip(&mut self.samples) {
            (piece.samples, piece.error) = (index..index + 1, None);
        }
        let source = stream.echo.source(first).index;
        stream.sampler.fill(source, stream.block, epoch, &mut self.inputs);
        let Self { generator, inputs, samples, .. } = self;
        generator.run(inputs, &mut |first_row, values| {
            let rows = Rows::of_job(stream, epoch, first, first_row, values);
            make_views(stream, rows, samples, None);
            Ok(())
        })?;
        self.block = Some((first, epoch));
        Ok(())
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
        Self { access: Access::new(generator, stream), stream: Arc::clone(stream) }
    }

    /// Makes the first block, and gives how many images the generator made for it.
    pub fn make(&mut self) -> Result<usize> {
        self.access.make(&self.stream, 0, 0)?;
        Ok(self.access.inputs.rows)
    }
}
