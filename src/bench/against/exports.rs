//! The stream's own samples on disk, in the formats that people keep images in.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::rival::{Origin, Rival, bytes_at};
use crate::codec::Encoding;
use crate::error::{Result, ResultExt};
use crate::load::{Dataset, LoaderBuilder, Options, Stop};
use crate::shard::{Export, Exported, Format, MANIFEST, Manifest, Progress};

/// Bytes of images, before they are encoded, that are exported in each format unless a number of
/// samples is asked for: several times what caches of processors hold, and little enough for any
/// disk.
const BYTES: u64 = 256 << 20;

/// How long each format should take to write unless a number of samples is asked for.
const TIME: Duration = Duration::from_secs(3);

/// The fewest samples: with fewer, epochs would be so short that their ends would be measured.
const LEAST: u64 = 1024;

/// What is written: the folder, the name in tables, the format, the encoding.
///
/// JPEG in tar files, as people keep photographs in WebDataset; raw in the formats whose own users
/// want speed.
const KEPT: [(&str, &str, Format, Encoding); 5] = [
    ("safetensors", "safetensors, raw", Format::Safetensors, Encoding::Raw),
    ("mds", "MDS, raw", Format::Mds, Encoding::Raw),
    ("webdataset", "WebDataset, JPEG", Format::WebDataset, JPEG),
    ("jpeg", "JPEG folder", Format::Images, JPEG),
    ("png", "PNG folder", Format::Images, Encoding::Png),
];

const JPEG: Encoding = Encoding::Jpeg { quality: Encoding::DEFAULT_QUALITY };

/// Which samples of a stream are written, and where.
#[derive(Debug, Clone)]
pub struct Exports {
    /// The folder that gets one for each format. What an earlier run left there is used again.
    pub folder: PathBuf,
    /// How many samples, from the first on.
    pub samples: u64,
    /// A switch that ends it from elsewhere.
    pub stop: Stop,
}

/// A contender that could not take part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// What it would be called.
    pub name: String,
    /// Why it is not there.
    pub why: String,
}

impl Exports {
    /// So many samples that each format takes a few seconds to write at `images_per_second`, has
    /// 256 MiB of images at most, and is in the dataset; or as many as are in `folder` already.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub fn usual(dataset: &Dataset, folder: &Path, images_per_second: f64) -> u64 {
        let manifest = folder.join(KEPT[0].0).join(MANIFEST);
        if let Ok(manifest) = Manifest::read(&manifest) {
            return manifest.samples.end;
        }
        let sample = dataset.sample_bytes().max(1) as u64;
        #[allow(clippy::cast_precision_loss)]
        let made = images_per_second / dataset.views() as f64 * TIME.as_secs_f64();
        (made as u64).min(BYTES / sample).max(LEAST).min(dataset.len().unwrap_or(u64::MAX))
    }

    /// Writes what is missing of every format, and opens them. `watch` is told which one is written,
    /// and how far it is. What cannot hold the stream's images is absent.
    ///
    /// # Errors
    /// As [`Export::run`].
    pub fn write(
        &self,
        dataset: &Dataset,
        set_up: &dyn Fn(LoaderBuilder) -> LoaderBuilder,
        watch: &mut dyn FnMut(&str, &Progress),
    ) -> Result<(Vec<Rival>, Vec<Absent>)> {
        let (mut rivals, mut absent) = (Vec::new(), Vec::new());
        // What is wrong whatever the format is an error.
        self.export(KEPT[0].2, KEPT[0].3).manifest(dataset)?;
        for (folder, name, format, encoding) in KEPT {
            let export = self.export(format, encoding);
            if let Err(error) = export.manifest(dataset)?.form.check() {
                absent.push(Absent { name: name.to_owned(), why: error.summary() });
                continue;
            }
            let path = self.folder.join(folder);
            let exported = export.run(dataset, &path, set_up, &mut |progress| {
                watch(name, progress);
            });
            let exported = exported.at(|| name)?;
            let begun = Instant::now();
            let stored = Dataset::open_with(&path, Options::default()).at(|| name)?;
            rivals.push(Rival {
                name: name.to_owned(),
                origin: Origin::Export,
                dataset: stored,
                opened: begun.elapsed(),
                bytes: bytes_at(&path)?,
                store: store(&exported),
                mapped: format == Format::Safetensors,
                path,
            });
        }
        Ok((rivals, absent))
    }

    fn export(&self, format: Format, encoding: Encoding) -> Export {
        Export {
            format,
            encoding: Some(encoding),
            samples: Some(self.samples),
            // Whatever the world: what is read back here has to be here.
            rank: Some((0, 1)),
            stop: self.stop.clone(),
            ..Export::default()
        }
    }
}

/// Seconds that an image took. Of what an earlier run wrote nothing is known.
#[allow(clippy::cast_precision_loss)]
fn store(exported: &Exported) -> Option<f64> {
    (exported.images > 0 && exported.resumed == 0)
        .then(|| exported.time.as_secs_f64() / exported.images as f64)
}
