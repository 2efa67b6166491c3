//! The header: a JSON object of metadata and of the type, shape and place of every tensor.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::MAX_HEADER;
use super::parts::Part;
use crate::error::{Error, Kind, Result};

/// A place or length that is not known yet: no other number has more digits.
const LONGEST: u64 = u64::MAX;

/// Bytes of the longest header that these tensors can have, when all lengths are known.
///
/// # Errors
/// [`Kind::Limit`] if that is too long.
pub(super) fn longest(metadata: &BTreeMap<String, String>, parts: &[Part]) -> Result<u64> {
    let mut at = Some(0);
    let places = parts.iter().map(|part| {
        let begin = at.unwrap_or(LONGEST);
        // What follows a part of unknown length is at an unknown place.
        at = at.filter(|_| part.shape.is_some()).map(|at| at + part.len);
        (begin, at.unwrap_or(LONGEST))
    });
    let len = text(metadata, parts, places).len();
    if len > MAX_HEADER - 128 {
        let message = format!("the header of a shard would have {len} bytes of {MAX_HEADER}");
        return Err(Error::new(Kind::Limit, message).help("write less into the metadata"));
    }
    Ok(len as u64)
}

/// The header of tensors that lie one after the other, without padding.
pub(super) fn write(metadata: &BTreeMap<String, String>, parts: &[Part]) -> String {
    let mut at = 0;
    let places = parts.iter().map(|part| {
        let begin = at;
        at += part.len;
        (begin, at)
    });
    text(metadata, parts, places)
}

/// Put together by hand: the crate's own keeps metadata in a hash map, in another order each time.
fn text(
    metadata: &BTreeMap<String, String>,
    parts: &[Part],
    places: impl Iterator<Item = (u64, u64)>,
) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let said: Vec<_> =
        metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    let mut text = format!("{{\"__metadata__\":{{{}}}", said.join(","));
    for (part, (begin, end)) in parts.iter().zip(places) {
        let dtype = match part.dtype {
            Dtype::U64 => "U64",
            Dtype::I64 => "I64",
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            _ => "U8",
        };
        let shape = match &part.shape {
            Some(shape) => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
            None if end == LONGEST => LONGEST.to_string(),
            None => (end - begin).to_string(),
        };
        let name = quoted(&part.name);
        let _ = write!(
            text,
            ",{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{begin},{end}]}}"
        );
    }
    text.push('}');
    text
}

/// Reads the header of a whole file: its tensors, and where their data begins.
///
/// # Errors
/// What is wrong with it, as a phrase; the kind is [`Kind::Limit`] for a header that is too long,
/// else [`Kind::Io`].
pub(super) fn read(file: &[u8]) -> Result<(usize, Metadata)> {
    let bad = |message: String| Error::new(Kind::Io, message);
    let (len, rest) = file
        .split_first_chunk::<8>()
        .ok_or_else(|| bad(format!("has {} bytes, too few for a header", file.len())))?;
    let len = u64::from_le_bytes(*len);
    let limited = usize::try_from(len).ok().filter(|len| *len <= MAX_HEADER);
    let len = limited.ok_or_else(|| {
        Error::new(Kind::Limit, format!("has a header of {len} bytes, more than {MAX_HEADER}"))
    })?;
    let (header, data) = rest.split_at_checked(len).ok_or_else(|| {
        bad(format!("ends after {} bytes, within its header of {len}", file.len()))
    })?;
    if header.first() != Some(&b'{') {
        return Err(bad("has no header of safetensors".into()));
    }
    let json = |error| bad(format!("has a bad header: {error}"));
    serde_json::from_slice::<Keys>(header).map_err(json)?;
    // Checks types and sizes, and that tensors lie one after the other without holes.
    let metadata: Metadata = serde_json::from_slice(header).map_err(json)?;
    if metadata.data_len() != data.len() {
        let (want, have) = (metadata.data_len(), data.len());
        return Err(bad(format!("has {have} bytes of data, its header says {want}")));
    }
    Ok((8 + len, metadata))
}

/// An object without two equal keys, and so its metadata. Of two equal ones, a reader may take the
/// first and another reader the last.
struct Keys;

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "__metadata__" {
                map.next_value::<Keys>()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if let Some(twice) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("the key `{twice}` is there twice")));
            }
        }
        Ok(self)
    }
}
