//! How far an export is, and what came of it.

use std::time::Duration;

use serde::Serialize;

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Samples of this rank's part that are written, those of earlier runs among them.
    pub samples: u64,
    /// Samples of this rank's part.
    pub of: u64,
    /// Images written in this run.
    pub images: u64,
    /// Bytes of images written in this run, as they are encoded.
    pub bytes: u64,
}

/// What came of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Shards that this run made.
    pub shards: usize,
    /// Shards of this rank's part that were there before.
    pub resumed: usize,
    /// Images that this run wrote.
    pub images: u64,
    /// Bytes of the shards that this run made, and of image files.
    pub bytes: u64,
    /// From the start to the last manifest.
    pub time: Duration,
    /// Samples that the folder has now, of all ranks.
    pub there: u64,
    /// Samples that it is to have.
    pub wanted: u64,
}

/// An export in numbers, for reports.
#[derive(Debug, Serialize)]
struct Numbers {
    shards: usize,
    resumed: usize,
    images: u64,
    bytes: u64,
    seconds: f64,
    images_per_second: f64,
    samples: u64,
    samples_wanted: u64,
    complete: bool,
}

impl Exported {
    /// Whether the folder has everything: other ranks may not have ended.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.there == self.wanted
    }

    /// Images written a second, over all of the time.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn images_per_second(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { self.images as f64 / seconds } else { 0.0 }
    }
}

impl Serialize for Exported {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Numbers {
            shards: self.shards,
            resumed: self.resumed,
            images: self.images,
            bytes: self.bytes,
            seconds: self.time.as_secs_f64(),
            images_per_second: self.images_per_second(),
            samples: self.there,
            samples_wanted: self.wanted,
            complete: self.is_complete(),
        }
        .serialize(to)
    }
}
