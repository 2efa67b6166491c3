//! Shards as image files in folders by class, as torchvision's `ImageFolder` and people read them.
//!
//! `CLASS/INDEX.png`, with `-GROUP` before the extension if groups of views have names, and
//! `-VIEW` if there are several; without labels all are in the folder `unlabelled`. Beside the
//! folders lies one small file for each range of samples, which *is* the shard: a safetensors file
//! with the index, label, latents and parameters of each sample as in [`super::safetensors`], and
//! in place of the images
//!
//! | tensor | type, shape | |
//! |---|---|---|
//! | `files.bytes` | U64 `[n, pictures]` | length of each file |
//! | `files.blake3` | U8 `[n, pictures, 32]` | hash of each file |
//!
//! Where a picture lies follows from its sample's index and label, so access is O(1), and the hash
//! of the shard covers the files. `ImageFolder` numbers classes by the order of their folders'
//! names, which is the order of labels only if the names of the classes are in alphabetical order;
//! classes without names are folders `0000`, `0001`, ….

mod names;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::ImagesReader;
pub use write::create;
