//! What readers give.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::codec::Picture;
use crate::error::Result;
use crate::load::each_label;

/// Samples that lie somewhere: shards, or a folder of images. Usable from any number of threads.
pub trait Records: fmt::Debug + Send + Sync {
    /// The indices there are.
    fn samples(&self) -> Range<u64>;

    /// Pictures of each sample: the views of all groups, one group after the other.
    fn pictures(&self) -> usize;

    /// Names of the classes, in the order of labels; empty if they have none.
    fn classes(&self) -> &[String];

    /// Whether samples have labels.
    fn has_labels(&self) -> bool;

    /// The label of a sample, if it has one.
    ///
    /// # Errors
    /// [`Kind::Sample`](crate::Kind::Sample) or [`Kind::Io`](crate::Kind::Io) if it cannot be read.
    fn label(&self, index: u64) -> Result<Option<i64>>;

    /// Adds the labels of consecutive samples to `out`; -1 for one that has none.
    ///
    /// # Errors
    /// As [`Records::label`].
    fn labels(&self, samples: Range<u64>, out: &mut Vec<i64>) -> Result<()> {
        each_label(samples, out, |index| self.label(index))
    }

    /// Numbers in the latent of a view: Z; 0 if there are none.
    fn latent_len(&self) -> usize {
        0
    }

    /// Writes the latents of all views of a sample, `[V, Z]`.
    ///
    /// # Errors
    /// As [`Records::label`].
    fn latents(&self, _index: u64, _out: &mut [f32]) -> Result<()> {
        Ok(())
    }

    /// Shows the pictures of a sample, in order. `scratch` is memory to read to, kept by the
    /// caller's thread from sample to sample.
    ///
    /// # Errors
    /// As [`Records::label`], and those of `show`.
    fn show(
        &self,
        index: u64,
        scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()>;

    /// The raw bytes of group `group` of consecutive samples, if they lie in memory one after the
    /// other as they are delivered.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) if the file has changed since it was opened.
    fn run(&self, _samples: Range<u64>, _group: usize) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    /// As [`Records::run`], as a value that keeps the memory alive.
    ///
    /// # Errors
    /// As [`Records::run`].
    fn mapped(&self, _samples: Range<u64>, _group: usize) -> Result<Option<Bytes>> {
        Ok(None)
    }

    /// How many of `samples`, from the first on, lie together in one file: for cutting work.
    fn together(&self, samples: Range<u64>) -> u64 {
        samples.end - samples.start
    }

    /// What to call a sample in an error: the file or member that it is in.
    fn place(&self, index: u64) -> String;

    /// What tells this collection from another: names and sizes, or better the hashes that a
    /// manifest has. Goes into the digest of a dataset that reads it.
    fn identify(&self, hasher: &mut blake3::Hasher);
}

/// One shard file. Positions count its samples from 0.
pub trait ShardReader: fmt::Debug + Send + Sync {
    /// How many samples it has.
    fn len(&self) -> u64;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sample's index as the shard has it, for checking.
    ///
    /// # Errors
    /// [`Kind::Sample`](crate::Kind::Sample) or [`Kind::Io`](crate::Kind::Io).
    fn index(&self, position: u64) -> Result<u64>;

    /// As [`Records::label`].
    ///
    /// # Errors
    /// As [`ShardReader::index`].
    fn label(&self, position: u64) -> Result<Option<i64>>;

    /// As [`Records::labels`], for positions.
    ///
    /// # Errors
    /// As [`ShardReader::index`].
    fn labels(&self, positions: Range<u64>, out: &mut Vec<i64>) -> Result<()> {
        each_label(positions, out, |position| self.label(position))
    }

    /// As [`Records::latents`].
    ///
    /// # Errors
    /// As [`ShardReader::index`].
    fn latents(&self, position: u64, out: &mut [f32]) -> Result<()>;

    /// As [`Records::show`].
    ///
    /// # Errors
    /// As [`ShardReader::index`], and those of `show`.
    fn show(
        &self,
        position: u64,
        scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()>;

    /// Compares what the sample has outside of the shard's own file with the hashes that the shard
    /// has of it. What is inside, the manifest's hash covers.
    ///
    /// # Errors
    /// As [`ShardReader::index`], naming the file.
    fn verify(&self, _position: u64) -> Result<()> {
        Ok(())
    }

    /// As [`Records::run`], for positions.
    ///
    /// # Errors
    /// As [`Records::run`].
    fn run(&self, _positions: Range<u64>, _group: usize) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    /// As [`Records::mapped`], for positions.
    ///
    /// # Errors
    /// As [`Records::run`].
    fn mapped(&self, _positions: Range<u64>, _group: usize) -> Result<Option<Bytes>> {
        Ok(None)
    }
}
