//! A generator where the dataset was.

pub mod error;
pub mod recipe;

pub use error::{Error, Kind, Result};
