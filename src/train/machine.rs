//! What makes steps: the step graph on the ONNX Runtime that generates too, or ONNX Runtime's training
//! API.

use std::borrow::Cow;
use std::fmt;

use super::design::{Design, KEEP, LABEL, LATENT, RATE, SOURCE, STEP, images_dims, images_name};
use super::values::element;
use super::variable::Variable;
use crate::error::Result;
use crate::graph::Element;
use crate::load::{Batch, Images};
use crate::runtime::Tensor;

/// An encoder and everything that is trained with it, step by step.
pub(super) trait Machine: fmt::Debug + Send {
    /// What changes, in the order of [`Machine::values`].
    fn variables(&self) -> &[Variable];

    /// What the variable at `place` is now.
    ///
    /// # Errors
    /// Those of the runtime.
    fn values(&self, place: usize) -> Result<Cow<'_, [f32]>>;

    /// Sets the variable at `place`.
    ///
    /// # Errors
    /// Those of the runtime.
    ///
    /// # Panics
    /// If the values do not fit.
    fn set(&mut self, place: usize, values: &[f32]) -> Result<()>;

    /// One step over as many batches as are accumulated.
    ///
    /// # Errors
    /// Those of the runtime.
    ///
    /// # Panics
    /// If there are more or fewer batches, or they are of other sizes.
    fn step(&mut self, batches: &[Feed<'_>], pace: Pace) -> Result<Measured>;

    /// The ONNX Runtime that makes the steps, where it is another than everything else runs on.
    fn runtime(&self) -> Option<String> {
        None
    }

    /// What has to be kept beside the variables to go on; empty if that is nothing.
    ///
    /// # Errors
    /// Those of the runtime.
    fn memory(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Goes back to what [`Machine::memory`] gave; variables are set after it.
    ///
    /// # Errors
    /// Those of the runtime.
    fn remember(&mut self, _memory: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// What a step says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The loss before the step, a mean over its batches.
    pub loss: f32,
    /// The norm of all gradients together, before clipping.
    pub norm: f32,
    /// 1 if embeddings are spread over the sphere, 0 if they collapsed.
    pub spread: f32,
}

impl Measured {
    /// Of the batches of one step: mean loss and spread. The last norm is that of all together.
    pub(super) fn of(batches: impl ExactSizeIterator<Item = Result<Self>>) -> Result<Self> {
        let count = batches.len() as f32;
        let mut sum = Self { loss: 0.0, norm: 0.0, spread: 0.0 };
        for one in batches {
            let one = one?;
            sum.loss += one.loss;
            sum.spread += one.spread;
            sum.norm = one.norm;
        }
        Ok(Self { loss: sum.loss / count, spread: sum.spread / count, ..sum })
    }
}

/// What is fed at every step beside a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The number of the step, from 1.
    pub step: u64,
    /// The learning rate.
    pub rate: f64,
    /// The share of the slow copy that stays.
    pub keep: f64,
}

/// What one batch feeds.
#[derive(Debug, Clone, Default)]
pub(super) struct Feed<'a> {
    /// The images of each group, as they are delivered.
    pub images: Vec<&'a [u8]>,
    /// The class of each sample.
    pub labels: Option<&'a [i64]>,
    /// The generated sample that each is a delivery of.
    pub sources: Vec<i64>,
    /// `[B, V, Z]`.
    pub latents: Option<&'a [f32]>,
}

impl<'a> Feed<'a> {
    /// That of a batch that a loader delivered.
    pub fn of(batch: &'a Batch) -> Self {
        Self {
            images: batch.groups().iter().map(Images::bytes).collect(),
            labels: batch.labels(),
            sources: batch.sources().iter().map(|&source| source.cast_signed()).collect(),
            latents: batch.latents().and_then(|latents| latents.to_slice()),
        }
    }
}

/// The tensors that a batch is written to, with the names of the inputs that read them: the images of each
/// group first.
#[derive(Debug)]
pub(super) struct Inputs(Vec<(String, Tensor)>);

impl Inputs {
    /// Those of `design`, of which a graph may read some only.
    ///
    /// # Errors
    /// Those of the runtime.
    pub fn new(design: &Design<'_>) -> Result<Self> {
        let batch = design.batch;
        let views: usize = design.groups.iter().map(|group| group.views).sum();
        let images = design.groups.iter().map(|group| {
            let dims = images_dims(group, batch);
            Ok((images_name(group), Tensor::new(element(group.form.dtype), &dims)?))
        });
        let mut all = images.collect::<Result<Vec<_>>>()?;
        let others: [(_, _, &[usize]); 6] = [
            (LABEL, Element::I64, &[batch]),
            (SOURCE, Element::I64, &[batch]),
            (LATENT, Element::F32, &[batch, views, design.latent]),
            (RATE, Element::F32, &[]),
            (STEP, Element::F32, &[]),
            (KEEP, Element::F32, &[]),
        ];
        for (name, element, dims) in others {
            all.push((name.to_owned(), Tensor::new(element, dims)?));
        }
        Ok(Self(all))
    }

    /// All of them, with their names.
    pub fn all(&self) -> &[(String, Tensor)] {
        &self.0
    }

    /// The one called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find_map(|(other, tensor)| (other == name).then_some(tensor))
    }

    /// Writes a batch and the pace, as much as there is of them.
    ///
    /// # Errors
    /// Those of the runtime.
    pub fn write(&mut self, batch: &Feed<'_>, pace: Pace) -> Result<()> {
        for ((_, tensor), images) in self.0.iter_mut().zip(&batch.images) {
            tensor.bytes_mut()?.copy_from_slice(images);
        }
        if let Some(labels) = batch.labels {
            self.put(LABEL, |tensor| tensor.write_integers(0, labels))?;
        }
        self.put(SOURCE, |tensor| tensor.write_integers(0, &batch.sources))?;
        if let Some(latents) = batch.latents {
            self.put(LATENT, |tensor| tensor.write_floats(0, latents))?;
        }
        for (name, value) in [(RATE, pace.rate), (STEP, pace.step as f64), (KEEP, pace.keep)] {
            self.put(name, |tensor| tensor.write_doubles(0, &[value]))?;
        }
        Ok(())
    }

    fn put(&mut self, name: &str, to: impl FnOnce(&mut Tensor) -> Result<()>) -> Result<()> {
        let found = self.0.iter_mut().find(|(other, _)| other == name);
        found.map_or(Ok(()), |(_, tensor)| to(tensor))
    }
}
