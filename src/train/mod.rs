//! The encoder: an ONNX model that learns from delivered views, without any other framework.
//!
//! An [`Encoder`] as people export it and a [`Dataset`](crate::load::Dataset) come in; the same
//! encoder with trained parameters goes out. `design` puts the loss together: `values` brings what is
//! delivered into what the encoder expects, the encoder itself is copied in its training form, `head`
//! puts layers behind it, `objective` says how good the embeddings are. One training step is an
//! ordinary ONNX model too, the *step graph* (`step`): the `graph` room differentiates the loss, and
//! `optimizer` moves the parameters. `trainer` runs it, with every variable bound where it is.
//! `loss_graph` and `ort_training` are the other [`Backend`], ONNX Runtime's own training. `machine` is
//! what the two have in common; `run` is the loop around, with `schedule`, `record`, `plot`, and `checkpoint`, from which a run goes on to the same bits.
//!
//! ```no_run
//! use genset::Dataset;
//! use genset::train::{Encoder, Settings, Training};
//!
//! # fn main() -> genset::Result<()> {
//! let dataset = Dataset::open("builtin:digits")?;
//! let encoder = Encoder::read("encoder.onnx".as_ref(), None)?;
//! let training = Training::new(Settings::default(), dataset.generated()?.runtime());
//! let trained = training.run(&dataset, &encoder, "run".as_ref(), &mut |_| {})?;
//! println!("{} steps: {}", trained.steps, trained.path.display());
//! # Ok(())
//! # }
//! ```

mod architecture;
mod backend;
mod checkpoint;
mod design;
mod encoder;
mod head;
mod kernel;
mod loss_graph;
mod machine;
mod numbers;
mod objective;
mod optimizer;
mod ort_training;
mod plot;
mod record;
mod run;
mod schedule;
mod settings;
mod step;
mod stepper;
#[cfg(test)]
mod tests;
mod trainer;
mod values;
mod variable;

pub use self::architecture::Architecture;
pub use self::backend::Backend;
pub use self::encoder::Encoder;
pub use self::machine::Measured;
pub use self::objective::{OBJECTIVES, Objective};
pub use self::optimizer::{OPTIMIZERS, Optimizer};
pub use self::record::Line;
pub use self::run::{Probe, Trained, Training};
pub use self::schedule::Schedule;
pub use self::settings::{DEFAULT_BATCH, DEFAULT_STEPS, Settings};
pub use self::stepper::Stepper;
