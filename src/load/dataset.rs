//! Random access: any sample of a dataset by its index.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::access::{Access, BlockMaker, BlockStore};
use super::batch::{Batch, Format, Indices};
use super::generated::{Generated, Options};
use super::store::{GroupForm, Store};
use super::stream::Stream;
use super::views::ViewAt;
use crate::codec::RawForm;
use crate::error::{Error, Kind, Result};
use crate::generate::execution::{Edit, Rewrites};
use crate::recipe::{Digest, Normalise, OnBad, Output, Recipe, Views};
use crate::sample::{BlockInputs, Plan, PlannedView};

/// A dataset, generated or stored: what `ImageFolder` is to a folder.
///
/// Cheap to clone; clones share model and sessions. Usable from any number of threads.
#[derive(Debug, Clone)]
pub struct Dataset(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    /// `None` where nothing is generated.
    pub generated: Option<Generated>,
    /// From latents, or what is stored, to views.
    pub stream: Arc<Stream>,
    /// How it was asked for.
    name: String,
    /// The last sample is not known, or need not be.
    endless: bool,
    /// What random access reads or makes with, and the block it made last.
    access: Mutex<Option<Access>>,
}

/// Stored images that are put among generated ones.
pub struct Mixed<'a> {
    /// What tells them from others.
    pub identity: blake3::Hash,
    /// Opens them as 8-bit images of the generator's `[C, H, W]`, one a sample.
    pub open: Box<OpenStore<'a>>,
}

/// Opens stored images in the form that a generator of the recipe makes.
type OpenStore<'a> = dyn FnOnce([usize; 3], &Recipe) -> Result<Arc<dyn Store>> + 'a;

impl fmt::Debug for Mixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mixed").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// How stored images become views.
#[derive(Debug, Clone)]
pub enum StoredViews {
    /// What is stored is delivered.
    AsStored,
    /// Views are made of stored 8-bit images.
    Drawn {
        /// Seeds the pixel operations.
        seed: u64,
        /// What is made of each sample.
        views: Views,
        /// What is delivered.
        output: Output,
    },
}

impl Dataset {
    /// A dataset of a recipe that was read or written elsewhere; `mixed` for one with `[mix]`.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    ///
    /// # Panics
    /// If `mixed` is there without `[mix]`, or the other way round.
    pub fn of_generator(
        recipe: Recipe,
        options: Options,
        mixed: Option<Mixed<'_>>,
    ) -> Result<Self> {
        assert_eq!(recipe.mix.is_some(), mixed.is_some(), "images for [mix]");
        let identity = |hasher: &mut blake3::Hasher| {
            if let Some(mixed) = &mixed {
                hasher.update(mixed.identity.as_bytes());
            }
        };
        let (generated, mut stream) = Generated::open(recipe, options, identity)?;
        let recipe = generated.recipe();
        if let (Some(mix), Some(mixed)) = (&recipe.mix, mixed) {
            let image = generated.contract().image;
            let store = (mixed.open)([image.channels, image.height, image.width], recipe)?;
            stream = stream.mixed(recipe, mix, store)?;
        }
        let (name, endless) = (recipe.name.clone(), recipe.samples.finite().is_none());
        Ok(Self::new(Some(generated), stream, name, endless))
    }

    /// A dataset of stored samples.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if the views do not fit what is stored.
    pub fn of_store(
        name: &str,
        store: Arc<dyn Store>,
        on_bad: OnBad,
        digest: Digest,
        views: StoredViews,
    ) -> Result<Self> {
        let stream = match views {
            StoredViews::AsStored => Stream::as_stored(store, on_bad, digest)?,
            StoredViews::Drawn { seed, views, output } => {
                Stream::of_stored_rows(store, on_bad, digest, seed, &views, &output)?
            }
        };
        Ok(Self::new(None, stream, name.to_owned(), false))
    }

    fn new(generated: Option<Generated>, stream: Stream, name: String, endless: bool) -> Self {
        let stream = Arc::new(stream);
        Self(Arc::new(Inner { generated, stream, name, endless, access: Mutex::new(None) }))
    }

