//! What a loader needs to know of samples that are stored instead of generated.
//!
//! The pipeline knows no formats: shards and folders of images come to it as a [`Store`].

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::codec::RawForm;
use crate::error::Result;

/// Samples that lie somewhere, to be read from any thread.
pub trait Store: fmt::Debug + Send + Sync {
    /// The indices there are; never empty.
    fn samples(&self) -> Range<u64>;

    /// The tensors of a sample, one for each group of views, as they are read.
    fn groups(&self) -> &[GroupForm];

    /// Names of the classes, in the order of labels; empty if they have none.
    fn classes(&self) -> &[String];

    /// Whether samples have labels.
    fn has_labels(&self) -> bool;

    /// The label of a sample; `None` if it has none.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) or [`Kind::Sample`](crate::Kind::Sample) if it cannot be read.
    fn label(&self, index: u64) -> Result<Option<i64>>;

    /// Adds the labels of consecutive samples to `out`; -1 for one that has none.
    ///
    /// # Errors
    /// As [`Store::label`].
    fn labels(&self, samples: Range<u64>, out: &mut Vec<i64>) -> Result<()> {
        each_label(samples, out, |index| self.label(index))
    }

    /// Numbers in the latent of a view; 0 if there are none.
    fn latent_len(&self) -> usize;

    /// Writes the latents of a sample, `[V, Z]`.
    ///
    /// # Errors
    /// As [`Store::label`].
    fn latents(&self, index: u64, out: &mut [f32]) -> Result<()>;

    /// What one thread reads with. Changes no byte, whatever the caching.
    fn reader(&self, caching: Caching) -> Box<dyn StoreReader>;

    /// The bytes of consecutive samples of a group as they lie in memory, if they do.
    ///
    /// # Errors
    /// As [`Store::label`].
    fn mapped(&self, samples: Range<u64>, group: usize) -> Result<Option<Bytes>>;
}

/// Adds the labels of consecutive samples to `out`, one after the other; -1 for one that has none.
///
/// # Errors
/// Those of `label`.
pub(crate) fn each_label(
    samples: Range<u64>,
    out: &mut Vec<i64>,
    label: impl Fn(u64) -> Result<Option<i64>>,
) -> Result<()> {
    for index in samples {
        out.push(label(index)?.unwrap_or(-1));
    }
    Ok(())
}

/// Whether what a reader writes is still in the processor's caches when somebody reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// It may be.
    Within,
    /// It is more than they hold.
    Past,
}

/// Reads samples, on one thread.
pub trait StoreReader: Send {
    /// Fills `out`, one slice for each group, with consecutive samples.
    ///
    /// # Errors
    /// [`Kind::Sample`](crate::Kind::Sample) naming file and sample for one that is no image,
    /// [`Kind::Io`](crate::Kind::Io) for files that cannot be read or have changed.
    fn read(&mut self, samples: Range<u64>, out: &mut [&mut [u8]]) -> Result<()>;

    /// The same for samples that need not be consecutive.
    ///
    /// # Errors
    /// As [`StoreReader::read`].
    fn read_each(&mut self, samples: &[u64], out: &mut [&mut [u8]]) -> Result<()> {
        let sizes: Vec<usize> = out.iter().map(|out| out.len() / samples.len().max(1)).collect();
        for (at, &index) in samples.iter().enumerate() {
            let mut own: Vec<&mut [u8]> = out
                .iter_mut()
                .zip(&sizes)
                .map(|(out, size)| &mut out[at * size..(at + 1) * size])
                .collect();
            self.read(index..index + 1, &mut own)?;
        }
        Ok(())
    }

    /// Brings into memory what [`Store::mapped`] gave for `samples`, so that the consumer does not
    /// wait for a disk.
    ///
    /// # Errors
    /// As [`StoreReader::read`].
    fn touch(&mut self, samples: Range<u64>) -> Result<()>;
}

/// One group of views: a tensor of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupForm {
    /// Its name in the recipe; empty where there is one without a name.
    pub name: String,
    /// Images of it that each sample has.
    pub views: usize,
    /// What each of them is when it is decoded.
    pub form: RawForm,
}

impl GroupForm {
    /// Bytes of one image.
    ///
    /// # Panics
    /// If that is more than fits memory.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.form.checked_len().expect("an image fits memory")
    }

    /// Bytes of one sample.
    ///
    /// # Panics
    /// As [`GroupForm::image_bytes`].
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        self.views * self.image_bytes()
    }
}
