//! The members of a tar file, one after the other, without copying what they hold.
//!
//! Headers are the `tar` crate's. Walking from one to the next is done here: on a map, the crate's
//! own walk copies every member, and it takes the last eight bytes of a size that has more.
//! What is read: regular files, with the long names of GNU tar and of pax (POSIX.1-2001). Folders
//! and global pax headers are passed over; everything else is an error.

use std::borrow::Cow;
use std::ops::Range;

use tar::{EntryType, Header};

use crate::error::{Error, Kind, Result, ResultExt};

/// Bytes of a header; members begin at multiples of it.
pub(super) const BLOCK: usize = 512;
/// Longest name that is read.
const MAX_NAME: usize = 4096;
/// Longest pax header that is read.
const MAX_PAX: usize = 1 << 20;

/// A regular file in a tar.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// Its path, relative and without `.` or `..`.
    pub name: Cow<'a, str>,
    /// Where its bytes are.
    pub data: Range<usize>,
}

/// A walk over the members of a tar.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What earlier headers say of the next member.
#[derive(Debug, Default)]
struct Said<'a> {
    name: Option<Cow<'a, [u8]>>,
    size: Option<u64>,
    link: bool,
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::Io, message)
}

impl<'a> Members<'a> {
    /// Begins at the first member.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next regular file; `None` at the end of the archive.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::Limit`] naming the member, or the byte where its header should be.
    pub fn next(&mut self) -> Result<Option<Member<'a>>> {
        let mut said = Said::default();
        loop {
            let at = self.at;
            let block = at.checked_add(BLOCK).and_then(|end| self.bytes.get(at..end));
            let Some(block) = block else {
                return Err(bad(format!(
                    "ends at byte {} without the mark of an end",
                    self.bytes.len()
                ))
                .help("it was cut short, or its writer was: copy or write it anew"));
            };
            if block.iter().all(|byte| *byte == 0) {
                self.end(&said)?;
                return Ok(None);
            }
            let header = Header::from_byte_slice(block);
            checksum(header).at(|| format!("byte {at}"))?;
            let name = said.name.clone().unwrap_or_else(|| header.path_bytes());
            let place = || format!("member {:?}", String::from_utf8_lossy(&name));
            let own_size = size(header).at(place)?;
            let kind = header.entry_type();
            // What pax says of the size is about the member, not about headers before it.
            let about = matches!(
                kind,
                EntryType::XHeader
                    | EntryType::XGlobalHeader
                    | EntryType::GNULongName
                    | EntryType::GNULongLink
            );
            let size = if about { own_size } else { said.size.unwrap_or(own_size) };
            let data = self.data(at, size).at(place)?;
            match kind {
                EntryType::Regular if !name.ends_with(b"/") => {
                    if said.link {
                        return Err(bad("is a file that is said to be a link").at(place()));
                    }
                    return Ok(Some(Member { name: path(name)?, data }));
                }
                // Old tars mark folders by the slash at the end.
                EntryType::Directory | EntryType::Regular => {
                    if size != 0 {
                        return Err(bad("is a folder that holds bytes").at(place()));
                    }
                    said = Said::default();
                }
                EntryType::GNULongName => {
                    let long = limited(&self.bytes[data], MAX_NAME).at(place)?;
                    let long = long.strip_suffix(b"\0").unwrap_or(long);
                    said.set_name(Cow::Borrowed(long)).at(place)?;
                }
                EntryType::GNULongLink => said.link = true,
                EntryType::XHeader => {
                    said.read_pax(limited(&self.bytes[data], MAX_PAX).at(place)?).at(place)?;
                }
                EntryType::XGlobalHeader => {
                    let mut global = Said::default();
                    global.read_pax(limited(&self.bytes[data], MAX_PAX).at(place)?).at(place)?;
                    if global.name.is_some() || global.size.is_some() || global.link {
                        return Err(bad("is a global header that names members").at(place()));
                    }
                }
                other => return Err(unusual(other).at(place())),
            }
        }
    }

    /// The bytes of a member whose header is at `at`; goes on to the header after it.
    fn data(&mut self, at: usize, size: u64) -> Result<Range<usize>> {
        let start = at + BLOCK;
        let beyond = || {
            bad(format!("has {size} bytes, more than the file"))
                .help("the file was cut short, or is damaged: copy or write it anew")
        };
        let size = usize::try_from(size).map_err(|_| beyond())?;
        let end = start.checked_add(size).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(beyond)?;
        self.at = end.checked_next_multiple_of(BLOCK).ok_or_else(beyond)?;
        Ok(start..end)
    }

    /// Nothing may follow the end: some readers would go on there, and others not.
    fn end(&self, said: &Said<'_>) -> Result<()> {
        if said.name.is_some() || said.size.is_some() || said.link {
            return Err(bad(format!("ends at byte {} before a member that was begun", self.at)));
        }
        match self.bytes[self.at..].iter().position(|byte| *byte != 0) {
            None => Ok(()),
            Some(more) => Err(bad(format!(
                "goes on at byte {} after the mark of its end at byte {}",
                self.at + more,
                self.at
            ))
            .help("tar files that were joined end to end are read apart: split them")),
        }
    }
}

