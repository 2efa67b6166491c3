//! Reads shards that [`create`](super::create) wrote.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::archive::{BLOCK, Member, Members};
use super::names::{Holds, MemberForm, key, members};
use super::place::Place;
use super::{ABOUT, FORMAT};
use crate::codec::{Encoding, Form, Picture};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::arrays::read_floats;
use crate::shard::{MappedFile, ShardForm, ShardReader};

/// One shard, through a memory map. Opening it walks over its headers once.
#[derive(Debug)]
pub struct WebDatasetReader {
    file: MappedFile,
    members: Vec<MemberForm>,
    encoding: Encoding,
    /// The index of the first sample.
    first: u64,
    /// What made it.
    about: Place,
    /// Sample by sample, as `members` are.
    places: Vec<Place>,
}

impl WebDatasetReader {
    /// The shard in `file`, which should have these samples in this form.
    ///
    /// # Errors
    /// [`Kind::Io`] naming the member if it has not, or is damaged; [`Kind::Limit`] for sizes
    /// beyond reason.
    pub fn open(file: MappedFile, form: &ShardForm, samples: Range<u64>) -> Result<Self> {
        file.check()?;
        let members = members(form)?;
        let found = scan(file.bytes(), &members, &samples);
        let (about, places) = found.at(|| file.path().display().to_string())?;
        let shard =
            Self { file, members, encoding: form.encoding, first: samples.start, about, places };
        let format = shard.metadata()?.remove("format").unwrap_or_default();
        if format != FORMAT {
            let message = format!("is of the format {format:?}, not {FORMAT:?}");
            return Err(Error::new(Kind::Io, message)
                .help("read it with the genset that wrote it, or a newer one")
                .at(shard.file.path().display()));
        }
        Ok(shard)
    }

    /// What was drawn for the views of a sample, as JSON, if the shard has it.
    ///
    /// # Errors
    /// As [`ShardReader::index`].
    pub fn parameters(&self, position: u64) -> Result<Option<&str>> {
        let Some(number) = self.holding(|holds| *holds == Holds::About) else { return Ok(None) };
        let (place, name) = self.member(position, number)?;
        self.file.check_lately()?;
        let said = json::<Sample<'_>>(place.of(self.file.bytes())).at(name)?;
        Ok(said.parameters.map(RawValue::get))
    }

    /// What made the shard, as [`ABOUT`] says: what was given when it was written, and `format`.
    ///
    /// # Errors
    /// [`Kind::Io`] if it is no JSON, or the file has changed.
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        self.file.check_lately()?;
        json(self.about.of(self.file.bytes()))
            .at(|| format!("{}: member {ABOUT}", self.file.path().display()))
    }

    /// The place of a member of a sample, and what it is called in an error.
    fn member(&self, position: u64, number: usize) -> Result<(Place, impl Fn() -> String)> {
        let at = usize::try_from(position)
            .ok()
            .and_then(|position| position.checked_mul(self.members.len()))
            .and_then(|at| self.places.get(at.checked_add(number)?));
        let name = move || {
            let key = key(self.first.saturating_add(position));
            format!("{}: member {key}{}", self.file.path().display(), self.members[number].suffix)
        };
        let place = at.ok_or_else(|| {
            let message = format!("sample {position} of {} was asked for", self.len());
            Error::new(Kind::Argument, message).at(self.file.path().display())
        })?;
        Ok((*place, name))
    }

    /// The number of the member that holds this; a form has each at most once.
    fn holding(&self, holds: impl Fn(&Holds) -> bool) -> Option<usize> {
        self.members.iter().position(|member| holds(&member.holds))
    }
}

