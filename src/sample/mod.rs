//! Index to plan: what a generator is fed for a sample, as a pure function of seed and index.
//!
//! A [`Sampler`] comes from a checked recipe and the sizes of the generator's inputs. For any
//! index it gives the label and, view by view, the values of every input: the anchor latent is
//! drawn from a counter-based generator, latent ops move it, classes and noise are shared by all
//! views of a sample. Equal inputs give equal bits on every machine, in any order of asking.
//!
//! A [`PixelSampler`] does the same for the image: it draws the [`Step`]s that turn the generator's
//! image into one view.
//!
//! Streams are keyed by the recipe's seed, not by its whole digest: the same seed gives the same
//! latents to a rewritten model, another view setting or another output type, so that such
//! things can be compared image by image.

mod class;
mod latent;
mod normal;
mod pixel;
mod pixel_draw;
mod pixel_fit;
mod plan;
mod random;
mod step;

pub use pixel::PixelSampler;
pub use plan::{BlockInputs, Column, Plan, PlannedInput, Sampler};
pub use step::{Fill, Step};
