//! What writers take.

use std::fmt;
use std::ops::Range;

use crate::codec::{Encoding, Picture};
use crate::error::{Error, Kind, Result};
use crate::load::GroupForm;

/// What all shards of a folder have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardForm {
    /// The groups of views of a sample, in order; at least one.
    pub groups: Vec<GroupForm>,
    /// How images are written.
    pub encoding: Encoding,
    /// Whether samples have labels.
    pub labels: bool,
    /// Names of the classes; empty or one for each.
    pub classes: Vec<String>,
    /// `[V, Z]` of the latents of a sample, if they are written.
    pub latents: Option<[usize; 2]>,
    /// Whether what was drawn for each view is written.
    pub parameters: bool,
}

impl ShardForm {
    /// Whether the encoding can hold the images.
    ///
    /// # Errors
    /// Those of [`Encoding::check`], naming the group where there are several.
    pub fn check(&self) -> Result<()> {
        for GroupForm { name, form, .. } in &self.groups {
            self.encoding.check(form).map_err(|error| match name.as_str() {
                "" => error,
                name => error.at(format!("views \"{name}\"")),
            })?;
        }
        Ok(())
    }
}

/// One sample on its way into a shard.
#[derive(Debug, Clone)]
pub struct SampleRecord<'a> {
    /// Its index in the dataset.
    pub index: u64,
    /// Its class, if the dataset has labels.
    pub label: Option<i64>,
    /// `[V, Z]`, if they are written.
    pub latents: Option<&'a [f32]>,
    /// What was drawn for its views, as JSON, if it is written.
    pub parameters: Option<&'a str>,
    /// The views of all groups, one group after the other, in the form of the shard's encoding.
    pub pictures: &'a [Picture<'a>],
}

/// Writes one shard.
pub trait ShardWriter: fmt::Debug {
    /// Adds the next sample. Indices rise by one.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) from the file.
    fn put(&mut self, sample: &SampleRecord<'_>) -> Result<()>;

    /// Writes what is still to be written. The shard is whole, but not yet synced or named.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) from the file.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// What is still to come into a shard, for writers that take samples one by one.
#[derive(Debug)]
pub(super) struct Awaited {
    samples: Range<u64>,
    pictures: usize,
}

impl Awaited {
    /// These samples of this form.
    pub fn new(form: &ShardForm, samples: Range<u64>) -> Self {
        Self { samples, pictures: form.groups.iter().map(|group| group.views).sum() }
    }

    /// Whether a sample is the next one, with its pictures.
    ///
    /// # Errors
    /// [`Kind::Argument`].
    pub fn check(&self, sample: &SampleRecord<'_>) -> Result<()> {
        if sample.index != self.samples.start || self.samples.is_empty() {
            let (got, want) = (sample.index, &self.samples);
            let message =
                format!("sample {got} was given where {} to {} are to come", want.start, want.end);
            return Err(Error::new(Kind::Argument, message));
        }
        if sample.pictures.len() != self.pictures {
            let (got, want) = (sample.pictures.len(), self.pictures);
            return Err(Error::new(Kind::Argument, format!("has {got} pictures, not {want}")));
        }
        Ok(())
    }

    /// The next one has come.
    pub fn next(&mut self) {
        self.samples.start += 1;
    }

    /// Whether all have come.
    ///
    /// # Errors
    /// [`Kind::Argument`].
    pub fn end(&self) -> Result<()> {
        if self.samples.is_empty() {
            return Ok(());
        }
        let Range { start, end } = self.samples;
        Err(Error::new(Kind::Argument, format!("samples {start} to {end} were never given")))
    }
}

/// An error of the file that a shard is written to.
pub(super) fn cannot_write(error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot write: {error}")).because(error)
}
