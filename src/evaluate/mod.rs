//! What a trained encoder is worth: how well real classes can be told from its frozen features. And
//! what a generated dataset must prove, in [`audit`].
//!
//! An encoder, training images and test images come in, a [`Report`] goes out: the accuracy of a
//! linear classifier and of nearest neighbours with intervals, and how much better that is than raw
//! pixels and the same encoder with random parameters. Equal bytes give equal reports on a machine,
//! whatever the number of threads: every sum has an order of its own. Test images choose nothing.
//!
//! The way of an image: `extract` takes it from a loader, `pixels` brings it into the values that the
//! encoder expects, `encoder` runs it; `features` is what comes of all of them. `neighbours` and
//! `linear` (with `logistic`, the loss, and `minimise`, the solver) learn to tell the classes that
//! `classes` found, `interval` says how sure the result is, `probe` puts it all together. `tiles`
//! compares every image with every other.
//!
//! ```no_run
//! use genset::Dataset;
//! use genset::evaluate::Probe;
//! use genset::graph::Model;
//! use genset::load::{Options, Stop};
//!
//! # fn main() -> genset::Result<()> {
//! let encoder = Model::read("encoder.onnx".as_ref())?;
//! let train = Dataset::open("mnist/train-images-idx3-ubyte")?;
//! let test = Dataset::open("mnist/t10k-images-idx3-ubyte")?;
//! let report = Probe::default().run(
//!     &encoder,
//!     [&train, &test],
//!     &Options::default(),
//!     &Stop::new(),
//!     &mut |_| {},
//! )?;
//! if let Some(linear) = &report.features.linear {
//!     println!("{:.2} %", 100.0 * linear.accuracy.value);
//! }
//! # Ok(())
//! # }
//! ```

pub mod attribute;
pub mod audit;
mod classes;
mod counter;
mod encoder;
mod extract;
mod features;
mod interval;
mod linear;
mod logistic;
mod minimise;
mod neighbours;
mod pixels;
mod probe;
mod report;
mod tiles;

pub use features::Features;
pub use interval::{Accuracy, Difference};
pub use linear::{Regularisation, STRENGTHS, Tried};
pub use neighbours::TEMPERATURE;
pub use probe::{FEATURE_MEMORY, NEIGHBOURS, Probe, Progress, Step, Tell};
pub use report::{
    Baseline, Class, Data, Differences, LinearOutcome, NeighbourOutcome, Outcome, Report,
};
