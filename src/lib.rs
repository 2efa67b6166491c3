//! A generator where the dataset was.

pub mod error;
pub mod graph;

pub use error::{Error, Kind, Result};
