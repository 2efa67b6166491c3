//! What is streamed: all that the pipeline needs of a dataset, as plain values.

use super::batch::Format;
use crate::generate::{Contract, InputContract};
use crate::recipe::{Digest, Recipe};
use crate::sample::Sampler;
use crate::view::Delivery;

/// A dataset without its model and runtime. Sessions, or stand-ins for them, come from elsewhere.
#[derive(Debug)]
pub(super) struct Stream {
    pub sampler: Sampler,
    pub delivery: Delivery,
    pub format: Format,
    /// Samples a block.
    pub block: u32,
    /// One past the last sample.
    pub end: u64,
    pub digest: Digest,
    /// Bytes of the inputs of one block.
    pub input_bytes: u64,
    /// Bytes of the output that one session is bound to.
    pub output_bytes: u64,
}

impl Stream {
    pub fn new(
        recipe: &Recipe,
        contract: &Contract,
        digest: Digest,
        sampler: Sampler,
        delivery: Delivery,
    ) -> Self {
        let image = &contract.image;
        let rows = recipe.generator.block as usize * recipe.views.rows() as usize;
        let row: usize = contract.inputs.iter().map(InputContract::elements).sum();
        let pixels = contract.batch.rows_a_call(rows) * image.len();
        Self {
            sampler,
            delivery,
            format: Format {
                views: recipe.views.count() as usize,
                channels: image.channels,
                height: image.height,
                width: image.width,
                dtype: recipe.output.dtype,
                layout: recipe.output.layout,
            },
            block: recipe.generator.block,
            end: recipe.samples.end(),
            digest,
            input_bytes: (rows as u64).saturating_mul((row * size_of::<f32>()) as u64),
            output_bytes: (pixels as u64)
                .saturating_mul(contract.element.size_of().unwrap_or(8) as u64),
        }
    }
}
