//! A folder of shards as one collection.
//!
//! Opening reads the manifest alone; a shard is opened when a sample of it is first asked for, and
//! stays open. Which shard that is takes one division, however many there are.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;

use super::cut::Cut;
use super::export::manifests;
use super::manifest::{MANIFEST, Manifest, ShardEntry};
use super::records::{Records, ShardReader};
use crate::codec::{Picture, RawForm};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::load::GroupForm;

/// The samples of an export, read back.
#[derive(Debug)]
pub struct Shards {
    folder: PathBuf,
    manifest: Manifest,
    cut: Cut,
    /// The number of the first shard.
    first: u64,
    /// Pictures of a sample.
    pictures: usize,
    /// One for each shard, once it is open.
    readers: Box<[OnceLock<Box<dyn ShardReader>>]>,
}

impl Shards {
    /// Opens a folder that was exported to.
    ///
    /// # Errors
    /// [`Kind::Io`] if there is no manifest or it cannot be read, [`Kind::State`] if it is broken, or
    /// if shards are missing: then it says how many are there and how to make the rest.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join(MANIFEST);
        if !path.try_exists().unwrap_or(true) {
            return Err(no_manifest(folder));
        }
        let manifest = Manifest::read(&path)?;
        if let Some(part) = manifest.part {
            let message = format!("is the manifest of rank {} alone", part.rank);
            return Err(Error::new(Kind::State, message).at(path.display()));
        }
        if !manifest.is_complete() {
            return Err(unfinished(folder, manifest.there(), &manifest));
        }
        Ok(Self::of(folder, manifest))
    }

    /// Whether `folder` looks like one that was, or is being, exported to.
    #[must_use]
    pub fn is_there(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file()
            || super::folder::names(folder).is_ok_and(|names| {
                names.iter().any(|name| super::manifest::Part::of_manifest(name).is_some())
            })
    }

    pub(super) fn of(folder: &Path, manifest: Manifest) -> Self {
        let cut = manifest.cut();
        Self {
            folder: folder.to_path_buf(),
            first: cut.numbers().start,
            pictures: manifest.form.groups.iter().map(|group| group.views).sum(),
            readers: manifest.shards.iter().map(|_| OnceLock::new()).collect(),
            manifest,
            cut,
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the shards are and how they were made.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Opens shard `at` of the manifest, unless it is open.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::State`] naming it, if it cannot be read, does not have the size that
    /// the manifest says, or has other samples.
    pub fn shard(&self, at: usize) -> Result<&dyn ShardReader> {
        if let Some(reader) = self.readers[at].get() {
            return Ok(&**reader);
        }
        let entry = &self.manifest.shards[at];
        let path = self.folder.join(&entry.name);
        let reader = self.open_shard(entry, &path).at(|| path.display().to_string())?;
        // Two threads may open it at once; one of them is kept.
        Ok(&**self.readers[at].get_or_init(|| reader))
    }

    fn open_shard(&self, entry: &ShardEntry, path: &Path) -> Result<Box<dyn ShardReader>> {
        let wrong = |message: String| {
            Err(Error::new(Kind::State, message)
                .help("the file is not what was exported; `genset verify` says what else is not"))
        };
        let found =
            std::fs::symlink_metadata(path).map_err(|error| Error::io(path, "read", error))?;
        if !found.is_file() {
            return wrong("is no regular file".into());
        }
        if found.len() != entry.bytes {
            return wrong(format!("has {} bytes, not {}", found.len(), entry.bytes));
        }
        let reader =
            self.manifest.format.open(&self.folder, path, &self.manifest, entry.samples())?;
        if reader.len() != entry.count {
            return wrong(format!("has {} samples, not {}", reader.len(), entry.count));
        }
        let first = reader.index(0)?;
        if first != entry.first {
            return wrong(format!("begins with sample {first}, not {}", entry.first));
        }
        Ok(reader)
    }

    /// The shard that has sample `index`, and the sample's place in it.
    pub(super) fn at(&self, index: u64) -> Result<(usize, u64)> {
        let Range { start, end } = self.manifest.samples;
        if !(start..end).contains(&index) {
            let message = format!("there is no sample {index}: the shards have {start}..{end}");
            return Err(Error::new(Kind::Argument, message));
        }
        let number = self.cut.number_of(index);
        let at = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        Ok((at, index - self.cut.samples_of(number).start))
    }

    /// The shard that has all of `samples`, and their places in it.
    fn within(&self, samples: &Range<u64>) -> Result<Option<(usize, Range<u64>)>> {
        if samples.is_empty() {
            return Ok(None);
        }
        // One division, as this is asked for every sample of a shuffled epoch.
        let (at, first) = self.at(samples.start)?;
        let last = first + (samples.end - samples.start);
        let fits = last <= self.manifest.shards[at].count;
        Ok(fits.then_some((at, first..last)))
    }

    /// Where the shard ends that has sample `index`.
    fn end_of(&self, index: u64) -> Result<u64> {
        self.at(index)?;
        Ok(self.cut.samples_of(self.cut.number_of(index)).end)
    }
}

impl Records for Shards {
    fn samples(&self) -> Range<u64> {
        self.manifest.samples.clone()
    }

    fn pictures(&self) -> usize {
        self.pictures
    }

    fn classes(&self) -> &[String] {
        &self.manifest.form.classes
    }

    fn has_labels(&self) -> bool {
        self.manifest.form.labels
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        let (at, position) = self.at(index)?;
        self.shard(at)?.label(position)
    }

    fn labels(&self, samples: Range<u64>, out: &mut Vec<i64>) -> Result<()> {
        let mut next = samples.start;
        while next < samples.end {
            let (at, first) = self.at(next)?;
            let together = self.together(next..samples.end).max(1);
            self.shard(at)?.labels(first..first + together, out)?;
            next += together;
        }
        Ok(())
    }

    fn latent_len(&self) -> usize {
        self.manifest.form.latents.map_or(0, |[_, numbers]| numbers)
    }

    fn latents(&self, index: u64, out: &mut [f32]) -> Result<()> {
        let (at, position) = self.at(index)?;
        self.shard(at)?.latents(position, out)
    }

    fn show(
        &self,
        index: u64,
        scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        let (at, position) = self.at(index)?;
        self.shard(at)?.show(position, scratch, show)
    }

    fn run(&self, samples: Range<u64>, group: usize) -> Result<Option<&[u8]>> {
        match self.within(&samples)? {
            Some((at, positions)) => self.shard(at)?.run(positions, group),
            None => Ok(None),
        }
    }

    fn mapped(&self, samples: Range<u64>, group: usize) -> Result<Option<Bytes>> {
        match self.within(&samples)? {
            Some((at, positions)) => self.shard(at)?.mapped(positions, group),
            None => Ok(None),
        }
    }

    fn together(&self, samples: Range<u64>) -> u64 {
        let end = self.end_of(samples.start).unwrap_or(samples.end);
        end.min(samples.end).saturating_sub(samples.start)
    }

    fn place(&self, index: u64) -> String {
        match self.at(index) {
            Ok((at, _)) => self.folder.join(&self.manifest.shards[at].name).display().to_string(),
            Err(_) => self.folder.display().to_string(),
        }
    }

    fn identify(&self, hasher: &mut blake3::Hasher) {
        let Manifest { dataset, format, form, samples, shards, contents, .. } = &self.manifest;
        let mut text = format!(
            "shards\n{dataset}\n{} {format} {}\n{}..{}\n",
            contents.name(),
            form.encoding,
            samples.start,
            samples.end
        );
        for GroupForm { views, form, .. } in &form.groups {
            let RawForm { channels, height, width, dtype, layout } = form;
            let (dtype, layout) = (dtype.name(), layout.name());
            let _ = writeln!(text, "{views} {channels} {height} {width} {dtype} {layout}");
        }
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        for shard in shards {
            hasher.update(shard.blake3.as_bytes());
        }
    }
}

/// Why a folder without a manifest cannot be read.
fn no_manifest(folder: &Path) -> Error {
    match manifests(folder) {
        Ok((_, parts)) if !parts.is_empty() => {
            // Ranks may claim the same samples, each all there can be.
            let there = parts.iter().map(Manifest::there).fold(0, u64::saturating_add);
            unfinished(folder, there, &parts[0])
        }
        Err(error) => error,
        Ok(_) => Error::new(Kind::Io, format!("{} has no {MANIFEST}", folder.display()))
            .help("give a folder that `genset export` made"),
    }
}

fn unfinished(folder: &Path, there: u64, manifest: &Manifest) -> Error {
    let wanted = manifest.samples.end - manifest.samples.start;
    let message = format!(
        "the export to {} is unfinished: {there} of {wanted} samples are there",
        folder.display()
    );
    Error::new(Kind::State, message)
        .help("run the `genset export` that began it again, on every rank: it makes the rest")
}
