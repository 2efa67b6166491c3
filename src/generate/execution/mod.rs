//! How a generator is executed: which edits of its graph are taken, and the model that comes out.
//!
//! A model and what a recipe makes of it come in. [`Offers`] says which [`Edit`]s fit, a
//! [`Rewrites`] which of them are wanted, and an [`Execution`] is the model with those carried out,
//! with its contract. Edits are exact in real arithmetic, but rounding may differ, and with it low
//! bits of what is delivered. So which are taken never depends on a time measured when a dataset is
//! opened: it is what was asked for, or what a stored [`Profile`] says, or a fixed rule.

mod choose;
mod edit;
mod offers;
mod profile;
mod rule;

pub use choose::{Asked, Rewrites};
pub use edit::{Change, Edit};
pub use offers::{Execution, Offers};
pub use profile::{Profile, ProfileKey, provider_names};
