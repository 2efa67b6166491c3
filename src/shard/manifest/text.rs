//! A manifest as JSON.
//!
//! The heading is written for people, one shard a line after it.

use serde::{Deserialize, Serialize};

use super::{Contents, Manifest, ModelFile, Part, Provenance, ShardEntry, VERSION};
use crate::codec::{Encoding, RawForm};
use crate::error::{Error, Kind, Result};
use crate::recipe::{Dtype, Layout};
use crate::shard::format::Format;
use crate::shard::{GroupForm, ShardForm};

/// The file, key by key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    genset_shards: u32,
    dataset: String,
    name: String,
    contents: Contents,
    format: Format,
    encoding: String,
    groups: Vec<Group>,
    labels: bool,
    classes: Vec<String>,
    latents: Option<[usize; 2]>,
    parameters: bool,
    samples: Samples,
    samples_per_shard: u64,
    model: Option<ModelFile>,
    provenance: Provenance,
    recipe: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    shards: Vec<ShardEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Samples {
    from: u64,
    to: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    views: usize,
    channels: usize,
    height: usize,
    width: usize,
    dtype: String,
    layout: String,
}

/// All that is read before it is known that the rest can be.
#[derive(Debug, Deserialize)]
struct Versioned {
    genset_shards: u32,
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::State, message)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Manifest> {
    let not_json = |error: serde_json::Error| {
        wrong(format!("is no manifest of shards: {error}"))
            .help("a folder that `genset export` made has one; export anew if it is damaged")
    };
    let Versioned { genset_shards: version } = serde_json::from_slice(bytes).map_err(not_json)?;
    if version != VERSION {
        return Err(wrong(format!("is a manifest of version {version}, not {VERSION}"))
            .help("read it with the genset that wrote it, or a newer one"));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(not_json)?;
    let form = ShardForm {
        groups: document.groups.iter().map(Group::read).collect::<Result<_>>()?,
        encoding: Encoding::parse(&document.encoding).map_err(|error| wrong(error.summary()))?,
        labels: document.labels,
        classes: document.classes,
        latents: document.latents,
        parameters: document.parameters,
    };
    Ok(Manifest {
        dataset: document.dataset.parse().map_err(|error: Error| wrong(error.summary()))?,
        name: document.name,
        contents: document.contents,
        format: document.format,
        form,
        samples: document.samples.from..document.samples.to,
        samples_per_shard: document.samples_per_shard,
        model: document.model,
        provenance: document.provenance,
        recipe: document.recipe,
        part: document.part,
        shards: document.shards,
    })
}

pub(super) fn write(manifest: &Manifest) -> String {
    let Manifest { form, .. } = manifest;
    let document = Document {
        genset_shards: VERSION,
        dataset: manifest.dataset.to_string(),
        name: manifest.name.clone(),
        contents: manifest.contents,
        format: manifest.format,
        encoding: form.encoding.to_string(),
        groups: form.groups.iter().map(Group::of).collect(),
        labels: form.labels,
        classes: form.classes.clone(),
        latents: form.latents,
        parameters: form.parameters,
        samples: Samples { from: manifest.samples.start, to: manifest.samples.end },
        samples_per_shard: manifest.samples_per_shard,
        model: manifest.model.clone(),
        provenance: manifest.provenance.clone(),
        recipe: manifest.recipe.clone(),
        part: manifest.part,
        shards: Vec::new(),
    };
    let mut text = json(&document, serde_json::to_string_pretty);
    // `shards` is the last key, and still empty.
    text.truncate(text.trim_end_matches(['\n', '}', ']']).len());
    for (number, shard) in manifest.shards.iter().enumerate() {
        text.push_str(if number == 0 { "\n    " } else { ",\n    " });
        text.push_str(&json(shard, serde_json::to_string));
    }
    text.push_str(if manifest.shards.is_empty() { "]\n}\n" } else { "\n  ]\n}\n" });
    text
}

fn json<T>(value: &T, write: fn(&T) -> serde_json::Result<String>) -> String {
    write(value).expect("keys are text and nothing in it can fail")
}

impl Group {
    fn of(group: &GroupForm) -> Self {
        let GroupForm { name, views, form } = group;
        let RawForm { channels, height, width, dtype, layout } = *form;
        Self {
            name: name.clone(),
            views: *views,
            channels,
            height,
            width,
            dtype: dtype.name().to_owned(),
            layout: layout.name().to_owned(),
        }
    }

    fn read(&self) -> Result<GroupForm> {
        let find = |what: &str, name: &str| wrong(format!("`{name}` is no {what}"));
        let dtype = Dtype::ALL.iter().find(|(name, _)| *name == self.dtype);
        let layout = Layout::ALL.iter().find(|(name, _)| *name == self.layout);
        let form = RawForm {
            channels: self.channels,
            height: self.height,
            width: self.width,
            dtype: dtype.ok_or_else(|| find("element type", &self.dtype))?.1,
            layout: layout.ok_or_else(|| find("layout", &self.layout))?.1,
        };
        Ok(GroupForm { name: self.name.clone(), views: self.views, form })
    }
}

/// BLAKE3 as 64 hexadecimal digits.
pub(super) mod hash {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(hash: &blake3::Hash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hash.to_hex())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<blake3::Hash, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        blake3::Hash::from_hex(text.as_bytes()).map_err(D::Error::custom)
    }
}
