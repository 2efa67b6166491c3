//! What is streamed: all that the pipeline needs of a dataset, as plain values.

use super::batch::Format;
use super::keep::{Keep, rows_are_moved};
use super::views::{ViewAt, ViewGroup};
use crate::error::{Error, Kind, Result};
use crate::generate::{Contract, ImageFormat, InputContract, MAX_BLOCK_BYTES};
use crate::recipe::{Digest, Epochs, Output, Recipe};
use crate::sample::{Echo, PixelSampler, Sampler, Source};
use crate::view::Delivery;

/// A dataset without its model and runtime. Sessions, or stand-ins for them, come from elsewhere.
#[derive(Debug)]
pub(super) struct Stream {
    pub sampler: Sampler,
    pub pixels: PixelSampler,
    /// What the generator makes.
    pub image: ImageFormat,
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
    ) -> Result<Self> {
        let image = contract.image;
        let pixels = PixelSampler::new(recipe, [image.channels, image.height, image.width])?;
        let groups = groups(recipe, image, &pixels)?;
        check_block(recipe.generator.block, &groups)?;
        let echo = Echo::of(recipe);
        let keep = Keep::new(recipe, contract, echo, &groups)?;
        let views_of_row = views_of_row(recipe, &sampler);
        let rows = recipe.generator.block as usize * sampler.rows();
        let row: usize = contract.inputs.iter().map(InputContract::elements).sum();
        let values = contract.batch.rows_a_call(rows) * image.len();
        let in_turn = sampler.row_of_view().iter().copied().eq(0..sampler.rows());
        Ok(Self {
            plain: in_turn && groups.len() == 1 && !groups[0].drawn,
            sampler,
            pixels,
            image,
            groups,
            views_of_row,
            block: recipe.generator.block,
            echo,
            keep,
            fresh: recipe.views.epochs == Epochs::Fresh && rows_are_moved(recipe),
            end: recipe.samples.end(),
            digest,
            input_bytes: (rows as u64).saturating_mul((row * size_of::<f32>()) as u64),
            output_bytes: (values as u64)
                .saturating_mul(contract.element.size_of().unwrap_or(8) as u64),
        })
    }

    /// Views of a sample, all groups together.
    pub fn views(&self) -> usize {
        self.sampler.row_of_view().len()
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

fn groups(recipe: &Recipe, image: ImageFormat, pixels: &PixelSampler) -> Result<Vec<ViewGroup>> {
    let one = |(number, group): (usize, &crate::recipe::Group)| {
        let drawn = !pixels.is_empty(number);
        let [channels, height, width] = pixels.image(number);
        let output = match pixels.normalise(number) {
            Some(normalise) => {
                Output { normalise: Some(normalise.clone()), ..recipe.output.clone() }
            }
            None => recipe.output.clone(),
        };
        Ok(ViewGroup {
            name: group.name.as_str().into(),
            format: Format {
                views: group.count as usize,
                channels,
                height,
                width,
                dtype: output.dtype,
                layout: output.layout,
            },
            delivery: match drawn {
                true => Delivery::of_canvas([channels, height, width], &output)?,
                false => Delivery::new(image, &output)?,
            },
            drawn,
        })
    };
    recipe.views.groups.iter().enumerate().map(one).collect()
}

/// What a block delivers has the limit of what the generator makes for it. Neither bounds the
/// other: a thousand views may share one generated image, and a crop may be larger than its source.
fn check_block(block: u32, groups: &[ViewGroup]) -> Result<()> {
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

fn views_of_row(recipe: &Recipe, sampler: &Sampler) -> Vec<Vec<ViewAt>> {
    let mut rows = vec![Vec::new(); sampler.rows()];
    let places = recipe
        .views
        .groups
        .iter()
        .enumerate()
        .flat_map(|(group, views)| (0..views.count as usize).map(move |view| (group, view)));
    for (number, ((group, view), row)) in places.zip(sampler.row_of_view()).enumerate() {
        rows[*row].push(ViewAt { group, view, number });
    }
    rows
}
