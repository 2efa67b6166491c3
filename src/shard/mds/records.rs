//! Reads folders that other tools wrote for MosaicML Streaming.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Component, Path};

use super::INDEX;
use super::choose::{Choice, choose};
use super::encoding::Encoding;
use super::file::ShardFile;
use super::index::{Index, MAX_INDEX, Shard};
use crate::codec::Picture;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::arrays::limited;
use crate::shard::{MappedFile, Records};

/// The samples of a folder of MDS shards.
///
/// The picture is the column `image` (or `images`, `img`, `jpg`, `jpeg`, `png`, `picture`,
/// `pixel_values`, `x`), encoded as `jpeg`, `png`, `pil`, `bytes` or an `ndarray` of uint8, float16
/// or float32; or the only column so encoded; `image.0`, `image.1`, … are several views. The label
/// is the column `label` (or `labels`, `class`, `cls`, `target`, `y`) if it is a whole number.
/// Shards must be uncompressed, or have their uncompressed file beside the other.
#[derive(Debug)]
pub struct MdsRecords {
    shards: Vec<Open>,
    encodings: Vec<Encoding>,
    choice: Choice,
    pictures: usize,
    samples: u64,
}

#[derive(Debug)]
struct Open {
    file: ShardFile,
    /// Samples in the shards before it.
    first: u64,
}

impl MdsRecords {
    /// Opens the folder at `path` that has an `index.json`, or one such list.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Limit`] or [`Kind::Sample`] naming the file at fault.
    pub fn open(path: &Path) -> Result<Self> {
        let index = if path.is_dir() { path.join(INDEX) } else { path.to_path_buf() };
        let folder = index.parent().unwrap_or(Path::new(".")).to_path_buf();
        let failed = |error| Error::io(&index, "read", error);
        let mut bytes = Vec::new();
        let file = File::open(&index).map_err(failed)?;
        file.take(MAX_INDEX + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::from_bytes(&bytes, &mut |name| MappedFile::open(&folder.join(name)))
            .at(|| index.display().to_string())
    }

    /// As [`open`](Self::open), for the bytes of a list and files that `file` gives by name. The
    /// names stay in their folder.
    ///
    /// # Errors
    /// As [`open`](Self::open), and those of `file`.
    pub fn from_bytes(
        index: &[u8],
        file: &mut dyn FnMut(&str) -> Result<MappedFile>,
    ) -> Result<Self> {
        let index = Index::parse(index)?;
        let Some(shard) = index.shards.first() else {
            return Err(Error::new(Kind::Io, "lists no shards"));
        };
        let columns = shard.columns.each()?;
        let known: Vec<_> =
            columns.iter().map(|(name, encoding, _)| (*name, Encoding::parse(encoding))).collect();
        let choice = choose(&known)?;
        let sizes: Vec<_> = columns.iter().map(|(.., size)| *size).collect();
        let mut shards = Vec::with_capacity(index.shards.len());
        let mut samples = 0_u64;
        for other in &index.shards {
            if other.columns != shard.columns {
                let [a, b] = [&shard.raw_data.basename, &other.raw_data.basename];
                return Err(Error::new(Kind::Io, format!("{a:?} and {b:?} have other columns"))
                    .help("give each its own folder and index.json"));
            }
            let opened = ShardFile::new(find(other, file)?, sizes.clone())?;
            if opened.len() != other.samples {
                let (name, have) = (&other.raw_data.basename, opened.len());
                let message =
                    format!("says that {name:?} has {} samples; it has {have}", other.samples);
                return Err(Error::new(Kind::Io, message).help("write the folder anew"));
            }
            shards.push(Open { file: opened, first: samples });
            samples = samples
                .checked_add(other.samples)
                .ok_or_else(|| Error::new(Kind::Limit, "lists more samples than can be counted"))?;
        }
        let encodings = known.into_iter().map(|(_, encoding)| encoding).collect();
        let mut records = Self { shards, encodings, choice, pictures: 0, samples };
        records.pictures = records.count()?;
        Ok(records)
    }

    /// The pictures of the first sample; all others must have as many.
    fn count(&self) -> Result<usize> {
        if self.samples == 0 {
            return Err(Error::new(Kind::Io, "lists shards without samples"));
        }
        let mut count = 0_usize;
        for column in &self.choice.pictures {
            let bytes = self.column(0, *column)?;
            let shown = self.encodings[*column].pictures(bytes).at(|| self.place(0))?;
            count = count.saturating_add(shown.count());
        }
        limited(count).at(|| self.place(0))
    }

    /// The shard that has a sample, and the sample's place in it.
    fn shard(&self, index: u64) -> (&Open, u64) {
        // The last one that begins at the sample or before: shards without samples are stepped over.
        let after = self.shards.partition_point(|shard| shard.first <= index);
        let shard = &self.shards[after.saturating_sub(1)];
        (shard, index - shard.first)
    }

    fn column(&self, index: u64, column: usize) -> Result<&[u8]> {
        let (shard, position) = self.shard(index);
        shard.file.column(position, column)
    }
}

/// The file of a shard.
fn find(shard: &Shard, file: &mut dyn FnMut(&str) -> Result<MappedFile>) -> Result<MappedFile> {
    let name = &shard.raw_data.basename;
    let inside = |part| matches!(part, Component::Normal(_));
    if name.is_empty() || name.contains(['\\', '\0']) || !Path::new(name).components().all(inside) {
        return Err(Error::new(
            Kind::Io,
            format!("names the file {name:?}, which leaves the folder"),
        )
        .help("the list is not to be trusted, or from another system: write it anew"));
    }
    let opened = file(name);
    let opened = match &shard.zip_data {
        // The uncompressed file may lie beside the compressed one.
        Some(zip) => opened.map_err(|error| error.help(unpack(&zip.basename, name)))?,
        None => opened?,
    };
    if opened.len() as u64 != shard.raw_data.bytes {
        let (have, want) = (opened.len(), shard.raw_data.bytes);
        let message = format!("has {have} bytes, where the list says {want}");
        return Err(Error::new(Kind::Io, message)
            .help("the shard is damaged, or another's: copy or write it anew")
            .at(opened.path().display()));
    }
    Ok(opened)
}

/// How a compressed shard is made readable.
fn unpack(zip: &str, name: &str) -> String {
    let how = match Path::new(zip).extension().and_then(|extension| extension.to_str()) {
        Some("zstd" | "zst") => format!("zstd -d {zip} -o {name}"),
        Some("gz") => format!("gunzip -k {zip}"),
        Some("br") => format!("brotli -d {zip}"),
        Some("bz2") => format!("bunzip2 -k {zip}"),
        _ => "decompress it, or write the folder with compression=None".to_owned(),
    };
    format!("the shard is compressed, and only uncompressed ones are read: {how}")
}

impl Records for MdsRecords {
    fn samples(&self) -> Range<u64> {
        0..self.samples
    }