/// Where the first member is, and those of all samples.
fn scan(bytes: &[u8], members: &[MemberForm], samples: &Range<u64>) -> Result<(Place, Vec<Place>)> {
    let other = |have: &str, want: &str| {
        Error::new(Kind::Io, format!("has {have} where {want} should be"))
            .help("the shard is not the one that its manifest lists: export it anew")
    };
    let quoted = |name: &str| format!("the member {name:?}");
    let mut walk = Members::new(bytes);
    let about = match walk.next()? {
        Some(Member { name, data }) if name == ABOUT => Place::new(&data)?,
        Some(Member { name, .. }) => return Err(other(&quoted(&name), ABOUT)),
        None => return Err(other("its end", ABOUT)),
    };
    // No more than the file has room for, whatever the range says.
    let wanted = samples.end.saturating_sub(samples.start).saturating_mul(members.len() as u64);
    let room = bytes.len() / BLOCK;
    let mut places = Vec::with_capacity(usize::try_from(wanted).unwrap_or(room).min(room));
    for index in samples.clone() {
        let key = key(index);
        for MemberForm { suffix, .. } in members {
            let Some(Member { name, data }) = walk.next()? else {
                return Err(other("its end", &format!("{key}{suffix}")));
            };
            if name.strip_prefix(&*key) != Some(suffix) {
                return Err(other(&quoted(&name), &format!("{key}{suffix}")));
            }
            places.push(Place::new(&data).at(|| format!("member {name}"))?);
        }
    }
    match walk.next()? {
        None => Ok((about, places)),
        Some(Member { name, .. }) => Err(other(&quoted(&name), "its end")),
    }
}

/// What is read of a sample's JSON.
#[derive(Debug, Deserialize)]
struct Sample<'a> {
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(Kind::Io, format!("is no JSON that is written here: {error}")))
}

/// What is behind the header that a member must begin with.
fn behind<'a>(bytes: &'a [u8], header: &[u8], len: Option<usize>) -> Result<&'a [u8]> {
    let data = bytes.strip_prefix(header).filter(|data| Some(data.len()) == len);
    data.ok_or_else(|| {
        Error::new(Kind::Sample, "holds an array of another type or shape than the shard's")
            .help("the shard is damaged: export it anew")
    })
}

impl ShardReader for WebDatasetReader {
    fn len(&self) -> u64 {
        (self.places.len() / self.members.len()) as u64
    }

    fn index(&self, position: u64) -> Result<u64> {
        // Keys were found to rise by one when the shard was opened.
        let (_, _) = self.member(position, 0)?;
        Ok(self.first + position)
    }

    fn label(&self, position: u64) -> Result<Option<i64>> {
        let Some(number) = self.holding(|holds| *holds == Holds::Label) else { return Ok(None) };
        let (place, name) = self.member(position, number)?;
        self.file.check_lately()?;
        super::gather::integer(place.of(self.file.bytes())).at(name).map(Some)
    }

    fn latents(&self, position: u64, out: &mut [f32]) -> Result<()> {
        let number = self.holding(|holds| matches!(holds, Holds::Latents(_)));
        let Some(number) = number else { return Ok(()) };
        let Holds::Latents(header) = &self.members[number].holds else { return Ok(()) };
        let (place, name) = self.member(position, number)?;
        self.file.check_lately()?;
        let len = out.len().checked_mul(4);
        let data = behind(place.of(self.file.bytes()), header, len).at(name)?;
        read_floats(data, out);
        Ok(())
    }

    fn show(
        &self,
        position: u64,
        _scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        self.file.check_lately()?;
        for number in 0..self.members.len() {
            let (place, name) = self.member(position, number)?;
            let bytes = place.of(self.file.bytes());
            match &self.members[number].holds {
                Holds::Picture(picture) => {
                    // Raw pictures are in members of arrays.
                    let Some(form) = self.encoding.encoded() else { continue };
                    show(*picture, Picture { bytes, form }).at(name)?;
                }
                Holds::Pictures { first, group, header } => {
                    let image = group.form.checked_len().unwrap_or_default();
                    let all = image.checked_mul(group.views);
                    let data = behind(bytes, header, all).at(&name)?;
                    let images = data.chunks_exact(image.max(1));
                    for (picture, bytes) in (*first..).zip(images) {
                        show(picture, Picture { bytes, form: Form::Raw(group.form) }).at(&name)?;
                    }
                }
                Holds::Label | Holds::About | Holds::Latents(_) => {}
            }
        }
        Ok(())
    }
}
