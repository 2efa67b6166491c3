//! `index.json`, the list of a folder's shards, and the same said within each shard.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::columns::{Column, columns};
use crate::error::{Error, Kind, Result};
use crate::shard::ShardForm;

/// The name of the list of a folder's shards.
pub const INDEX: &str = "index.json";
/// The version that is written and read.
const VERSION: u64 = 2;
/// Longest list that is read: a hundred thousand shards.
pub(super) const MAX_INDEX: u64 = 64 << 20;

/// One shard of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdsShardInfo {
    /// The name of its file.
    pub name: String,
    /// Samples that it has.
    pub samples: u64,
    /// Bytes of its file.
    pub bytes: u64,
}

/// The text of `index.json` of a folder with these shards, in the order of their samples.
///
/// # Errors
/// [`Kind::Argument`] or [`Kind::Limit`] for a form that has no columns.
pub fn index_json(shards: &[MdsShardInfo], form: &ShardForm) -> Result<String> {
    let columns = columns(form)?;
    let config = config(&columns, &BTreeMap::new());
    let shards: Vec<_> = shards
        .iter()
        .map(|shard| {
            let mut said = config.clone();
            let raw = json!({"basename": shard.name, "bytes": shard.bytes, "hashes": {}});
            said["raw_data"] = raw;
            said["samples"] = shard.samples.into();
            said["zip_data"] = Value::Null;
            said
        })
        .collect();
    Ok(json!({"shards": shards, "version": VERSION}).to_string())
}

/// What a shard says of itself. Keys are sorted, as Streaming sorts them.
pub(super) fn config(columns: &[Column], metadata: &BTreeMap<String, String>) -> Value {
    let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
    let encodings: Vec<_> = columns.iter().map(|column| &*column.encoding).collect();
    let sizes: Vec<_> = columns.iter().map(|column| column.size).collect();
    let mut said = json!({
        "column_encodings": encodings,
        "column_names": names,
        "column_sizes": sizes,
        "compression": null,
        "format": "mds",
        "hashes": [],
        "size_limit": null,
        "version": VERSION,
    });
    if !metadata.is_empty() {
        said["genset"] = json!(metadata);
    }
    said
}

/// `index.json` as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    version: u64,
    pub shards: Vec<Shard>,
}

/// What is said of one shard.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shard {
    version: u64,
    format: String,
    #[serde(flatten)]
    pub columns: ColumnList,
    pub raw_data: FileInfo,
    pub zip_data: Option<FileInfo>,
    pub samples: u64,
}

/// The columns of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ColumnList {
    column_names: Vec<String>,
    column_encodings: Vec<String>,
    #[serde(default)]
    column_sizes: Vec<Option<u64>>,
}

/// A file of a shard.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct FileInfo {
    pub basename: String,
    pub bytes: u64,
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::Io, message)
}

impl Index {
    /// # Errors
    /// [`Kind::Io`] if it is no such list, or of another version; [`Kind::Limit`] if it is too long.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_INDEX {
            return Err(Error::new(Kind::Limit, format!("has more than {} MiB", MAX_INDEX >> 20)));
        }
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|error| bad(format!("is no list of MDS shards: {error}")))?;
        if index.version != VERSION {
            return Err(bad(format!("is of version {}, not {VERSION}", index.version)));
        }
        for Shard { version, format, raw_data, .. } in &index.shards {
            let name = &raw_data.basename;
            if format != "mds" {
                return Err(bad(format!("lists {name:?}, of the format {format:?}"))
                    .help("only MDS is read: write it with streaming.MDSWriter"));
            }
            if *version != VERSION {
                return Err(bad(format!("lists {name:?}, of version {version}")));
            }
        }
        Ok(index)
    }
}

impl ColumnList {
    /// Of JSON within a shard.
    ///
    /// # Errors
    /// [`Kind::Io`] if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|error| bad(format!("says nothing of its columns: {error}")))
    }

    /// Name, encoding and size of every column.
    ///
    /// # Errors
    /// [`Kind::Io`] if there are not as many of each.
    pub fn each(&self) -> Result<Vec<(&str, &str, Option<u32>)>> {
        let Self { column_names: names, column_encodings: encodings, column_sizes: sizes } = self;
        if names.len() != encodings.len() || names.len() != sizes.len() {
            let [a, b, c] = [names.len(), encodings.len(), sizes.len()];
            return Err(bad(format!("has {a} names, {b} encodings and {c} sizes of columns")));
        }
        let size = |size: Option<u64>| match size {
            // Streaming takes a size of 0 as one that varies.
            None | Some(0) => Ok(None),
            Some(size) => u32::try_from(size)
                .map(Some)
                .map_err(|_| bad(format!("has a column of {size} bytes a sample"))),
        };
        let all = names.iter().zip(encodings).zip(sizes);
        all.map(|((name, encoding), bytes)| Ok((&**name, &**encoding, size(*bytes)?))).collect()
    }
}
