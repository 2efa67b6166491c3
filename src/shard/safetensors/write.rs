//! Writing a shard.
//!
//! How many samples it will have is known, and so is where all tensors of fixed size lie; the
//! header has room for the lengths of the others, which stand at the end. So everything is written
//! where it belongs as samples come, through a buffer for each tensor. Only tensors of bytes after
//! the first such one wait until its length is known: in memory up to a limit, then in a temporary
//! file without a name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;

use tempfile::SpooledTempFile;

use super::header;
use super::parts::{self, Holds, Pictures, Plan};
use crate::codec::{Encoding, Picture};
use crate::error::{Error, Kind, Result};
use crate::shard::{SampleRecord, ShardForm, ShardWriter};

/// What is collected of a tensor before it is written.
const BUFFER: usize = 256 << 10;

/// What waits in memory of a tensor whose place is not known yet.
const SPOOL: usize = 4 << 20;

/// A shard of `samples` that is written to `file`, which is empty. The metadata is what the caller
/// has to say beside what the format does. The same samples, form and metadata are the same bytes.
///
/// Memory: 256 KiB for each tensor; 4 MiB more for each group of encoded views but the first and
/// for parameters beside encoded views.
///
/// # Errors
/// [`Kind::Argument`] if there are no samples, or names clash; [`Kind::Limit`] if they do not fit
/// one file or the metadata does not fit the header.
pub fn create(
    file: File,
    form: &ShardForm,
    samples: Range<u64>,
    metadata: &BTreeMap<String, String>,
) -> Result<Box<dyn ShardWriter>> {
    Ok(Box::new(Tensors::new(file, form, samples, Pictures::Inside, metadata)?))
}

/// The tensors of a shard on their way to a file.
#[derive(Debug)]
pub(in crate::shard) struct Tensors {
    file: File,
    form: ShardForm,
    beside: Pictures,
    plan: Plan,
    metadata: BTreeMap<String, String>,
    /// One for each part of the plan.
    streams: Vec<Stream>,
    /// The next index, and where they end.
    rest: Range<u64>,
}

/// The bytes of one tensor.
#[derive(Debug)]
struct Stream {
    /// Written later.
    buffer: Vec<u8>,
    /// Bytes so far, with those of the buffer.
    len: u64,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// Written to the shard, next here.
    Placed(u64),
    Waiting(SpooledTempFile),
}

impl Tensors {
    /// As [`create`].
    pub fn new(
        file: File,
        form: &ShardForm,
        samples: Range<u64>,
        beside: Pictures,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self> {
        if samples.is_empty() {
            return Err(Error::new(Kind::Argument, "a shard has at least one sample"));
        }
        let mut said = metadata.clone();
        for (key, value) in parts::metadata(form, beside) {
            if said.insert(key.clone(), value).is_some() {
                let message = format!("`{key}` in the metadata of a shard is the format's own");
                return Err(Error::new(Kind::Argument, message).help("use another key"));
            }
        }
        let parts = parts::parts(form, samples.end - samples.start, beside)?;
        let plan = Plan::new(parts, &said)?;
        let mut at = Some(plan.data);
        let streams = plan.parts.iter().map(|part| {
            let sink = match at {
                Some(at) => Sink::Placed(at),
                None => Sink::Waiting(SpooledTempFile::new(SPOOL)),
            };
            at = at.filter(|_| part.shape.is_some()).map(|at| at + part.len);
            Stream { buffer: Vec::new(), len: 0, sink }
        });
        let streams = streams.collect();
        let mut tensors =
            Self { file, form: form.clone(), beside, plan, metadata: said, streams, rest: samples };
        for at in 0..tensors.plan.parts.len() {
            let part = &tensors.plan.parts[at];
            match part.holds {
                // The first image begins where the tensor does.
                Holds::ImageOffsets(_) | Holds::ParameterOffsets => tensors.add(at, &[0; 8])?,
                Holds::Padding(_) => {
                    let zeros = vec![0; part.shape.iter().flatten().product()];
                    tensors.add(at, &zeros)?;
                }
                _ => {}
            }
        }
        Ok(tensors)
    }

    /// Adds what a sample has beside its pictures.
    pub fn begin(&mut self, sample: &SampleRecord<'_>) -> Result<()> {
        check(&self.form, sample)?;
        if self.rest.is_empty() || self.rest.start != sample.index {
            let message = format!("sample {} is not the next one of the shard", sample.index);
            let next = match self.rest.is_empty() {
                true => "it has all of its samples".to_owned(),
                false => format!("sample {} is", self.rest.start),
            };
            return Err(Error::new(Kind::Argument, message).help(next));
        }
        self.rest.start += 1;
        self.push(Holds::Index, &sample.index.to_le_bytes())?;
        if let Some(label) = sample.label {
            self.push(Holds::Label, &label.to_le_bytes())?;
        }
        if let Some(latents) = sample.latents {
            // As bytes, little-endian.
            if cfg!(target_endian = "little") {
                self.push(Holds::Latent, bytemuck::cast_slice(latents))?;
            } else {
                let bytes: Vec<u8> = latents.iter().flat_map(|value| value.to_le_bytes()).collect();
                self.push(Holds::Latent, &bytes)?;
            }
        }
        if let Some(parameters) = sample.parameters {
            let end = self.push(Holds::Parameters, parameters.as_bytes())?;
            self.push(Holds::ParameterOffsets, &end.to_le_bytes())?;
        }
        Ok(())
    }

    /// Adds bytes to a tensor that the shard has, and says how many that one has now.
    pub fn push(&mut self, holds: Holds, bytes: &[u8]) -> Result<u64> {
        let at = self.plan.parts.iter().position(|part| part.holds == holds);
        let at = at.ok_or_else(|| Error::new(Kind::Argument, "the shard has no such tensor"))?;
        self.add(at, bytes)?;
        Ok(self.streams[at].len)
    }

    fn add(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        self.streams[at].add(&mut self.file, bytes).map_err(|error| cannot_write(&error))
    }

    /// Writes what is buffered and waiting, and the header.
    pub fn end(mut self) -> Result<()> {
        if !self.rest.is_empty() {
            let message = format!("samples {:?} of the shard are missing", self.rest);
            return Err(Error::new(Kind::Argument, message));
        }
        let written = self.write_rest();
        written.map_err(|error| cannot_write(&error))
    }

    fn write_rest(&mut self) -> io::Result<()> {
        let mut at = self.plan.data;
        for (part, stream) in self.plan.parts.iter_mut().zip(&mut self.streams) {
            stream.flush(&mut self.file)?;
            if let Sink::Waiting(spool) = &mut stream.sink {
                spool.rewind()?;
                self.file.seek(SeekFrom::Start(at))?;
                io::copy(&mut spool.take(stream.len), &mut self.file)?;
            }
            part.len = stream.len;
            at += stream.len;
        }
        let room = self.plan.data - 8;
        let mut header = header::write(&self.metadata, &self.plan.parts).into_bytes();
        header.resize(usize::try_from(room).map_err(io::Error::other)?, b' ');
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&room.to_le_bytes())?;
        self.file.write_all(&header)?;
        self.file.flush()
    }
}

