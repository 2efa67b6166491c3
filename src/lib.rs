//! A generator where the dataset was.
//!
//! A pretrained generative model, exported to ONNX, replaces an image dataset: latents are drawn,
//! the generator is run through ONNX Runtime, every sample becomes several views, and batches come
//! out through the interface that a dataset and its loader would have.
//!
//! ```
//! use genset::Dataset;
//!
//! # fn main() -> genset::Result<()> {
//! let dataset = Dataset::open("builtin:digits")?;
//!
//! // Random access: any index, no pass over what comes before.
//! let sample = dataset.get(12_345)?;
//! assert_eq!(sample.images().shape(), [1, 2, 1, 28, 28]); // [B, V, C, H, W]
//!
//! // A stream: the same bytes, whatever the batch size, workers or ranks.
//! let mut loader = dataset.loader().batch(64).workers(2).build()?;
//! for batch in loader.by_ref().take(3) {
//!     let batch = batch?;
//!     let (images, labels) = (batch.images().as_u8(), batch.labels());
//!     assert_eq!(images.map(|i| i.dim()), Some((64, 2, 1, 28, 28)));
//!     assert_eq!(labels.map(<[i64]>::len), Some(64));
//! }
//!
//! // State is one number: go on later with another batch size.
//! let state = loader.state();
//! assert_eq!(state.next, 3 * 64);
//! let resumed = dataset.loader().batch(100).resume(state).build()?;
//! # drop(resumed);
//! # Ok(())
//! # }
//! ```
//!
//! The rooms, in the order in which data flows through them; each may use those above it:
//!
//! | room | what it does |
//! |---|---|
//! | [`recipe`] | what the dataset is: TOML in, a checked recipe and its digest out |
//! | [`sample`] | index to plan: counter-based random numbers, latents and their moves, walks, pools, edits, classes, pixel steps, echoes |
//! | [`graph`] | ONNX models as values: read, checked, asked, edited, written; shapes, rewrites, linear layers; put together and differentiated |
//! | [`runtime`] | ONNX Runtime: found or installed; providers, sessions and tensors |
//! | [`generate`] | latents to images: contract, generator, doctor; how a graph is executed, and profiles |
//! | [`view`] | images to views: crops, colour, blur, …; range, type, layout; contact sheets |
//! | [`codec`] | pictures as files hold them: raw, JPEG, PNG, WebP; decoded to where they are wanted, encoded |
//! | [`load`] | the pipeline: [`Dataset`], [`Loader`], [`Batch`]; several tensors a batch, echoes, statistics |
//! | [`shard`] | to disk and back: safetensors, WebDataset, MDS; export, verify |
//! | [`source`] | real data: image folders, tar, IDX, NumPy, CIFAR |
//! | [`train`] | the encoder: losses, step graph, optimizer, schedule, checkpoints |
//! | [`open`] | what a path is: recipe, shards or images, and the dataset that it makes |
//! | [`inspect`](mod@inspect) | what a generator is, what is wrong with it, and a recipe for it |
//! | `metrics` | a loader's statistics for Prometheus (feature `metrics`); uses `load`, nothing uses it but `cli` |
//! | [`directions`] | directions in latent space: found, measured, written for steering |
//! | [`evaluate`] | what an encoder is worth: linear and nearest-neighbour probes of its features; what a generated dataset must prove: copies, variety, what edits do to attributes |
//! | [`bench`](mod@bench) | throughput against its ceiling, and against stored images; rewrites, sessions and threads that compete |

pub mod bench;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod codec;
pub mod directions;
pub mod error;
pub mod evaluate;
pub mod generate;
pub mod graph;
pub mod inspect;
pub mod load;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod open;
mod process;
pub mod recipe;
pub mod runtime;
pub mod sample;
pub mod shard;
pub mod source;
mod svg;
pub mod train;
pub mod view;
mod whole_file;

pub use error::{Error, Kind, Result};
pub use load::{Batch, Dataset, Loader};
