//! Shards as WebDataset reads them: tar files whose members of one key are a sample.
//!
//! A shard begins with the member [`ABOUT`], JSON that says what made it; readers of WebDataset
//! pass over names like it. Then come the samples, their members together, in this order:
//!
//! | member | holds | there if |
//! |---|---|---|
//! | `KEY.png`, `.jpg`, `.webp` | the picture | images are encoded, one view |
//! | `KEY.0.png`, `KEY.1.png`, … | the pictures | images are encoded, several views |
//! | `KEY.npy` | `[V, C, H, W]` or `[V, H, W, C]` of the delivered type | images are raw |
//! | `KEY.cls` | the label in decimal | samples have labels |
//! | `KEY.json` | `index`, and `label`, `class`, `parameters` where there are any | always |
//! | `KEY.latent.npy` | float32 `[V, Z]` | latents are written |
//!
//! `KEY` is the index with [`KEY_DIGITS`] digits or more. The members of a group of views that has
//! a name have it after the key: `KEY.global.0.png`, `KEY.global.npy`. Times, owners and modes are
//! the same in every tar, so the same samples are the same bytes.
//!
//! [`WebDatasetReader`] reads these shards; [`WebDatasetRecords`] reads what other tools wrote.

pub(crate) mod archive;
mod braces;
mod gather;
mod names;
mod place;
mod read;
mod records;
mod sniff;
mod write;

#[cfg(test)]
mod tests;

pub use read::WebDatasetReader;
pub use records::WebDatasetRecords;
pub use sniff::is_webdataset;
pub use write::create;

/// The first member of a shard: what made it, as JSON. Without a dot it is no sample for any
/// reader, and with underscores on both sides WebDataset's own passes over it.
pub const ABOUT: &str = "__genset__";

/// What [`ABOUT`] says under `format`.
pub const FORMAT: &str = "genset webdataset 1";

/// Digits of a key, at least: the names of members sort as their samples do.
pub const KEY_DIGITS: usize = 9;
