//! What is streamed: all that the pipeline needs of a dataset, as plain values.

use std::borrow::Cow;

use super::batch::{Format, Indices, Latents};
use super::keep::{Keep, rows_are_moved};
use super::stored::Stored;
use super::views::{ViewAt, ViewGroup};
use crate::error::{Error, Kind, Result};
use crate::generate::{Contract, ImageFormat, InputContract, MAX_BLOCK_BYTES};
use crate::recipe::{Digest, Epochs, Group, Output, Recipe, Views};
use crate::sample::{BlockInputs, Echo, PixelSampler, Sampler, Source};
use crate::view::Delivery;

/// A dataset without its model and runtime. Sessions, or stand-ins for them, come from elsewhere.
#[derive(Debug)]
pub(super) struct Stream {
    /// What the generator is fed, if there is one.
    pub sampler: Option<Sampler>,
    /// What is read, if anything is; all of it where there is no sampler.
    pub stored: Option<Stored>,
    pub pixels: PixelSampler,
    /// What the generator makes, or what is stored.
    pub image: ImageFormat,
    /// Images that the views of a sample are made from.
    pub rows: usize,
    pub groups: Vec<ViewGroup>,
    /// The views that are made from each row of a sample.
    pub views_of_row: Vec<Vec<ViewAt>>,
    /// Whether views are the generator's rows, one after the other, in one group.
    pub plain: bool,
    /// Samples a block.
    pub block: u32,
    /// Which generated sample is delivered at an index.
    pub echo: Echo,
    /// What is kept for echoes, if there are any.
    pub keep: Option<Keep>,
    /// Whether later epochs show other images of the generator.
    pub fresh: bool,
    /// The first sample, and one past the last.
    pub start: u64,
    pub end: u64,
    pub digest: Digest,
    /// Bytes of the inputs of one block.
    pub input_bytes: u64,
    /// Bytes of the output that one session is bound to, or of what one reader holds.
    pub output_bytes: u64,
}

impl Stream {
    pub fn new(
        recipe: &Recipe,
        contract: &Contract,
        digest: Digest,
        sampler: Sampler,
    ) -> Result<Self> {
        let image = contract.image;
        let pixels = PixelSampler::new(recipe, [image.channels, image.height, image.width])?;
        let groups = groups(&recipe.views, &recipe.output, image, &pixels)?;
        check_block(recipe.generator.block, &groups)?;
        let echo = Echo::of(recipe);
        let keep = Keep::new(recipe, contract, echo, &groups)?;
        let views_of_row = views_of_row(&recipe.views, sampler.row_of_view(), sampler.rows());
        let rows = recipe.generator.block as usize * sampler.rows();
        let row: usize = contract.inputs.iter().map(InputContract::elements).sum();
        let values = contract.batch.rows_a_call(rows) * image.len();
        Ok(Self {
            plain: is_plain(sampler.row_of_view(), sampler.rows(), &groups),
            rows: sampler.rows(),
            sampler: Some(sampler),
            stored: None,
            pixels,
            image,
            groups,
            views_of_row,
            block: recipe.generator.block,
            echo,
            keep,
            fresh: recipe.views.epochs == Epochs::Fresh && rows_are_moved(recipe),
            start: 0,
            end: recipe.samples.end(),
            digest,
            input_bytes: (rows as u64).saturating_mul((row * size_of::<f32>()) as u64),
            output_bytes: (values as u64)
                .saturating_mul(contract.element.size_of().unwrap_or(8) as u64),
        })
    }

    /// Whether everything is read and nothing generated.
    pub fn is_stored(&self) -> bool {
        self.sampler.is_none()
    }

    /// The number in the store of the sample at `index`, if it is stored.
    pub fn stored_number(&self, index: u64) -> Option<u64> {
        self.stored.as_ref().and_then(|stored| stored.number(index))
    }

    /// Views of a sample, all groups together.
    pub fn views(&self) -> usize {
        self.views_of_row.iter().map(Vec::len).sum()
    }

    /// Draws what the generator is fed for the block that begins with generated sample `first`.
    ///
    /// # Panics
    /// If there is no generator.
    pub fn fill(&self, first: u64, epoch: u64, inputs: &mut BlockInputs) {
        let sampler = self.sampler.as_ref().expect("a generator is fed by a sampler");
        match self.stored.as_ref().and_then(|stored| stored.mixture.as_ref()) {
            None => sampler.fill(first, self.block, epoch, inputs),
            Some(mixture) => {
                let picks: Vec<u64> = mixture.generated(first).map(|at| first + at).collect();
                sampler.fill_each(picks.iter().copied(), epoch, inputs);
            }
        }
    }

    /// Whether samples have labels.
    pub fn has_labels(&self) -> bool {
        match (&self.sampler, &self.stored) {
            (Some(sampler), _) => sampler.has_labels(),
            (None, Some(stored)) => stored.store.has_labels(),
            (None, None) => false,
        }
    }

    /// The labels of some samples, if the dataset has any; -1 for one that has none.
    ///
    /// # Errors
    /// Those of the store.
    pub fn labels(&self, indices: &Indices) -> Result<Option<Vec<i64>>> {
        if !self.has_labels() {
            return Ok(None);
        }
        if let (Indices::Run(run), None, Some(Stored { store, mixture: None, .. })) =
            (indices, &self.sampler, &self.stored)
        {
            let mut labels = Vec::with_capacity(indices.len());
            store.labels(run.clone(), &mut labels)?;
            return Ok(Some(labels));
        }
        let one = |index| match (self.stored_number(index), &self.stored, &self.sampler) {
            (Some(number), Some(stored), _) => Ok(stored.store.label(number)?.unwrap_or(-1)),
            (_, _, Some(sampler)) => {
                Ok(sampler.label(self.echo.source(index).index).map_or(-1, i64::from))
            }
            _ => Ok(-1),
        };
        indices.iter().map(one).collect::<Result<_>>().map(Some)
    }