impl<'a> Said<'a> {
    fn set_name(&mut self, name: Cow<'a, [u8]>) -> Result<()> {
        if self.name.replace(name).is_some() {
            return Err(bad("has two long names"));
        }
        Ok(())
    }

    /// Records are `LENGTH KEY=VALUE\n`, their length counting all of it.
    fn read_pax(&mut self, mut rest: &'a [u8]) -> Result<()> {
        let broken = || bad("has a broken pax header");
        while !rest.is_empty() {
            let space = rest.iter().take(20).position(|byte| *byte == b' ').ok_or_else(broken)?;
            let len = number(&rest[..space]).and_then(|len| usize::try_from(len).ok());
            let (record, after) =
                len.and_then(|len| rest.split_at_checked(len)).ok_or_else(broken)?;
            rest = after;
            let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.set_name(Cow::Borrowed(limited(value, MAX_NAME)?))?,
                b"size" => {
                    let size = number(value).ok_or_else(broken)?;
                    if self.size.replace(size).is_some() {
                        return Err(bad("has two sizes"));
                    }
                }
                b"linkpath" => self.link = true,
                _ if key.starts_with(b"GNU.sparse.") => return Err(unusual(EntryType::GNUSparse)),
                // Times, owners, comments: nothing that a sample is made of.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Decimal digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

fn limited(bytes: &[u8], limit: usize) -> Result<&[u8]> {
    if bytes.len() > limit {
        let message = format!("is said in {} bytes, more than {limit}", bytes.len());
        return Err(Error::new(Kind::Limit, message));
    }
    Ok(bytes)
}

/// The sum of a header's bytes, its checksum taken as spaces (POSIX.1-1988).
fn checksum(header: &Header) -> Result<()> {
    let bytes = header.as_bytes();
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let own = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
    if header.cksum().ok() == Some(own) {
        return Ok(());
    }
    Err(bad("there is no member: the checksum of its header is wrong")
        .help("the file is no tar, is compressed, or is damaged; unpack it if it ends in .gz"))
}

/// The size in a header. A number of base 256 has its highest bit set, and twelve bytes.
fn size(header: &Header) -> Result<u64> {
    let field = &header.as_bytes()[124..136];
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(4);
        let low = low.try_into().map(u64::from_be_bytes);
        return match (high, low) {
            ([0x80, 0, 0, 0], Ok(size)) => Ok(size),
            _ => Err(bad("has a size that no file has")),
        };
    }
    header.entry_size().map_err(|_| bad("has a size that is no number"))
}

fn unusual(kind: EntryType) -> Error {
    let what = match kind {
        EntryType::Link | EntryType::Symlink => "a link",
        EntryType::GNUSparse => "a sparse file",
        EntryType::Char | EntryType::Block | EntryType::Fifo => "a device",
        _ => "of a kind that is not read",
    };
    bad(format!("is {what}")).help(
        "members must be plain files: write the tar anew, with `tar --dereference \
         --hard-dereference` and without `--sparse`",
    )
}

/// A path that stays where it is unpacked, without `./` before it.
fn path(name: Cow<'_, [u8]>) -> Result<Cow<'_, str>> {
    let refused = |name: &str, why: &str| {
        bad(why).at(format!("member {name:?}")).help("write the tar anew with relative names")
    };
    let name = match name {
        Cow::Borrowed(name) => {
            std::str::from_utf8(name).map(Cow::Borrowed).map_err(|_| name.to_vec())
        }
        Cow::Owned(name) => {
            String::from_utf8(name).map(Cow::Owned).map_err(|error| error.into_bytes())
        }
    };
    let name: Cow<'_, str> =
        name.map_err(|name| refused(&String::from_utf8_lossy(&name), "its name is no UTF-8"))?;
    let mut inside = &*name;
    while let Some(rest) = inside.strip_prefix("./") {
        inside = rest;
    }
    if name.starts_with('/') || inside.starts_with('/') {
        return Err(refused(&name, "its name is absolute"));
    }
    if inside.split('/').any(|part| part == "..") {
        return Err(refused(&name, "its name leaves the folder"));
    }
    if inside.is_empty() || inside.contains('\0') {
        return Err(refused(&name, "its name is none"));
    }
    let skip = name.len() - inside.len();
    Ok(match name {
        Cow::Borrowed(name) => Cow::Borrowed(&name[skip..]),
        Cow::Owned(mut name) => Cow::Owned(name.split_off(skip)),
    })
}
