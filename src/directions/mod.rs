//! Directions in latent space: found without training code, measured before they are trusted.
//!
//! An [`Explorer`] opens a recipe's generator. [`Explorer::find`] looks for directions by one of
//! four [`Method`]s, moves latents that it has not seen before along each, and reports what
//! changed in the images and what else did. [`Found::write`] keeps the directions for the `steer`
//! operation of a recipe; [`Explorer::strip`] shows them.
//!
//! The way of a direction: `sefa`, `pca`, `regress` or `gradient` proposes vectors, `attribute` (with `ink`
//! and `scorer`) measures images, `evaluate` compares pairs of them, `report` holds the outcome,
//! `file` writes it. All sums run in `f64` in the order of the samples, so the same machine and
//! provider give the same bytes.
//!
//! ```no_run
//! use genset::directions::{Explorer, Settings};
//! use genset::load::{Options, Stop, read_recipe};
//!
//! # fn main() -> genset::Result<()> {
//! let recipe = read_recipe("builtin:digits".as_ref(), &[])?;
//! let mut explorer = Explorer::open(&recipe, &Options::default(), None)?;
//! let found = explorer.find(&Settings::default(), &Stop::new(), &mut |_, _| {})?;
//! found.write("dirs.safetensors".as_ref())?;
//! # Ok(())
//! # }
//! ```

mod algebra;
mod attribute;
mod evaluate;
mod explorer;
mod file;
mod find;
mod gradient;
mod ink;
mod measured;
mod meter;
mod pca;
mod regress;
mod report;
mod scorer;
mod sefa;
mod statistics;
mod strip;

pub use attribute::{Attribute, Picture, attributes};
pub use explorer::Explorer;
pub(crate) use file::samples_used;
pub use file::{FORMAT, Found};
pub use find::{Method, Settings};
pub(crate) use measured::Measured;
pub use report::{AttributeReport, Direction, Effect, Report};
pub(crate) use statistics::Mean;