    /// Numbers in the latent of a view.
    pub fn latent_len(&self) -> usize {
        match (&self.sampler, &self.stored) {
            (Some(sampler), _) => sampler.latent_len(),
            (None, Some(stored)) => stored.store.latent_len(),
            (None, None) => 0,
        }
    }

    /// The latents of every view of some samples, `[samples, V, Z]`: NaN for one that has none.
    ///
    /// # Errors
    /// Those of the store.
    pub fn latents(&self, epoch: u64, indices: impl Iterator<Item = u64>) -> Result<Latents> {
        let (views, len) = (self.views(), self.latent_len());
        let (mut values, mut samples) = (Vec::new(), 0);
        let mut block = BlockInputs::default();
        for index in indices {
            samples += 1;
            let start = values.len();
            values.resize(start + views * len, f32::NAN);
            let out = &mut values[start..];
            match (self.stored_number(index), &self.stored, &self.sampler) {
                (Some(number), Some(stored), None) => stored.store.latents(number, out)?,
                (None, _, Some(sampler)) => {
                    sampler.fill_each(
                        std::iter::once(self.echo.source(index).index),
                        epoch,
                        &mut block,
                    );
                    let rows = sampler.row_of_view().iter();
                    for (row, out) in rows.zip(out.chunks_mut(len.max(1))) {
                        sampler.latent_of_row(&block, *row, out);
                    }
                }
                _ => {}
            }
        }
        Ok(Latents { values, shape: [samples, views, len] })
    }

    /// Whether nothing asks for a generated block after the delivery of `source`.
    pub fn leaves(&self, source: Source) -> bool {
        self.echo.is_last(source) && self.keep.as_ref().is_none_or(|keep| !keep.recurs)
    }

    /// How many of the samples of `range` are delivered for the first time in `epoch`.
    pub fn first_times(&self, epoch: u64, range: &std::ops::Range<u64>) -> u64 {
        match epoch == 0 || self.fresh {
            true => self.echo.unique(range.end) - self.echo.unique(range.start),
            false => 0,
        }
    }

    /// Bytes of one delivered sample, all groups together.
    pub fn sample_bytes(&self) -> usize {
        self.groups.iter().map(|group| group.format.sample_bytes()).sum()
    }
}

/// What each group delivers of a canvas or of an undrawn image.
pub(super) fn output_of<'o>(
    output: &'o Output,
    pixels: &PixelSampler,
    group: usize,
) -> Cow<'o, Output> {
    match pixels.normalise(group) {
        Some(normalise) => {
            Cow::Owned(Output { normalise: Some(normalise.clone()), ..output.clone() })
        }
        None => Cow::Borrowed(output),
    }
}

pub(super) fn groups(
    views: &Views,
    output: &Output,
    image: ImageFormat,
    pixels: &PixelSampler,
) -> Result<Vec<ViewGroup>> {
    let one = |(number, group): (usize, &Group)| {
        let drawn = !pixels.is_empty(number);
        let shape = pixels.image(number);
        let output = output_of(output, pixels, number);
        Ok(ViewGroup {
            name: group.name.as_str().into(),
            format: format_of(group.count as usize, shape, &output),
            delivery: match drawn {
                true => Delivery::of_canvas(shape, &output)?,
                false => Delivery::new(image, &output)?,
            },
            drawn,
            normalise: output.normalise.clone(),
        })
    };
    views.groups.iter().enumerate().map(one).collect()
}

pub(super) fn format_of(
    views: usize,
    [channels, height, width]: [usize; 3],
    output: &Output,
) -> Format {
    Format { views, channels, height, width, dtype: output.dtype, layout: output.layout }
}

pub(super) fn is_plain(row_of_view: &[usize], rows: usize, groups: &[ViewGroup]) -> bool {
    groups.len() == 1 && !groups[0].drawn && row_of_view.iter().copied().eq(0..rows)
}

/// What a block delivers has the limit of what the generator makes for it. Neither bounds the
/// other: a thousand views may share one generated image, and a crop may be larger than its source.
pub(super) fn check_block(block: u32, groups: &[ViewGroup]) -> Result<()> {
    let bytes = groups
        .iter()
        .try_fold(0_u64, |sum, group| sum.checked_add(group.format.sample_bytes() as u64))
        .and_then(|sample| sample.checked_mul(block.into()));
    if bytes.is_some_and(|bytes| bytes <= MAX_BLOCK_BYTES) {
        return Ok(());
    }
    let views: usize = groups.iter().map(|group| group.format.views).sum();
    let gib = MAX_BLOCK_BYTES >> 30;
    Err(Error::new(
        Kind::Limit,
        format!("the {views} views of each of the {block} samples of a block would take more than {gib} GiB"),
    )
    .help("make generator.block, views.count or the sizes of the views smaller"))
}

pub(super) fn views_of_row(views: &Views, row_of_view: &[usize], rows: usize) -> Vec<Vec<ViewAt>> {
    let mut of_row = vec![Vec::new(); rows];
    let places = views
        .groups
        .iter()
        .enumerate()
        .flat_map(|(group, views)| (0..views.count as usize).map(move |view| (group, view)));
    for (number, ((group, view), row)) in places.zip(row_of_view).enumerate() {
        of_row[*row].push(ViewAt { group, view, number });
    }
    of_row
}
