//! The list of a folder's shards, and everything that they have in common: `manifest.json`.
//!
//! A manifest says what dataset the shards are of, how they were made, and each shard's samples,
//! size and hash. Nothing in it differs from run to run: no times, hosts or numbers of threads. It
//! is replaced as a whole whenever a shard is complete, and what it lists is whole.
//!
//! Reading trusts nothing: sizes are bounded before anything is allocated, unknown keys are errors,
//! and what does not fit together is said.

mod check;
#[cfg(test)]
mod tests;
mod text;

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cut::Cut;
use super::format::Format;
use super::writer::ShardForm;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::generate::execution::Edit;
use crate::recipe::Digest;

/// The name of the manifest of a whole folder.
pub const MANIFEST: &str = "manifest.json";
/// Bytes that a manifest may have.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// The version that is written and read.
const VERSION: u32 = 1;

/// What a folder of shards is, and which shards it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The identity of the dataset that the samples are of.
    pub dataset: Digest,
    /// The recipe's name, which the shards' names begin with.
    pub name: String,
    /// Whether the shards have what is delivered, or what views are made from.
    pub contents: Contents,
    /// The format of the shards.
    pub format: Format,
    /// What all shards have in common.
    pub form: ShardForm,
    /// The samples that the folder is to have.
    pub samples: Range<u64>,
    /// Samples of a shard: shard `k` has those from `k` times this on, as far as they are wanted.
    pub samples_per_shard: u64,
    /// The generator's file, unless it ships with genset.
    pub model: Option<ModelFile>,
    /// What made the shards.
    pub provenance: Provenance,
    /// The recipe as TOML, with everything filled in that the model says.
    pub recipe: String,
    /// The rank that it is of, while ranks make a folder together.
    pub part: Option<Part>,
    /// The shards that are complete, in the order of their samples.
    pub shards: Vec<ShardEntry>,
}

/// What shards have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contents {
    /// The views, as a loader delivers them in its first epoch.
    Delivered,
    /// The distinct images that the generator made of a sample, before any pixel operation; views
    /// are drawn from them when they are read.
    Rows,
}

impl Contents {
    /// Its name in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rows => "rows",
        }
    }
}

/// The file of a generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name, without its folder.
    pub file: String,
    /// BLAKE3 of its bytes.
    #[serde(with = "text::hash")]
    pub blake3: blake3::Hash,
}

/// What bytes depend on besides the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The version of genset.
    pub genset: String,
    /// The version of ONNX Runtime.
    pub runtime: String,
    /// The execution providers, in order of preference.
    pub providers: Vec<String>,
    /// The precision that the generator ran in.
    pub precision: String,
    /// The edits of its graph that it ran with.
    pub rewrites: Vec<Edit>,
}

/// A rank of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// From 0.
    pub rank: u64,
    /// How many ranks there are.
    pub world_size: u64,
}

/// One complete shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// Its name in the folder.
    pub name: String,
    /// Its first sample.
    pub first: u64,
    /// How many it has.
    pub count: u64,
    /// Its size.
    pub bytes: u64,
    /// The hash of its bytes.
    #[serde(with = "text::hash")]
    pub blake3: blake3::Hash,
}

impl ShardEntry {
    /// Its samples.
    #[must_use]
    pub fn samples(&self) -> Range<u64> {
        self.first..self.first.saturating_add(self.count)
    }
}

impl Part {
    /// The name of its manifest: `manifest-R-of-W.json`.
    #[must_use]
    pub fn manifest(self) -> String {
        format!("manifest-{}-of-{}.json", self.rank, self.world_size)
    }

    /// The part whose manifest is called `name`.
    #[must_use]
    pub fn of_manifest(name: &str) -> Option<Self> {
        let (rank, world_size) =
            name.strip_prefix("manifest-")?.strip_suffix(".json")?.split_once("-of-")?;
        let part = Self { rank: rank.parse().ok()?, world_size: world_size.parse().ok()? };
        (part.manifest() == name && part.rank < part.world_size).then_some(part)
    }
}

impl Manifest {
    /// Reads the manifest in the file `path`.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be read, [`Kind::Limit`] if it is too large, [`Kind::State`] if it
    /// is no manifest or contradicts itself.
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| Error::io(path, "read", error))?;
        file.take(MAX_MANIFEST_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io(path, "read", error))?;
        Self::parse(&bytes).at(|| path.display())
    }

    /// Reads a manifest from its bytes.
    ///
    /// # Errors
    /// [`Kind::Limit`] or [`Kind::State`], as [`Manifest::read`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            let mib = MAX_MANIFEST_BYTES >> 20;
            return Err(Error::new(Kind::Limit, format!("has more than {mib} MiB")));
        }
        let manifest = text::parse(bytes)?;
        check::manifest(&manifest)?;
        Ok(manifest)
    }

    /// The bytes of its file: the same for equal manifests.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::write(self)
    }

    /// Puts it into `folder`, in place of the one that is there, and sees to it that it stays.
    /// `writer` is the rank that does so.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub(crate) fn write(&self, folder: &Path, writer: Part) -> Result<()> {
        let name = self.part.map_or_else(|| MANIFEST.to_owned(), Part::manifest);
        super::folder::write(folder, &name, writer, self.to_text().as_bytes())?;
        super::folder::sync(folder)
    }

    /// How its samples are cut.
    ///
    /// # Panics
    /// Never for one that was read; if someone filled in an impossible range.
    pub(crate) fn cut(&self) -> Cut {
        Cut::new(self.samples.clone(), self.samples_per_shard).expect("checked when it was read")
    }

    /// Samples that are in its shards.
    #[must_use]
    pub fn there(&self) -> u64 {
        self.shards.iter().map(|shard| shard.count).sum()
    }

    /// Whether every shard is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.there() == self.samples.end - self.samples.start
    }

    /// Bytes of all shards.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }

    /// The first thing in which another export into the same folder may not differ, and does: what
    /// it is, what this one has, and what the other has. Samples may become more.
    pub(crate) fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        check::difference(self, other)
    }
}
