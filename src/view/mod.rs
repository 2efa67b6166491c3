//! Images to views: what the generator made becomes what the consumer gets.
//!
//! One pass over each image turns the generator's element type, value range and layout into the
//! delivered ones and refuses values that no image may have (NaN, infinity). The room is pure:
//! rows in, bytes out.

mod deliver;
pub mod sheet;

pub use deliver::{BadValue, Delivery};
