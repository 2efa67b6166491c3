//! Digests of what is delivered, to compare machines, settings and shards.

use serde::Serialize;

use super::batch::Batch;
use crate::error::{Error, Kind, Result};

/// BLAKE3 of every sample of a range, and of all of them together.
///
/// A sample's digest is over its delivered image bytes (all views of all groups) followed by its label as a
/// little-endian `i64`, if it has one. The digest of a range is over the samples' digests in the
/// order of their indices, so parts that were made apart can be put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleDigests {
    /// Index and digest, in rising order of index.
    samples: Vec<(u64, blake3::Hash)>,
}

/// One sample's digest, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleDigest {
    /// The sample.
    pub index: u64,
    /// 64 hexadecimal digits.
    pub blake3: String,
}

impl SampleDigests {
    /// No samples yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the samples of a batch.
    pub fn add(&mut self, batch: &Batch) {
        for (i, index) in batch.index().into_iter().enumerate() {
            let mut hasher = blake3::Hasher::new();
            for images in batch.groups() {
                hasher.update(images.sample_bytes(i));
            }
            if let Some(labels) = batch.labels() {
                hasher.update(&labels[i].to_le_bytes());
            }
            self.samples.push((index, hasher.finalize()));
        }
    }

    /// Puts the samples of another part (another rank, a later run) in.
    pub fn merge(&mut self, other: Self) {
        self.samples.extend(other.samples);
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Each sample's digest, in the order of indices.
    pub fn iter(&mut self) -> impl Iterator<Item = SampleDigest> + '_ {
        self.samples.sort_by_key(|(index, _)| *index);
        self.samples
            .iter()
            .map(|(index, hash)| SampleDigest { index: *index, blake3: hash.to_hex().to_string() })
    }

    /// The digest of all samples together, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Kind::State`] if a sample is missing or there twice.
    pub fn together(&mut self) -> Result<String> {
        self.samples.sort_by_key(|(index, _)| *index);
        for pair in self.samples.windows(2) {
            let (before, after) = (pair[0].0, pair[1].0);
            if after != before + 1 {
                let what = if after == before { "is there twice" } else { "is followed by a gap" };
                return Err(Error::new(Kind::State, format!("sample {before} {what}")));
            }
        }
        Ok(self.together_with_gaps())
    }

    /// The same where samples may have been left out.
    pub fn together_with_gaps(&mut self) -> String {
        self.samples.sort_by_key(|(index, _)| *index);
        let mut hasher = blake3::Hasher::new();
        for (_, hash) in &self.samples {
            hasher.update(hash.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}
