//! Reading a shard, through a memory map.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use safetensors::tensor::Metadata;

use super::header;
use super::parts::{self, Holds, Part, Pictures};
use crate::codec::{Encoding, Form, Picture};
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::shard::arrays::read_floats;
use crate::shard::{MappedFile, ShardForm, ShardReader};

const BROKEN_HELP: &str =
    "fetch or export this shard anew; `genset verify` lists every file that is not as it was";

/// A shard. Opening it reads its header, the first and the last index, and nothing else.
#[derive(Debug)]
pub struct SafetensorsReader {
    file: MappedFile,
    form: ShardForm,
    samples: Range<u64>,
    /// As `samples`, as positions.
    len: usize,
    /// Where each tensor lies in the file. Within it.
    places: Vec<(Holds, Range<usize>)>,
}

impl SafetensorsReader {
    /// The shard in `file`, which should have these samples in this form.
    ///
    /// # Errors
    /// [`Kind::Io`] if it has not, or is broken or cut short; [`Kind::Limit`] if its header is
    /// longer than [`MAX_HEADER`](super::MAX_HEADER).
    pub fn open(file: MappedFile, form: &ShardForm, samples: Range<u64>) -> Result<Self> {
        Self::open_as(file, form, samples, Pictures::Inside)
    }

    pub(in crate::shard) fn open_as(
        file: MappedFile,
        form: &ShardForm,
        samples: Range<u64>,
        beside: Pictures,
    ) -> Result<Self> {
        let named = file.path().display().to_string();
        let at = |error: Error| error.help(BROKEN_HELP).at(&named);
        if samples.is_empty() {
            return Err(at(Error::new(Kind::Argument, "a shard has at least one sample")));
        }
        file.check()?;
        let (data, metadata) = header::read(file.bytes()).map_err(at)?;
        agrees(&metadata, form, beside).map_err(at)?;
        let parts = parts::parts(form, samples.end - samples.start, beside).map_err(at)?;
        let places = parts
            .iter()
            .map(|part| Ok((part.holds, place(&metadata, part, data)?)))
            .collect::<Result<Vec<_>>>()
            .map_err(at)?;
        // The tensor of indices has this length, and the file has the tensor.
        let len = usize::try_from(samples.end - samples.start).unwrap_or_default();
        let shard = Self { file, form: form.clone(), samples, len, places };
        shard.check_index(0)?;
        shard.check_index(len - 1)?;
        Ok(shard)
    }

    /// What was drawn for the views of a sample, as JSON, if the shard has it.
    ///
    /// # Errors
    /// As [`ShardReader::index`].
    pub fn parameters(&self, position: u64) -> Result<Option<&str>> {
        let position = self.ready(position)?;
        if !self.form.parameters {
            return Ok(None);
        }
        let bytes = self.blob(Holds::Parameters, Holds::ParameterOffsets, position)?;
        let text = std::str::from_utf8(bytes);
        text.map(Some).map_err(|error| self.broken(position, format!("parameters: {error}")))
    }

    /// What the metadata says under `key`. Reads the header again.
    ///
    /// # Errors
    /// As [`SafetensorsReader::open`].
    pub fn metadata(&self, key: &str) -> Result<Option<String>> {
        self.file.check()?;
        let read = header::read(self.file.bytes());
        let (_, metadata) = read.at(|| self.file.path().display().to_string())?;
        Ok(metadata.metadata().as_ref().and_then(|said| said.get(key)).cloned())
    }

    /// The file has not changed, and the sample there is the right one: where it is.
    pub(in crate::shard) fn ready(&self, position: u64) -> Result<usize> {
        self.file.check_lately()?;
        let at = usize::try_from(position).ok().filter(|at| *at < self.len);
        let at = at.ok_or_else(|| self.outside(&position))?;
        self.check_index(at)?;
        Ok(at)
    }

    pub(in crate::shard) fn form(&self) -> &ShardForm {
        &self.form
    }

    pub(in crate::shard) fn first(&self) -> u64 {
        self.samples.start
    }

    fn outside(&self, position: &dyn fmt::Debug) -> Error {
        let message = format!("sample {position:?} of a shard that has {}", self.len);
        Error::new(Kind::Argument, message).at(self.file.path().display())
    }