    pub(super) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.0)
    }

    /// The generator's side of the dataset.
    ///
    /// # Errors
    /// [`Kind::Argument`] for a dataset of stored images.
    pub fn generated(&self) -> Result<&Generated> {
        self.0.generated.as_ref().ok_or_else(|| {
            Error::new(Kind::Argument, format!("`{}` has no generator", self.0.name))
                .help("its images are stored; this needs a recipe with [generator]")
        })
    }

    /// Whether its images are read, all of them.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.0.stream.is_stored()
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The same dataset, executed with exactly these edits.
    ///
    /// # Errors
    /// Those of [`Dataset::generated`], of [`Offers::carry_out`], and, for a recipe with `[mix]`,
    /// [`Kind::Argument`].
    ///
    /// [`Offers::carry_out`]: crate::generate::execution::Offers::carry_out
    pub fn executed_with(&self, edits: &[Edit]) -> Result<Self> {
        let generated = self.generated()?;
        let options = Options {
            rewrites: Rewrites::exactly(edits),
            threads: Some(generated.threads()),
            ..generated.options().clone()
        };
        // What is compared is the generator: real images among its own would blur it.
        let recipe = Recipe { mix: None, ..generated.recipe().clone() };
        Self::of_generator(recipe, options, None)
    }

    /// A session and its views, for measuring.
    pub(crate) fn block_maker(&self) -> Result<BlockMaker> {
        Ok(BlockMaker::new(self.generated()?.generator()?, &self.0.stream))
    }

    /// The dataset's identity.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.stream.digest
    }

    /// How many samples there are; `None` if there is no end.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        let Stream { start, end, .. } = &*self.0.stream;
        (!self.0.endless).then(|| end - start)
    }

    /// The indices of its samples. They begin at 0 unless shards of a part were opened.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<u64> {
        self.0.stream.start..self.0.stream.end
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range().is_empty()
    }

    /// Samples that one generator call makes; 1 where nothing is generated.
    #[must_use]
    pub fn block(&self) -> u32 {
        if self.is_stored() { 1 } else { self.0.stream.block }
    }

    /// Bytes of one delivered sample, all views of all groups together.
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        self.0.stream.sample_bytes()
    }

    /// Whether views differ from what is generated or stored: anything is drawn for them.
    #[must_use]
    pub fn draws(&self) -> bool {
        let stream = &self.0.stream;
        let moved = |generated: &Generated| {
            generated.recipe().views.groups.iter().any(|group| !group.latent.is_empty())
        };
        stream.groups.iter().any(|group| group.drawn)
            || self.0.generated.as_ref().is_some_and(moved)
    }

    /// Views of a sample, all groups together.
    #[must_use]
    pub fn views(&self) -> usize {
        self.0.stream.views()
    }

    /// The tensors of a sample as they are delivered, one for each group of views.
    #[must_use]
    pub fn forms(&self) -> Vec<GroupForm> {
        let form = |group: &super::views::ViewGroup| {
            let Format { views, channels, height, width, dtype, layout } = group.format;
            let form = RawForm { channels, height, width, dtype, layout };
            GroupForm { name: group.name.to_string(), views, form }
        };
        self.0.stream.groups.iter().map(form).collect()
    }

    /// What was done last to the intensities of each group of views, in the order of
    /// [`Dataset::forms`]; `None` where nothing was. Floats that were stored as they are may have
    /// been normalised before, which nobody knows.
    #[must_use]
    pub fn normalise(&self) -> Vec<Option<Normalise>> {
        self.0.stream.groups.iter().map(|group| group.normalise.clone()).collect()
    }

    /// Whether several samples may be deliveries of one that was generated: the recipe has
    /// `[cache]`. [`Batch::sources`] tells which.
    #[must_use]
    pub fn echoes(&self) -> bool {
        self.0.stream.echo.factor() > 1
    }

    /// Whether samples have labels.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.0.stream.has_labels()
    }

    /// Names of the classes, in the order of labels; empty if they have none.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        match (&self.0.generated, &self.0.stream.stored) {
            (Some(generated), _) => {
                generated.recipe().class().map_or(&[], |class| &class.names[..])
            }
            (None, Some(stored)) => stored.store.classes(),
            (None, None) => &[],
        }
    }

    /// Numbers in the latent of a view; 0 if there are none.
    #[must_use]
    pub fn latent_len(&self) -> usize {
        self.0.stream.latent_len()
    }

    /// Everything that is drawn for sample `index` in the first epoch, without making its images.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such sample.
    pub fn plan(&self, index: u64) -> Result<Plan> {
        self.plan_in_epoch(index, 0)
    }

    /// Everything that is drawn for sample `index` in `epoch`, without making its images.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such sample.
    pub fn plan_in_epoch(&self, index: u64, epoch: u64) -> Result<Plan> {
        self.check_index(index)?;
        let stream = &self.0.stream;
        let source = stream.echo.source(index);
        let mut plan = match &stream.sampler {
            Some(sampler) if stream.stored_number(index).is_none() => {
                sampler.plan(source.index, epoch)
            }
            _ => self.plan_of_stored(index)?,
        };
        (plan.index, plan.echo) = (index, source.echo);
        let drawn = stream.echo.pixels_of(index);
        for &ViewAt { group, view, number } in stream.views_of_row.iter().flatten() {
            let view = u32::try_from(view).unwrap_or(u32::MAX);
            stream.pixels.steps(drawn, epoch, group, view, &mut plan.views[number].pixel);
        }
        Ok(plan)
    }

    /// Sample `index` as a batch of one: the same bytes that any loader delivers at that index.
    ///
    /// Makes the whole block that the sample is in and keeps it, so neighbours come for nothing.
    /// Takes a lock: for more than one thread, a loader is faster.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such sample, [`Kind::Sample`] if its image is not finite,
    /// and those of the runtime.
    pub fn get(&self, index: u64) -> Result<Batch> {
        self.get_in_epoch(index, 0)
    }

    /// As [`Dataset::get`], with the views that sample `index` has in `epoch`.
    ///
    /// # Errors
    /// As [`Dataset::get`].
    pub fn get_in_epoch(&self, index: u64, epoch: u64) -> Result<Batch> {
        self.gather(&[index], epoch)
    }

    /// Samples `indices` in that order, with the views that they have in `epoch`: the same bytes that
    /// any loader delivers at each index.
    ///
    /// Makes each block that one of them is in once, and again only where [`Options::random_access`]
    /// has no room for it until the next time.
    ///
    /// # Errors
    /// As [`Dataset::get`]; [`Kind::Argument`] too if `indices` is empty.
    pub fn gather(&self, indices: &[u64], epoch: u64) -> Result<Batch> {
        self.gather_with(indices, epoch, None)
    }

    /// As [`Dataset::gather`], out of blocks that `store` has, which is given those that are made.
    ///
    /// # Errors
    /// As [`Dataset::gather`].
    pub fn gather_with(
        &self,
        indices: &[u64],
        epoch: u64,
        store: Option<&dyn BlockStore>,
    ) -> Result<Batch> {
        let (Some(&first), Some(&last)) = (indices.iter().min(), indices.iter().max()) else {
            return Err(Error::new(Kind::Argument, "a batch needs at least one index"));
        };
        indices.iter().try_for_each(|index| self.check_index(*index))?;
        let inner = &self.0;
        let stream = &inner.stream;
        let mut guard = inner.access.lock().unwrap_or_else(PoisonError::into_inner);
        let access = match &mut *guard {
            Some(access) => access,
            empty => {
                let generated = inner.generated.as_ref();
                let memory = generated.map_or(0, |generated| generated.options().random_access);
                let generator = generated.map(Generated::generator).transpose()?;
                empty.insert(Access::new(generator, stream, memory))
            }
        };
        let images = access.get(stream, indices, epoch, store)?;
        drop(guard);
        let index = match indices {
            [one] => Indices::Run(*one..one + 1),
            many => Indices::Each(many.into()),
        };
        Ok(Batch {
            epoch,
            echo: stream.echo,
            images,
            labels: stream.labels(&index)?,
            latents: Some(stream.latents(epoch, indices.iter().copied())?),
            index,
            positions: first..last + 1,
        })
    }

    /// A stored sample has a label, and views that are drawn.
    fn plan_of_stored(&self, index: u64) -> Result<Plan> {
        let stream = &self.0.stream;
        let labels = stream.labels(&Indices::Run(index..index + 1))?;
        let label = labels.and_then(|labels| labels.first().copied());
        let groups = stream.groups.iter().enumerate();
        let view = |group| PlannedView {
            group,
            stored: true,
            neighbour: None,
            latent: Vec::new(),
            pixel: Vec::new(),
        };
        Ok(Plan {
            index,
            source: index,
            echo: 0,
            label: label.and_then(|label| u32::try_from(label).ok()),
            inputs: Vec::new(),
            edits: Vec::new(),
            views: groups
                .flat_map(|(group, of)| std::iter::repeat_n(view(group), of.format.views))
                .collect(),
        })
    }

    /// What one generator call is fed for the block that holds sample `index`.
    ///
    /// # Panics
    /// If there is no generator.
    #[must_use]
    pub fn block_inputs(&self, index: u64) -> BlockInputs {
        let stream = &self.0.stream;
        let first = index / u64::from(stream.block) * u64::from(stream.block);
        let mut inputs = BlockInputs::default();
        stream.fill(stream.echo.source(first).index, 0, &mut inputs);
        inputs
    }

    fn check_index(&self, index: u64) -> Result<()> {
        let range = self.range();
        if range.contains(&index) {
            return Ok(());
        }
        let n = range.end - range.start;
        let (first, last) = (range.start, range.end.saturating_sub(1));
        Err(Error::new(
            Kind::Argument,
            format!("there is no sample {index}: the dataset has {n} ({first} to {last})"),
        ))
    }
}
