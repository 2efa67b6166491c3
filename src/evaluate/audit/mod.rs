//! What a generated dataset must prove: that it does not copy the images that its generator was
//! trained on, and that it has their variety.
//!
//! A generated dataset, the real images that its generator learnt from, and real images that it did
//! not learn from come in; a [`Report`] goes out. The held-out images are asked the same questions
//! as the generated ones: they say what the answers of honest images are. Everything is measured in
//! one or two feature [spaces](Space): raw pixels, and the features of an encoder. Distances are
//! Euclidean and found exactly. Equal bytes give equal reports on a machine, whatever the number of
//! threads.
//!
//! - `copies`: how near each generated image is to its nearest real one, in comparison with the
//!   distances to the next ones, as held-out images have it; `precedence` is the test behind the
//!   verdict.
//! - `duplicates`: the same of generated images among themselves.
//! - `manifold`: precision, recall, density and coverage; `frechet`: the Fréchet distance; `vendi`:
//!   the effective number of different samples; `balance`: how often each class came.
//! - `sides` are the datasets, `distances` finds neighbours, `pairs` shows the closest ones, `run` puts
//!   all together.
//!
//! ```no_run
//! use genset::Dataset;
//! use genset::evaluate::audit::{Audit, Subject};
//! use genset::load::{Options, Stop};
//!
//! # fn main() -> genset::Result<()> {
//! let generated = Dataset::open("builtin:digits")?;
//! let real = Dataset::open("mnist/train-images-idx3-ubyte")?;
//! let held_out = Dataset::open("mnist/t10k-images-idx3-ubyte")?;
//! let subject =
//!     Subject { generated: &generated, real: &real, held_out: Some(&held_out), encoder: None };
//! let report =
//!     Audit::default().run(&subject, &Options::default(), &Stop::new(), &mut |_| {})?;
//! assert!(!report.alarm, "it copies: {:?}", report.spaces[0].copies.closest);
//! # Ok(())
//! # }
//! ```

mod balance;
mod copies;
mod distances;
mod duplicates;
mod frechet;
mod gram;
mod manifold;
mod pairs;
mod precedence;
mod progress;
mod report;
mod run;
mod sides;
#[cfg(test)]
mod tests;
mod vendi;

pub use balance::ClassBalance;
pub use copies::{Closer, Copies, Pair, QUANTILES, Spread};
pub use duplicates::Duplicates;
pub use manifold::{DENSITY_NEIGHBOURS, Manifold, PRECISION_NEIGHBOURS};
pub use pairs::{pairs_sheet, write_pairs_sheet};
pub use progress::{Progress, Step};
pub use report::{Images, Measures, Report, Share, Space, Variety};
pub use run::{Audit, MAX_VARIETY, NEIGHBOURS, Subject};