    pub(in crate::shard) fn broken(&self, position: usize, message: impl Into<String>) -> Error {
        let index = self.samples.start + position as u64;
        Error::new(Kind::Sample, message.into())
            .with_sample(index)
            .help(BROKEN_HELP)
            .at(format_args!("sample {index}"))
            .at(self.file.path().display())
    }

    /// The bytes of a tensor, none if the shard does not have it.
    pub(in crate::shard) fn tensor(&self, holds: Holds) -> &[u8] {
        let place = self.places.iter().find(|(what, _)| *what == holds);
        place.map_or(&[], |(_, range)| &self.file.bytes()[range.clone()])
    }

    /// Number `at` of a tensor of 64-bit numbers that has more than `at`.
    pub(in crate::shard) fn number(&self, holds: Holds, at: usize) -> u64 {
        let bytes = self.tensor(holds).get(at * 8..).and_then(<[u8]>::first_chunk::<8>);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn check_index(&self, position: usize) -> Result<()> {
        self.expect(position, self.number(Holds::Index, position))
    }

    fn expect(&self, position: usize, have: u64) -> Result<()> {
        if have == self.samples.start + position as u64 {
            return Ok(());
        }
        Err(self.broken(position, format!("the shard has sample {have} in its place")))
    }

    /// Bytes `number` of those that a tensor of offsets divides.
    fn blob(&self, holds: Holds, offsets: Holds, number: usize) -> Result<&[u8]> {
        let (begin, end) = (self.number(offsets, number), self.number(offsets, number + 1));
        let bytes = self.tensor(holds);
        let range = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
        range.and_then(|(begin, end)| bytes.get(begin..end)).ok_or_else(|| {
            let (message, len) = (format!("bytes {begin}..{end} of"), bytes.len());
            Error::new(Kind::Sample, format!("{message} {len} cannot be"))
                .help(BROKEN_HELP)
                .at(format_args!("offset {number}"))
                .at(self.file.path().display())
        })
    }

    /// Where raw images of consecutive samples lie in the file, if they are raw.
    fn images(&self, positions: &Range<u64>, group: usize) -> Result<Option<Range<usize>>> {
        let place = self.places.iter().find(|(what, _)| *what == Holds::Images(group));
        let Some((_, all)) = place.filter(|_| self.form.encoding == Encoding::Raw) else {
            return Ok(None);
        };
        self.file.check_lately()?;
        let positions = self.inside(positions)?;
        self.check_indices(&positions)?;
        let sample = (all.end - all.start) / self.len;
        Ok(Some(all.start + positions.start * sample..all.start + positions.end * sample))
    }

    /// Positions that there are.
    fn inside(&self, positions: &Range<u64>) -> Result<Range<usize>> {
        let whole = |position: u64| usize::try_from(position).ok();
        let range = whole(positions.start).zip(whole(positions.end)).map(|(from, to)| from..to);
        let inside = range.filter(|range| range.start <= range.end && range.end <= self.len);
        inside.ok_or_else(|| self.outside(positions))
    }

    /// That the samples at some positions, which there are, are the right ones.
    fn check_indices(&self, positions: &Range<usize>) -> Result<()> {
        let index = self.tensor(Holds::Index).as_chunks::<8>().0;
        for (position, have) in positions.clone().zip(&index[positions.clone()]) {
            self.expect(position, u64::from_le_bytes(*have))?;
        }
        Ok(())
    }

    /// A label, if there is such a class.
    fn checked_label(&self, position: usize, label: i64) -> Result<i64> {
        let classes = self.form.classes.len();
        if classes > 0 && usize::try_from(label).map_or(true, |label| label >= classes) {
            return Err(self.broken(position, format!("label {label} of {classes} classes")));
        }
        Ok(label)
    }
}

/// Whether the metadata says what the form does.
fn agrees(metadata: &Metadata, form: &ShardForm, beside: Pictures) -> Result<()> {
    for (key, want) in parts::metadata(form, beside) {
        let have = metadata.metadata().as_ref().and_then(|said| said.get(&key));
        if have != Some(&want) {
            let have = have.map_or("nothing".to_owned(), |have| format!("\"{have}\""));
            let message = format!("has {have} as `{key}` in its metadata, not \"{want}\"");
            return Err(Error::new(Kind::Io, message));
        }
    }
    Ok(())
}

/// Where a tensor lies in the file, if it is what it should be.
fn place(metadata: &Metadata, part: &Part, data: usize) -> Result<Range<usize>> {
    let name = &part.name;
    let info = metadata.info(name);
    let info = info.ok_or_else(|| Error::new(Kind::Io, format!("has no tensor `{name}`")))?;
    let fits = match &part.shape {
        Some(shape) => info.shape == *shape,
        None => info.shape.len() == 1,
    };
    if !fits || info.dtype != part.dtype {
        let want = part.shape.as_ref().map_or("[bytes]".into(), |shape| format!("{shape:?}"));
        let (have, shape) = (info.dtype, &info.shape);
        let message = format!("has `{name}` as {have} {shape:?}, not {} {want}", part.dtype);
        return Err(Error::new(Kind::Io, message));
    }
    // Within the file, as the header was checked against its length.
    Ok(data + info.data_offsets.0..data + info.data_offsets.1)
}

impl ShardReader for SafetensorsReader {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn index(&self, position: u64) -> Result<u64> {
        self.file.check_lately()?;
        let at = usize::try_from(position).ok().filter(|at| *at < self.len);
        let at = at.ok_or_else(|| self.outside(&position))?;
        Ok(self.number(Holds::Index, at))
    }

