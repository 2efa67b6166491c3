//! To disk and back: what a folder of shards is, and the formats that shards come in.
//!
//! Writers take samples in the order of their indices and make the same bytes of the same samples.
//! Readers give any sample of a shard; what they are given may be hostile, so every size, offset
//! and name is checked before it is used. The formats know no threads.

mod arrays;
pub mod images;
mod map;
pub mod mds;
mod npy;
mod records;
pub mod safetensors;
#[cfg(test)]
mod samples;
pub mod webdataset;
mod writer;

pub use map::MappedFile;
pub use records::{Records, ShardReader};
pub use writer::{GroupForm, SampleRecord, ShardForm, ShardWriter};
