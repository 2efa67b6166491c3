//! Shards of MosaicML Streaming: the MDS format, version 2, uncompressed.
//!
//! A shard is a count of samples, a table of where they begin, JSON that says its columns, and the
//! samples; all numbers have 32 bits, little-endian. A sample is the lengths of its columns of
//! variable length, then the columns in the order of their names. `index.json` lists the shards
//! of a folder (see [`index_json`]); Streaming reads nothing else about them. The columns are:
//!
//! | column | encoding | there if |
//! |---|---|---|
//! | `image` | `ndarray:uint8:C,H,W` (or `float16`, `float32`; `H,W,C`) | images are raw, one view |
//! | `images` | `ndarray:uint8:V,C,H,W` | images are raw, several views |
//! | `image` | `png`, `jpeg`; `bytes` for WebP, which has no encoding of its own | images are encoded, one view |
//! | `image.0`, `image.1`, … | the same | images are encoded, several views |
//! | `index` | `int` | always |
//! | `label` | `int` | samples have labels |
//! | `latent` | `ndarray:float32:V,Z` | latents are written |
//! | `parameters` | `json` | parameters are written |
//!
//! The columns of a group of views that has a name have it after their own: `image.global.0`,
//! `images.global`. What made a shard stands under `genset` in its own JSON, which Streaming passes
//! over; in `index.json` it would be refused.
//!
//! [`MdsReader`] reads these shards; [`MdsRecords`] reads folders that other tools wrote.

mod choose;
mod columns;
mod encoding;
mod file;
mod index;
mod read;
mod records;
mod write;

#[cfg(test)]
mod tests;

pub use index::{INDEX, MdsShardInfo, index_json};
pub use read::MdsReader;
pub use records::MdsRecords;
pub use write::create;