    fn pictures(&self) -> usize {
        self.pictures
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn has_labels(&self) -> bool {
        self.choice.label.is_some()
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        let Some(column) = self.choice.label else { return Ok(None) };
        let bytes = self.column(index, column)?;
        self.encodings[column].label(bytes).map(Some).at(|| self.place(index))
    }

    fn show(
        &self,
        index: u64,
        _scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut shown = 0;
        for column in &self.choice.pictures {
            let pictures = self.encodings[*column].pictures(self.column(index, *column)?);
            let pictures = pictures.at(|| self.place(index))?;
            let (count, wanted) = (pictures.count(), self.pictures);
            let fits = if self.choice.pictures.len() == 1 {
                count == wanted
            } else {
                shown + count <= wanted
            };
            if !fits {
                let message =
                    format!("has {count} pictures in a column; samples here have {wanted}");
                return Err(Error::new(Kind::Sample, message).at(self.place(index)));
            }
            pictures.each(&mut |picture| {
                shown += 1;
                show(shown - 1, picture).at(|| self.place(index))
            })?;
        }
        if shown != self.pictures {
            let message = format!("has {shown} pictures; samples here have {}", self.pictures);
            return Err(Error::new(Kind::Sample, message).at(self.place(index)));
        }
        Ok(())
    }

    fn together(&self, samples: Range<u64>) -> u64 {
        let after = self.shards.partition_point(|shard| shard.first <= samples.start);
        let end = self.shards.get(after).map_or(u64::MAX, |shard| shard.first);
        samples.end.min(end).saturating_sub(samples.start)
    }

    fn place(&self, index: u64) -> String {
        let (shard, position) = self.shard(index);
        shard.file.place(position)
    }

    fn identify(&self, hasher: &mut blake3::Hasher) {
        hasher.update(b"mds");
        for Open { file, first } in &self.shards {
            let name = file.file().path().file_name().unwrap_or_default().as_encoded_bytes();
            for number in [name.len() as u64, file.file().len() as u64, *first] {
                hasher.update(&number.to_le_bytes());
            }
            hasher.update(name);
        }
        hasher.update(&self.samples.to_le_bytes());
    }
}
