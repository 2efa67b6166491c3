//! ONNX Runtime: find it or install it, check it, open it once.
//!
//! What comes in is a [`Search`]: perhaps a path, and whether to install when nothing is found.
//! What goes out is the one [`Runtime`] of this process. The room promises that a library that is
//! missing, cut short, too old or built for another machine is an error with a next step: every
//! file is looked at before it is loaded, and every version is asked for before anything uses it.
//!
//! ```no_run
//! use genset::runtime::{Runtime, Search};
//!
//! let runtime = Runtime::open(&Search::default())?;
//! println!("ONNX Runtime {} from {}", runtime.version(), runtime.path().display());
//! # Ok::<(), genset::Error>(())
//! ```
//!
//! This is the only room that names `ort`.

mod append;
mod bytes;
mod cache;
mod child;
mod engines;
mod entry;
mod image_model;
mod install;
mod library;
mod locate;
mod nvidia;
mod open;
mod operator;
mod options;
mod package;
mod pins;
mod placement;
mod plugin;
mod precision;
mod probe;
mod processor;
mod provider;
mod python;
mod session;
mod tensor;
mod training;

pub use cache::cache_folder;
pub use image_model::ImageModel;
pub use install::{install, installed};
pub use locate::{Candidate, Origin, Search, Verdict, candidates};
pub use open::Runtime;
pub(crate) use operator::{Call, Operator, Threads};
pub use options::ProviderOption;
pub use package::Package;
pub use placement::Placement;
pub use plugin::ProviderDevice;
pub use precision::check_precision;
pub use probe::{Probe, probe, probe_apart};
pub use provider::Provider;
pub use session::{ModelSource, Port, Session, SessionOptions};
pub use tensor::{Tensor, TensorView};
pub use training::{Outputs, TrainingProcess};

use crate::error::{Error, Kind};

/// The oldest ONNX Runtime that this build can use: 1.24, as 1.`OLDEST_MINOR`.
const OLDEST_MINOR: u32 = ort::MINOR_VERSION;

/// The next step for every error that a working library would cure.
const INSTALL_HELP: &str = "`genset runtime install` fetches one that works";

/// An error of the runtime itself, with its reason on one line.
fn failed<R>(error: &ort::Error<R>, what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Runtime, format!("{what}: {}", session::one_line(error.message())))
}
