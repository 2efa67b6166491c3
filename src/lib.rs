//! A generator where the dataset was.

pub mod error;
pub mod recipe;
pub mod sample;

pub use error::{Error, Kind, Result};
