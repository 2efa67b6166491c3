//! A generator where the dataset was.

pub mod error;

pub use error::{Error, Kind, Result};
