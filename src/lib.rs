//! A generator where the dataset was.

pub mod bench;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod error;
pub mod generate;
pub mod graph;
pub mod load;
pub mod recipe;
pub mod runtime;
pub mod sample;
pub mod view;

pub use error::{Error, Kind, Result};
pub use load::{Batch, Dataset, Loader};