    fn label(&self, position: u64) -> Result<Option<i64>> {
        let position = self.ready(position)?;
        if !self.form.labels {
            return Ok(None);
        }
        let label = self.number(Holds::Label, position).cast_signed();
        self.checked_label(position, label).map(Some)
    }

    fn labels(&self, positions: Range<u64>, out: &mut Vec<i64>) -> Result<()> {
        self.file.check_lately()?;
        let range = self.inside(&positions)?;
        self.check_indices(&range)?;
        if !self.form.labels {
            out.resize(out.len() + range.len(), -1);
            return Ok(());
        }
        let labels = self.tensor(Holds::Label).as_chunks::<8>().0.get(range.clone());
        for (position, label) in range.zip(labels.unwrap_or_default()) {
            out.push(self.checked_label(position, i64::from_le_bytes(*label))?);
        }
        Ok(())
    }

    fn latents(&self, position: u64, out: &mut [f32]) -> Result<()> {
        let position = self.ready(position)?;
        let len = self.form.latents.map_or(0, |[views, len]| views * len);
        if out.len() != len {
            let message = format!("room for {} numbers of latents that have {len}", out.len());
            return Err(Error::new(Kind::Argument, message));
        }
        let bytes = self.tensor(Holds::Latent).get(position * len * 4..).unwrap_or_default();
        read_floats(bytes, out);
        Ok(())
    }

    fn show(
        &self,
        position: u64,
        _scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        let at = self.ready(position)?;
        let mut number = 0;
        for (which, group) in self.form.groups.iter().enumerate() {
            for view in 0..group.views {
                let image = at * group.views + view;
                let picture = match self.form.encoding.encoded() {
                    Some(form) => {
                        let (holds, offsets) = (Holds::Images(which), Holds::ImageOffsets(which));
                        Picture { bytes: self.blob(holds, offsets, image)?, form }
                    }
                    None => {
                        let len = group.form.checked_len().unwrap_or_default();
                        let all = self.tensor(Holds::Images(which));
                        let bytes = all.get(image * len..).and_then(|rest| rest.get(..len));
                        Picture { bytes: bytes.unwrap_or_default(), form: Form::Raw(group.form) }
                    }
                };
                show(number, picture)?;
                number += 1;
            }
        }
        Ok(())
    }

    fn run(&self, positions: Range<u64>, group: usize) -> Result<Option<&[u8]>> {
        let range = self.images(&positions, group)?;
        Ok(range.and_then(|range| self.file.bytes().get(range)))
    }

    fn mapped(&self, positions: Range<u64>, group: usize) -> Result<Option<Bytes>> {
        let range = self.images(&positions, group)?;
        Ok(range.and_then(|range| self.file.slice(range)))
    }
}
