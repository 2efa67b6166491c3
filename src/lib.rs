//! A generator where the dataset was.

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod error;
pub mod recipe;
pub mod runtime;
pub mod sample;

pub use error::{Error, Kind, Result};
