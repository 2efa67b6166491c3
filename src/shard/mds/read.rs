//! Reads shards that [`create`](super::create) wrote.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;

use super::columns::{Column, Holds, columns};
use super::file::ShardFile;
use super::index::ColumnList;
use crate::codec::{Encoding, Form, Picture};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::arrays::read_floats;
use crate::shard::{MappedFile, ShardForm, ShardReader};

/// Longest JSON of a shard that is read: a thousand columns.
const MAX_CONFIG: usize = 1 << 20;

const OTHER_SHARD: &str = "the shard is not the one that its manifest lists: export it anew";

/// One shard, through a memory map. Opening it reads its head; every access is O(1).
#[derive(Debug)]
pub struct MdsReader {
    file: ShardFile,
    columns: Vec<Column>,
    /// The first picture of each column that has some, and the column, in the order of pictures:
    /// columns are in the order of their names, `image.10` before `image.2`.
    pictures: Vec<(usize, usize)>,
    encoding: Encoding,
}

impl MdsReader {
    /// The shard in `file`, which should have these samples in this form.
    ///
    /// # Errors
    /// [`Kind::Io`] naming the file if it has not, or is damaged; [`Kind::Limit`] for sizes beyond
    /// reason.
    pub fn open(file: MappedFile, form: &ShardForm, samples: Range<u64>) -> Result<Self> {
        let columns = columns(form)?;
        let file = ShardFile::new(file, columns.iter().map(|column| column.size).collect())?;
        let here = || file.file().path().display().to_string();
        check(file.config(), &columns).at(here)?;
        if samples.end.checked_sub(samples.start) != Some(file.len()) {
            let Range { start, end } = samples;
            let message = format!("has {} samples, not those from {start} to {end}", file.len());
            return Err(Error::new(Kind::Io, message).help(OTHER_SHARD).at(here()));
        }
        let first = |(at, column): (usize, &Column)| match &column.holds {
            Holds::Picture(first) | Holds::Pictures { first, .. } => Some((*first, at)),
            _ => None,
        };
        let mut pictures: Vec<_> = columns.iter().enumerate().filter_map(first).collect();
        pictures.sort_unstable();
        let shard = Self { file, columns, pictures, encoding: form.encoding };
        for (position, index) in
            [(0, samples.start), (shard.len().saturating_sub(1), samples.end.saturating_sub(1))]
        {
            if !samples.is_empty() && shard.index(position)? != index {
                let message = format!("is not sample {index}");
                return Err(Error::new(Kind::Io, message)
                    .help(OTHER_SHARD)
                    .at(shard.file.place(position)));
            }
        }
        Ok(shard)
    }

    /// What was drawn for the views of a sample, as JSON, if the shard has it.
    ///
    /// # Errors
    /// As [`ShardReader::index`].
    pub fn parameters(&self, position: u64) -> Result<Option<&str>> {
        let bytes = self.column(position, &Holds::Parameters)?;
        bytes.map(std::str::from_utf8).transpose().map_err(|error| {
            Error::new(Kind::Sample, format!("has parameters that are no text: {error}"))
                .at(self.file.place(position))
        })
    }

    /// What made the shard: what was given when it was written.
    ///
    /// # Errors
    /// [`Kind::Io`] if it is no JSON, or the file has changed.
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default)]
            genset: BTreeMap<String, String>,
        }
        self.file.file().check_lately()?;
        let config: Config = serde_json::from_slice(self.file.config()).map_err(|error| {
            Error::new(Kind::Io, format!("says nothing of what made it: {error}")).at(self
                .file
                .file()
                .path()
                .display())
        })?;
        Ok(config.genset)
    }

    /// The bytes of the column that holds this, if there is one.
    fn column(&self, position: u64, holds: &Holds) -> Result<Option<&[u8]>> {
        let column = self.columns.iter().position(|column| column.holds == *holds);
        column.map(|column| self.file.column(position, column)).transpose()
    }

    fn integer(&self, position: u64, holds: &Holds) -> Result<Option<i64>> {
        let bytes = self.column(position, holds)?;
        // Columns of numbers have eight bytes: the form says so, and every sample was checked.
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes))
    }
}

/// Whether a shard says that it has these columns.
fn check(config: &[u8], columns: &[Column]) -> Result<()> {
    if config.len() > MAX_CONFIG {
        let message = format!("says its columns in {} bytes, more than {MAX_CONFIG}", config.len());
        return Err(Error::new(Kind::Limit, message));
    }
    let said = ColumnList::parse(config)?;
    let said = said.each()?;
    let want: Vec<_> =
        columns.iter().map(|column| (&*column.name, &*column.encoding, column.size)).collect();
    if said != want {
        let differs = said.iter().zip(&want).find(|(said, want)| said != want);
        let what = match differs {
            Some(((name, encoding, _), (name2, encoding2, _))) => {
                format!("has the column {name} ({encoding}) where {name2} ({encoding2}) should be")
            }
            None => format!("has {} columns, not {}", said.len(), want.len()),
        };
        return Err(Error::new(Kind::Io, what).help(OTHER_SHARD));
    }
    Ok(())
}

impl ShardReader for MdsReader {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn index(&self, position: u64) -> Result<u64> {
        let index = self.integer(position, &Holds::Index)?;
        index.and_then(|index| u64::try_from(index).ok()).ok_or_else(|| {
            Error::new(Kind::Sample, "has an index below 0").at(self.file.place(position))
        })
    }

    fn label(&self, position: u64) -> Result<Option<i64>> {
        self.integer(position, &Holds::Label)
    }

    fn latents(&self, position: u64, out: &mut [f32]) -> Result<()> {
        let Some(bytes) = self.column(position, &Holds::Latents)? else { return Ok(()) };
        let (have, want) = (bytes.len() / size_of::<f32>(), out.len());
        if have != want {
            return Err(Error::new(
                Kind::Argument,
                format!("has {have} latent numbers, not {want}"),
            )
            .at(self.file.place(position)));
        }
        read_floats(bytes, out);
        Ok(())
    }

    fn show(
        &self,
        position: u64,
        _scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        for (first, column) in &self.pictures {
            let bytes = self.file.column(position, *column)?;
            let here = || self.file.place(position);
            match &self.columns[*column].holds {
                Holds::Pictures { group, .. } => {
                    let form = Form::Raw(group.form);
                    let len = group.form.checked_len().unwrap_or_default().max(1);
                    for (number, bytes) in (*first..).zip(bytes.chunks_exact(len)) {
                        show(number, Picture { bytes, form }).at(here)?;
                    }
                }
                _ => {
                    // Raw pictures are in columns of arrays.
                    let Some(form) = self.encoding.encoded() else { continue };
                    show(*first, Picture { bytes, form }).at(here)?;
                }
            }
        }
        Ok(())
    }
}
