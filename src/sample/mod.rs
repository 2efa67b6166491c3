//! Index to plan: what a generator is fed for a sample, as a pure function of seed and index.
//!
//! A [`Sampler`] comes from a checked recipe and the sizes of the generator's inputs. For any
//! index it gives the label and, view by view, the values of every input: the anchor latent is
//! drawn from a counter-based generator, latent ops move it, edits set coordinates of it, classes and
//! noise are shared by all views of a sample unless an op draws them anew. Equal inputs give equal bits on every machine, in
//! any order of asking.
//!
//! A [`PixelSampler`] does the same for the image: it draws the [`Step`]s that turn the generator's
//! image into one view.
//!
//! Streams are keyed by the recipe's seed, not by its whole digest: the same seed gives the same
//! latents to a rewritten model, another view setting or another output type, so that such
//! things can be compared image by image.

mod block;
mod class;
mod drawn;
mod dual;
mod echo;
mod edit;
mod geometry;
mod latent;
mod mix;
mod moves;
mod noise;
mod normal;
mod order;
mod pixel;
mod place;
mod plan;
mod pool;
mod random;
mod redraws;
mod resample;
mod steer;
mod step;
mod walk;

pub use block::{BlockInputs, Column};
pub use drawn::{Drawn, Plan, PlannedEdit, PlannedInput, PlannedView};
pub use echo::{Echo, Source};
pub use mix::Mixture;
pub(crate) use noise::Noise;
pub use order::Order;
pub use pixel::PixelSampler;
pub use plan::Sampler;
pub(crate) use plan::rows_of_views;
pub(crate) use random::Stream as RandomWords;
pub use step::{Fill, Step};
pub use walk::{MAX_WALK_BYTES, MAX_WALK_STEPS, WALK_FORMAT, Walks};
