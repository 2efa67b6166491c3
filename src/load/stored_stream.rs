//! Streams of which something is stored: all of it, or some samples among generated ones.

use std::sync::Arc;

use super::store::{GroupForm, Store};
use super::stored::{Stored, StoredForm};
use super::stream::{Stream, check_block, format_of, groups, is_plain, output_of, views_of_row};
use super::views::ViewGroup;
use crate::codec::RawForm;
use crate::error::{Error, Kind, Result};
use crate::generate::ImageFormat;
use crate::recipe::{Digest, Dtype, Epochs, Group, Layout, Mix, OnBad, Output, Recipe, Views};
use crate::sample::{Echo, Mixture, PixelSampler, rows_of_views};
use crate::view::Delivery;

/// Bytes of stored samples that a worker reads at once: few enough for its cache.
const STORED_BLOCK_BYTES: usize = 512 << 10;
/// The same where they are only copied, and no cache matters: so many that handing them on costs
/// nothing beside that.
const COPIED_BLOCK_BYTES: usize = 2 << 20;
/// Samples of a block of stored samples at most.
const MAX_STORED_BLOCK: u32 = 1024;

impl Stream {
    /// The same stream with stored images in some places.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if the recipe's ratio does not fit its block.
    ///
    /// # Panics
    /// If the store's images are not 8-bit images of the generator's size, one a sample.
    pub fn mixed(mut self, recipe: &Recipe, mix: &Mix, store: Arc<dyn Store>) -> Result<Self> {
        let [group] = store.groups() else { panic!("one picture a sample") };
        let image = stored_image(group);
        assert_eq!((group.views, group.form.dtype), (1, Dtype::U8), "bytes");
        assert_eq!(image.len(), self.image.len(), "the generator's size");
        let deliveries = deliveries(&recipe.output, image, &self.pixels)?;
        let samples = store.samples();
        let mixture = Mixture::new(recipe, mix, samples.end - samples.start)?;
        if let Some(index) = recipe.exclude.iter().find(|index| mixture.real(**index).is_some()) {
            let message = format!("sample {index} is a stored image, which cannot be drawn anew");
            return Err(Error::new(Kind::Recipe, message)
                .at("exclude")
                .help("leave it out of the list, or take its image out of the folder"));
        }
        self.stored = Some(Stored {
            store,
            form: StoredForm::Rows(deliveries),
            copies: false,
            on_bad: mix.on_bad,
            mixture: Some(mixture),
        });
        Ok(self)
    }

    /// A stream of stored samples, delivered as they are.
    pub fn as_stored(store: Arc<dyn Store>, on_bad: OnBad, digest: Digest) -> Result<Self> {
        let counts = |group: &GroupForm| Group {
            name: group.name.clone(),
            count: u32::try_from(group.views).unwrap_or(u32::MAX),
            ..Group::default()
        };
        let groups: Vec<Group> = store.groups().iter().map(counts).collect();
        let views = Views { epochs: Epochs::Same, groups };
        let first = stored_image(&store.groups()[0]);
        let pixels = PixelSampler::of_views(0, &views, store.groups()[0].form.planes())?;
        let format = |group: &GroupForm| {
            let (image, output) = (stored_image(group), stored_output(group));
            Ok(ViewGroup {
                name: group.name.as_str().into(),
                format: format_of(group.views, group.form.planes(), &output),
                delivery: Delivery::new(image, &output)?,
                drawn: false,
                normalise: None,
            })
        };
        let groups = store.groups().iter().map(format).collect::<Result<_>>()?;
        Self::of_store(store, StoredForm::Delivered, on_bad, digest, first, &views, pixels, groups)
    }

