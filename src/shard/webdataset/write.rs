//! Writes a shard.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;

use serde_json::Value;
use tar::{EntryType, Header};

use super::archive::BLOCK;
use super::names::{Holds, MemberForm, key, members};
use super::{ABOUT, FORMAT};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::writer::{Awaited, cannot_write as failed};
use crate::shard::{SampleRecord, ShardForm, ShardWriter};

/// When every member was written: 2000-01-01. GNU tar calls a time of 0 implausible.
const TIME: u64 = 946_684_800;
/// Bytes that are written to the file together.
const BUFFER: usize = 1 << 20;
/// Longest member: readers here keep its length in 32 bits.
const MAX_MEMBER: usize = u32::MAX as usize;

/// Begins a shard of `samples` in an empty file. `metadata` says what made it.
///
/// # Errors
/// [`Kind::Io`] from the file; [`Kind::Argument`] for a group of views whose name cannot be part of
/// a file's.
pub fn create(
    file: File,
    form: &ShardForm,
    samples: Range<u64>,
    metadata: &BTreeMap<String, String>,
) -> Result<Box<dyn ShardWriter>> {
    Ok(Box::new(Writer::new(file, form, samples, metadata)?))
}

/// A shard that is being written.
#[derive(Debug)]
pub(super) struct Writer<W: Write> {
    out: BufWriter<W>,
    members: Vec<MemberForm>,
    classes: Vec<String>,
    awaited: Awaited,
    /// What every member has in its header but for name, size and checksum.
    header: Header,
    /// The member being put together.
    member: Vec<u8>,
}

impl<W: Write + std::fmt::Debug> Writer<W> {
    pub fn new(
        out: W,
        form: &ShardForm,
        samples: Range<u64>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(TIME);
        let mut writer = Self {
            out: BufWriter::with_capacity(BUFFER, out),
            members: members(form)?,
            classes: form.classes.clone(),
            awaited: Awaited::new(form, samples),
            header,
            member: Vec::new(),
        };
        let mut about: BTreeMap<&str, &str> =
            metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
        about.insert("format", FORMAT);
        writer.member = serde_json::to_vec_pretty(&about)
            .map_err(|error| Error::new(Kind::Io, format!("cannot write metadata: {error}")))?;
        writer.put_member(ABOUT)?;
        Ok(writer)
    }

    /// Writes what is in `member` under `name`.
    fn put_member(&mut self, name: &str) -> Result<()> {
        let len = self.member.len();
        if len > MAX_MEMBER {
            return Err(Error::new(
                Kind::Limit,
                format!("would have {len} bytes, more than {MAX_MEMBER}"),
            )
            .help("export fewer or smaller views a sample")
            .at(format!("member {name}")));
        }
        self.header.set_path(name).map_err(failed)?;
        self.header.set_size(len as u64);
        self.header.set_cksum();
        self.out.write_all(self.header.as_bytes()).map_err(failed)?;
        self.out.write_all(&self.member).map_err(failed)?;
        let padding = len.next_multiple_of(BLOCK) - len;
        self.out.write_all(&[0; BLOCK][..padding]).map_err(failed)
    }

    fn put_sample(&mut self, sample: &SampleRecord<'_>) -> Result<()> {
        self.awaited.check(sample)?;
        let key = key(sample.index);
        for at in 0..self.members.len() {
            self.member.clear();
            let MemberForm { suffix, holds } = &self.members[at];
            let name = format!("{key}{suffix}");
            fill(&mut self.member, holds, sample, &self.classes)?;
            self.put_member(&name)?;
        }
        self.awaited.next();
        Ok(())
    }

    /// Writes the mark of the end and gives back what was written to.
    pub fn end(mut self) -> Result<W> {
        self.awaited.end()?;
        self.out.write_all(&[0; 2 * BLOCK]).map_err(failed)?;
        self.out.into_inner().map_err(|error| failed(error.into_error()))
    }
}

impl<W: Write + std::fmt::Debug> ShardWriter for Writer<W> {
    fn put(&mut self, sample: &SampleRecord<'_>) -> Result<()> {
        self.put_sample(sample)
            .map_err(|error| error.with_sample(sample.index))
            .at(|| format!("sample {}", sample.index))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.end().map(drop)
    }
}

/// Puts one member together.
fn fill(
    member: &mut Vec<u8>,
    holds: &Holds,
    sample: &SampleRecord<'_>,
    classes: &[String],
) -> Result<()> {
    let missing = |what: &str| Error::new(Kind::Argument, format!("has no {what}"));
    let wrong = |what: &str| Error::new(Kind::Argument, format!("has {what} of another length"));
    match holds {
        Holds::Picture(number) => member.extend_from_slice(sample.pictures[*number].bytes),
        Holds::Pictures { first, group, header } => {
            member.extend_from_slice(header);
            for picture in &sample.pictures[*first..first + group.views] {
                if Some(picture.bytes.len()) != group.form.checked_len() {
                    return Err(wrong("a picture"));
                }
                member.extend_from_slice(picture.bytes);
            }
        }
        Holds::Label => {
            let label = sample.label.ok_or_else(|| missing("label"))?;
            member.extend_from_slice(label.to_string().as_bytes());
        }
        Holds::About => about(member, sample, classes),
        Holds::Latents(header) => {
            let latents = sample.latents.ok_or_else(|| missing("latents"))?;
            member.extend_from_slice(header);
            member.extend(latents.iter().flat_map(|number| number.to_le_bytes()));
            if crate::shard::npy::parse(member).is_err() {
                return Err(wrong("latents"));
            }
        }
    }
    Ok(())
}

/// The JSON of a sample, written by hand: its parameters are JSON already.
fn about(member: &mut Vec<u8>, sample: &SampleRecord<'_>, classes: &[String]) {
    let mut text = format!("{{\"index\":{}", sample.index);
    if let Some(label) = sample.label {
        text += &format!(",\"label\":{label}");
        if let Some(class) = usize::try_from(label).ok().and_then(|label| classes.get(label)) {
            text += &format!(",\"class\":{}", Value::from(class.as_str()));
        }
    }
    if let Some(parameters) = sample.parameters {
        text += &format!(",\"parameters\":{parameters}");
    }
    text.push('}');
    member.extend_from_slice(text.as_bytes());
}