impl ShardWriter for Tensors {
    fn put(&mut self, sample: &SampleRecord<'_>) -> Result<()> {
        self.begin(sample)?;
        let mut pictures = sample.pictures.iter();
        for group in 0..self.form.groups.len() {
            for picture in pictures.by_ref().take(self.form.groups[group].views) {
                let end = self.push(Holds::Images(group), picture.bytes)?;
                if self.form.encoding != Encoding::Raw && self.beside == Pictures::Inside {
                    self.push(Holds::ImageOffsets(group), &end.to_le_bytes())?;
                }
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.end()
    }
}

impl Stream {
    fn add(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush(file)?;
            if bytes.len() >= BUFFER {
                return self.sink.write(file, bytes);
            }
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self, file: &mut File) -> io::Result<()> {
        self.sink.write(file, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Sink {
    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Placed(at) => {
                file.seek(SeekFrom::Start(*at))?;
                *at += bytes.len() as u64;
                file.write_all(bytes)
            }
            Self::Waiting(spool) => spool.write_all(bytes),
        }
    }
}

fn cannot_write(error: &io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot write the shard: {error}"))
        .because(io::Error::from(error.kind()))
}

/// Whether a sample is what the form of its shard says.
///
/// # Errors
/// [`Kind::Argument`] naming the sample.
fn check(form: &ShardForm, sample: &SampleRecord<'_>) -> Result<()> {
    let wrong = |what: String| {
        let message = format!("sample {} {what}", sample.index);
        Err(Error::new(Kind::Argument, message).with_sample(sample.index))
    };
    if sample.label.is_some() != form.labels {
        return wrong(format!("and its shard disagree on labels: {:?}", sample.label));
    }
    let latents = form.latents.map(|[views, len]| views * len);
    if sample.latents.map(<[f32]>::len) != latents {
        let have = sample.latents.map(<[f32]>::len);
        return wrong(format!("has latents of length {have:?}, its shard {latents:?}"));
    }
    if sample.parameters.is_some() != form.parameters {
        return wrong("and its shard disagree on parameters".into());
    }
    if Some(sample.pictures.len()) != parts::pictures(form) {
        return wrong(format!("has {} pictures", sample.pictures.len()));
    }
    let groups = form.groups.iter().flat_map(|group| std::iter::repeat_n(group, group.views));
    for (at, (picture, group)) in sample.pictures.iter().zip(groups).enumerate() {
        let long =
            form.encoding != Encoding::Raw || Some(picture.bytes.len()) == group.form.checked_len();
        if picture.form != form.encoding.form(group.form) || !long {
            let Picture { bytes, form } = picture;
            return wrong(format!("has a picture {at} of {} bytes as {form:?}", bytes.len()));
        }
    }
    Ok(())
}
