//! To disk and back: what a folder of shards is, and the formats that shards come in.
//!
//! Writers take samples in the order of their indices and make the same bytes of the same samples.
//! Readers give any sample of a shard; what they are given may be hostile, so every size, offset
//! and name is checked before it is used. The formats know no threads.
//!
//! An [`Export`] writes a folder: shards that appear under their names when they are whole, and a
//! [`Manifest`] that lists them. [`Shards`] reads it back, [`Verify`] checks it.

mod arrays;
mod copy;
mod cut;
mod export;
mod files;
mod folder;
mod foreign;
mod format;
mod hash;
pub mod images;
mod manifest;
mod map;
pub mod mds;
pub(crate) mod npy;
mod prefetch;
mod records;
mod rows;
pub mod safetensors;
#[cfg(test)]
mod samples;
mod shards;
mod verify;
pub mod webdataset;
mod writer;

pub use crate::load::GroupForm;
pub(crate) use copy::copy_past_caches;
pub use cut::MAX_SHARDS;
pub use export::{DEFAULT_SHARD_BYTES, Export, Exported, Progress, ShardSize};
pub use foreign::open_foreign;
pub use format::Format;
pub use manifest::{
    Contents, MANIFEST, MAX_MANIFEST_BYTES, Manifest, ModelFile, Part, Provenance, ShardEntry,
};
pub use map::MappedFile;
pub(crate) use prefetch::prefetch;
pub use records::{Records, ShardReader};
pub use rows::rows_recipe;
pub use shards::Shards;
pub use verify::{Difference, Fault, Verified, Verify, embedded_recipe};
pub use writer::{SampleRecord, ShardForm, ShardWriter};
