//! Writes a shard.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read as _, Seek, SeekFrom, Write};
use std::ops::Range;

use super::columns::{Column, Holds, columns};
use super::index::config;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::writer::{Awaited, cannot_write as failed};
use crate::shard::{SampleRecord, ShardForm, ShardWriter};

/// Bytes that are written to the file together.
const BUFFER: usize = 1 << 20;

/// Begins a shard of `samples` in an empty file. `metadata` says what made it.
///
/// # Errors
/// [`Kind::Io`] from the file; [`Kind::Limit`] for more samples than a shard can have;
/// [`Kind::Argument`] if two columns would have one name.
pub fn create(
    file: File,
    form: &ShardForm,
    samples: Range<u64>,
    metadata: &BTreeMap<String, String>,
) -> Result<Box<dyn ShardWriter>> {
    Ok(Box::new(Writer::new(file, form, samples, metadata)?))
}

/// A shard that is being written. The table comes before the samples and is written last.
#[derive(Debug)]
pub(super) struct Writer<W: Write> {
    out: BufWriter<W>,
    columns: Vec<Column>,
    awaited: Awaited,
    /// Where each sample begins, and where the last one ends.
    table: Vec<u32>,
    /// The sample being put together, and the lengths before it.
    body: Vec<u8>,
    lengths: Vec<u8>,
}

/// Offsets have 32 bits.
fn too_large() -> Error {
    Error::new(Kind::Limit, "an MDS shard ends at 4 GiB")
        .help("make shards smaller (`--shard-bytes 1GiB`)")
}

impl<W: Write + Seek + std::fmt::Debug> Writer<W> {
    pub fn new(
        out: W,
        form: &ShardForm,
        samples: Range<u64>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let columns = columns(form)?;
        let config = config(&columns, metadata).to_string();
        let count =
            samples.end.checked_sub(samples.start).and_then(|count| usize::try_from(count).ok());
        let table = count.and_then(|count| count.checked_add(2)?.checked_mul(4));
        let head = table.and_then(|table| table.checked_add(config.len()));
        let begin = head.and_then(|head| u32::try_from(head).ok()).ok_or_else(too_large)?;
        let mut writer = Self {
            out: BufWriter::with_capacity(BUFFER, out),
            columns,
            awaited: Awaited::new(form, samples),
            table: vec![begin],
            body: Vec::new(),
            lengths: Vec::new(),
        };
        // Room for the table: written over when it is known.
        let mut room = (begin as usize - config.len()) as u64;
        room =
            std::io::copy(&mut std::io::repeat(0).take(room), &mut writer.out).map_err(failed)?;
        debug_assert_eq!(room + config.len() as u64, u64::from(begin));
        writer.out.write_all(config.as_bytes()).map_err(failed)?;
        Ok(writer)
    }

    fn put_sample(&mut self, sample: &SampleRecord<'_>) -> Result<()> {
        self.awaited.check(sample)?;
        self.body.clear();
        self.lengths.clear();
        for column in &self.columns {
            let before = self.body.len();
            fill(&mut self.body, &column.holds, sample).at(|| format!("column {}", column.name))?;
            let len = u32::try_from(self.body.len() - before).map_err(|_| too_large())?;
            match column.size {
                None => self.lengths.extend(len.to_le_bytes()),
                Some(size) if size == len => {}
                Some(size) => {
                    let message = format!("has {len} bytes, not {size}");
                    return Err(
                        Error::new(Kind::Argument, message).at(format!("column {}", column.name))
                    );
                }
            }
        }
        let begin = self.table.last().copied().unwrap_or_default();
        let len = u32::try_from(self.lengths.len() + self.body.len()).map_err(|_| too_large())?;
        self.table.push(begin.checked_add(len).ok_or_else(too_large)?);
        self.out.write_all(&self.lengths).map_err(failed)?;
        self.out.write_all(&self.body).map_err(failed)?;
        self.awaited.next();
        Ok(())
    }

    /// Writes the table and gives back what was written to.
    pub fn end(mut self) -> Result<W> {
        self.awaited.end()?;
        let count = u32::try_from(self.table.len() - 1).map_err(|_| too_large())?;
        self.out.seek(SeekFrom::Start(0)).map_err(failed)?;
        for number in [count].iter().chain(&self.table) {
            self.out.write_all(&number.to_le_bytes()).map_err(failed)?;
        }
        self.out.into_inner().map_err(|error| failed(error.into_error()))
    }
}

impl<W: Write + Seek + std::fmt::Debug> ShardWriter for Writer<W> {
    fn put(&mut self, sample: &SampleRecord<'_>) -> Result<()> {
        self.put_sample(sample)
            .map_err(|error| error.with_sample(sample.index))
            .at(|| format!("sample {}", sample.index))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.end().map(drop)
    }
}

/// Puts one column of a sample together.
fn fill(body: &mut Vec<u8>, holds: &Holds, sample: &SampleRecord<'_>) -> Result<()> {
    let missing = || Error::new(Kind::Argument, "is missing");
    match holds {
        Holds::Picture(number) => body.extend_from_slice(sample.pictures[*number].bytes),
        Holds::Pictures { first, group } => {
            for picture in &sample.pictures[*first..first + group.views] {
                body.extend_from_slice(picture.bytes);
            }
        }
        Holds::Index => {
            let index = i64::try_from(sample.index)
                .map_err(|_| Error::new(Kind::Limit, "has no number of 63 bits"))?;
            body.extend(index.to_le_bytes());
        }
        Holds::Label => body.extend(sample.label.ok_or_else(missing)?.to_le_bytes()),
        Holds::Latents => {
            let latents = sample.latents.ok_or_else(missing)?;
            body.extend(latents.iter().flat_map(|number| number.to_le_bytes()));
        }
        Holds::Parameters => {
            body.extend_from_slice(sample.parameters.ok_or_else(missing)?.as_bytes());
        }
    }
    Ok(())
}
