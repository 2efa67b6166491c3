//! The pipeline: from a recipe to batches, in order, bounded, the same bytes every time.
//!
//! A [`Dataset`] joins recipe, model and runtime and gives any sample by its index. Its
//! [`Loader`] streams them: one thread plans blocks (latents, labels, where each image goes), the
//! workers run one generator session each and write delivered images straight into batch
//! buffers, the consumer takes batches in order. `README.md` in this folder draws it.
//!
//! The room knows threads but no file formats.

mod access;
mod batch;
mod builder;
mod clock;
mod counters;
mod credits;
mod dataset;
mod digest;
mod echoed;
mod generated;
mod keep;
mod limit;
mod loader;
mod memory;
mod messages;
mod monitor;
mod planner;
mod pool;
mod rate;
mod replay;
mod settings;
mod shares;
mod state;
mod statistics;
mod store;
mod stored;
mod stored_stream;
mod stream;
mod sync;
#[cfg(test)]
mod tests;
mod tile;
mod views;
mod worker;

pub(crate) use access::BlockMaker;
pub use access::{BlockStore, Kept};
pub use batch::{Batch, EachIndex, Images, Indices, Parts};
pub use builder::LoaderBuilder;
pub use dataset::{Dataset, Mixed, StoredViews};
pub use digest::SampleDigests;
pub use generated::{Generated, Options, read_model, read_recipe};
pub use limit::Stage;
pub use loader::{Loader, Skipped};
pub use monitor::Monitor;
pub use settings::DEFAULT_MEMORY;
pub(crate) use settings::rank_from_environment;
pub use state::{State, Stop};
pub use statistics::{CacheStatistics, Occupancy, Queues, Statistics};
pub(crate) use store::each_label;
pub use store::{Caching, GroupForm, Store, StoreReader};
