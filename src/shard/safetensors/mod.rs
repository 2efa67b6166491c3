//! Shards as safetensors files: tensors behind a JSON header, for reading through a memory map.
//!
//! A shard of `n` samples has, in this order:
//!
//! | tensor | type, shape | there if |
//! |---|---|---|
//! | `index` | U64 `[n]` | always; rises by one |
//! | `label` | I64 `[n]` | samples have labels |
//! | `IMAGES.offsets` | U64 `[n · V + 1]` | images are encoded |
//! | `parameters.offsets` | U64 `[n + 1]` | parameters are written |
//! | `latent` | F32 `[n, V, Z]` | latents are written |
//! | `IMAGES` | the delivered type `[n, V, C, H, W]` or `[n, V, H, W, C]`; U8 `[bytes]` if encoded | always |
//! | `parameters` | U8 `[bytes]`: JSON | parameters are written |
//!
//! `IMAGES` is `images`, or `images.NAME` for each group of views that has a name. Offsets are
//! where each image (or JSON text) begins, and where the last one ends. Raw images begin at a
//! multiple of 64 bytes of the file: the header is padded with spaces for the first group; before
//! a later one a tensor `IMAGES.padding` fills the gap if there is one, as the format has no holes.
//! The metadata says `format` (see [`FORMAT`]), `encoding`, and for raw images `IMAGES.layout`.

mod header;
mod parts;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub(super) use parts::{Holds, Pictures};
pub use read::SafetensorsReader;
pub(super) use write::Tensors;
pub use write::create;

/// The `format` in the metadata of a shard.
pub const FORMAT: &str = "genset shard 1";

/// Longest header that is written or read. One of a shard takes a few kilobytes; reading the JSON
/// of a hostile one takes some thirty times its length.
pub const MAX_HEADER: usize = 1 << 20;