    /// A stream of views of stored 8-bit images.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if the views do not fit the images.
    ///
    /// # Panics
    /// If the store has several groups, or other than bytes.
    pub fn of_stored_rows(
        store: Arc<dyn Store>,
        on_bad: OnBad,
        digest: Digest,
        seed: u64,
        views: &Views,
        output: &Output,
    ) -> Result<Self> {
        let [group] = store.groups() else { panic!("one group") };
        assert_eq!(group.form.dtype, Dtype::U8, "bytes");
        let image = stored_image(group);
        let pixels = PixelSampler::of_views(seed, views, group.form.planes())?;
        let groups = groups(views, output, image, &pixels)?;
        let form = StoredForm::Rows(Vec::new());
        Self::of_store(store, form, on_bad, digest, image, views, pixels, groups)
    }

    #[allow(clippy::too_many_arguments, reason = "what the two above have in common")]
    fn of_store(
        store: Arc<dyn Store>,
        form: StoredForm,
        on_bad: OnBad,
        digest: Digest,
        image: ImageFormat,
        views: &Views,
        pixels: PixelSampler,
        groups: Vec<ViewGroup>,
    ) -> Result<Self> {
        let stored: usize = store.groups().iter().map(|group| group.views).sum();
        let row_of_view = stored_row_of_view(views, stored)?;
        let sample: usize = store.groups().iter().map(GroupForm::sample_bytes).sum();
        // What is read does not depend on the block, so it is chosen for the memory of a worker.
        let samples = store.samples();
        let first = samples.start..samples.start + 1;
        let copies = matches!(form, StoredForm::Delivered) && store.mapped(first, 0)?.is_some();
        let bytes = if copies { COPIED_BLOCK_BYTES } else { STORED_BLOCK_BYTES };
        let block = u32::try_from(bytes / sample.max(1)).unwrap_or(u32::MAX);
        let block = block.clamp(1, MAX_STORED_BLOCK);
        check_block(block, &groups)?;
        let read = match form {
            StoredForm::Delivered => 0,
            StoredForm::Rows(_) => sample as u64 * u64::from(block),
        };
        Ok(Self {
            sampler: None,
            plain: is_plain(&row_of_view, stored, &groups),
            rows: stored,
            views_of_row: views_of_row(views, &row_of_view, stored),
            stored: Some(Stored { store, form, copies, on_bad, mixture: None }),
            pixels,
            image,
            groups,
            block,
            echo: Echo::none(block),
            keep: None,
            fresh: false,
            start: samples.start,
            end: samples.end,
            digest,
            input_bytes: 0,
            output_bytes: read,
        })
    }
}

/// How each group would deliver images of another format without drawing.
fn deliveries(output: &Output, image: ImageFormat, pixels: &PixelSampler) -> Result<Vec<Delivery>> {
    let one = |group| Delivery::new(image, &output_of(output, pixels, group));
    (0..pixels.groups()).map(one).collect()
}

/// What stored values mean.
fn stored_image(group: &GroupForm) -> ImageFormat {
    let RawForm { channels, height, width, dtype, layout } = group.form;
    let range = match dtype {
        Dtype::U8 => [0.0, 255.0],
        Dtype::F16 | Dtype::F32 => [0.0, 1.0],
    };
    ImageFormat { channels, height, width, interleaved: layout == Layout::Nhwc, range }
}

fn stored_output(group: &GroupForm) -> Output {
    Output { dtype: group.form.dtype, layout: group.form.layout, normalise: None }
}

/// The stored image that each view is made from.
fn stored_row_of_view(views: &Views, stored: usize) -> Result<Vec<usize>> {
    let count = views.count() as usize;
    let moved = rows_of_views(views);
    if views.rows() as usize == stored && moved.len() == count {
        return Ok(moved);
    }
    match stored {
        1 => Ok(vec![0; count]),
        stored if stored == count => Ok((0..count).collect()),
        stored => Err(Error::new(
            Kind::Recipe,
            format!("{count} views cannot be made of the {stored} images that a sample has"),
        )
        .at("views")
        .help(format!("ask for {stored} views, or store one image a sample"))),
    }
}
