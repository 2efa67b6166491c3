//! How each format makes and opens a shard.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use super::map::MappedFile;
use super::{Format, Manifest, ShardEntry, ShardReader, ShardWriter};
use super::{images, mds, safetensors, webdataset};
use crate::error::{Error, Result};

impl Format {
    /// Begins the shard of `samples` in a new file at `path`, for an export of `manifest` to
    /// `folder`.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io), and those of the format for what it cannot hold.
    pub(crate) fn create(
        self,
        folder: &Path,
        path: &Path,
        manifest: &Manifest,
        samples: Range<u64>,
    ) -> Result<Box<dyn ShardWriter>> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(|error| Error::io(path, "write", error))?;
        self.writer(folder, file, manifest, samples)
    }

    /// An error if shards of this manifest cannot be written in this format, found out by beginning
    /// one that is thrown away.
    ///
    /// # Errors
    /// Those of the format for what it cannot hold; [`Kind::Io`](crate::Kind::Io) if there can be no
    /// temporary file.
    pub(crate) fn check(self, manifest: &Manifest) -> Result<()> {
        let cut = manifest.cut();
        let samples = cut.samples_of(cut.numbers().start);
        let folder = std::env::temp_dir();
        let file = tempfile::tempfile().map_err(|error| Error::io(&folder, "write to", error))?;
        self.writer(&folder, file, manifest, samples).map(drop)
    }

    fn writer(
        self,
        folder: &Path,
        file: File,
        manifest: &Manifest,
        samples: Range<u64>,
    ) -> Result<Box<dyn ShardWriter>> {
        let (form, metadata) = (&manifest.form, metadata(manifest));
        match self {
            Self::Safetensors => safetensors::create(file, form, samples, &metadata),
            Self::WebDataset => webdataset::create(file, form, samples, &metadata),
            Self::Mds => mds::create(file, form, samples, &metadata),
            Self::Images => images::create(folder, file, form, samples, &metadata),
        }
    }

    /// Opens the shard of `samples` in `folder` at `path`.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) if it cannot be read or is not what it should be.
    pub(crate) fn open(
        self,
        folder: &Path,
        path: &Path,
        manifest: &Manifest,
        samples: Range<u64>,
    ) -> Result<Box<dyn ShardReader>> {
        let file = MappedFile::open(path)?;
        let form = &manifest.form;
        Ok(match self {
            Self::Safetensors => {
                Box::new(safetensors::SafetensorsReader::open(file, form, samples)?)
            }
            Self::WebDataset => Box::new(webdataset::WebDatasetReader::open(file, form, samples)?),
            Self::Mds => Box::new(mds::MdsReader::open(file, form, samples)?),
            Self::Images => Box::new(images::ImagesReader::open(folder, file, form, samples)?),
        })
    }

    /// Name and text of the list that other tools read a folder of this format by, where they need
    /// one.
    ///
    /// # Errors
    /// Those of the format for what it cannot hold.
    pub(crate) fn list(self, manifest: &Manifest) -> Result<Option<(&'static str, String)>> {
        let Self::Mds = self else { return Ok(None) };
        let shard = |shard: &ShardEntry| mds::MdsShardInfo {
            name: shard.name.clone(),
            samples: shard.count,
            bytes: shard.bytes,
        };
        let shards: Vec<_> = manifest.shards.iter().map(shard).collect();
        Ok(Some((mds::INDEX, mds::index_json(&shards, &manifest.form)?)))
    }
}

/// What a shard says of itself, wherever it goes without its manifest. The same for every shard of
/// an export, also of one that grew.
fn metadata(manifest: &Manifest) -> BTreeMap<String, String> {
    let Manifest { provenance, .. } = manifest;
    let rewrites: Vec<_> = provenance.rewrites.iter().map(ToString::to_string).collect();
    let said = [
        ("dataset", manifest.dataset.to_string()),
        ("name", manifest.name.clone()),
        ("contents", manifest.contents.name().to_owned()),
        ("genset", provenance.genset.clone()),
        ("onnxruntime", provenance.runtime.clone()),
        ("providers", provenance.providers.join(",")),
        ("precision", provenance.precision.clone()),
        ("rewrites", rewrites.join(",")),
    ];
    said.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
