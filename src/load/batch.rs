//! What the consumer gets.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use half::f16;
use ndarray::{Array3, ArrayView3, ArrayView5};

use super::pool::Returns;
use super::views::ViewGroup;
use crate::recipe::{Dtype, Layout};
use crate::sample::Echo;

/// Consecutive samples of a dataset, with all their views.
///
/// Dropping a batch gives its buffer back to the loader.
#[derive(Debug)]
pub struct Batch {
    pub(super) index: Indices,
    /// Places in the stream.
    pub(super) positions: Range<u64>,
    pub(super) epoch: u64,
    pub(super) echo: Echo,
    pub(super) images: Vec<Images>,
    pub(super) labels: Option<Vec<i64>>,
    pub(super) latents: Option<Latents>,
}

/// The indices of a batch's samples, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indices {
    /// Consecutive ones.
    Run(Range<u64>),
    /// Any: the loader shuffles, or samples were left out.
    Each(Arc<[u64]>),
}

/// Images of a batch, of one group of views: `[B, V, C, H, W]` or `[B, V, H, W, C]`, contiguous,
/// aligned to 64 bytes unless they were asked for without a copy.
#[derive(Debug)]
pub struct Images {
    name: Arc<str>,
    bytes: Memory,
    format: Format,
    samples: usize,
    returns: Option<Returns>,
}

/// Where the bytes of images are.
#[derive(Debug)]
pub(super) enum Memory {
    /// In a buffer of the loader's.
    Buffer(BytesMut),
    /// In the file that they were stored in.
    Mapped(Bytes),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Buffer(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

/// Shape and type of the images of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub views: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub dtype: Dtype,
    pub layout: Layout,
}

#[derive(Debug)]
pub(super) struct Latents {
    pub values: Vec<f32>,
    pub shape: [usize; 3],
}

impl Format {
    pub fn image_bytes(&self) -> usize {
        self.channels * self.height * self.width * self.dtype.size()
    }

    pub fn sample_bytes(&self) -> usize {
        self.views * self.image_bytes()
    }
}

impl Batch {
    /// The indices of its samples, `[B]`.
    #[must_use]
    pub fn index(&self) -> Indices {
        self.index.clone()
    }

    /// The places of the stream that it was made for: its samples' indices, unless the loader
    /// shuffles; samples that were left out have a place too.
    #[must_use]
    pub fn positions(&self) -> Range<u64> {
        self.positions.clone()
    }

    /// The generated sample that each of its samples is a delivery of, `[B]`: what their latents and
    /// labels belong to. The same as [`Batch::index`] unless the recipe has `[cache]`. Two samples
    /// with the same source are not negatives of each other.
    #[must_use]
    pub fn sources(&self) -> Vec<u64> {
        self.index.iter().map(|index| self.echo.source(index).index).collect()
    }

    /// How many samples it has: B.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images[0].samples
    }

    /// Whether it has no sample; a loader gives no such batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pass over the dataset that it belongs to; 0 is the first.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The images; those of the first group, where a recipe has several.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images[0]
    }

    /// The images of each group of views, in the order of the recipe; never empty.
    #[must_use]
    pub fn groups(&self) -> &[Images] {
        &self.images
    }

    /// The class of each sample, `[B]`, if the dataset has classes; -1 for a sample without one.
    #[must_use]
    pub fn labels(&self) -> Option<&[i64]> {
        self.labels.as_deref()
    }

    /// The latents that each view was made from, `[B, V, Z]`, views of all groups after each other,
    /// if they were asked for. NaN for a real image among generated ones.
    #[must_use]
    pub fn latents(&self) -> Option<ArrayView3<'_, f32>> {
        let latents = self.latents.as_ref()?;
        ArrayView3::from_shape(latents.shape, &latents.values).ok()
    }
}

/// What a batch is made of, each for an owner of its own: images go back to the loader when they are
/// dropped, whoever still has the rest.
#[derive(Debug)]
pub struct Parts {
    /// See [`Batch::index`].
    pub index: Indices,
    /// See [`Batch::epoch`].
    pub epoch: u64,
    /// See [`Batch::groups`].
    pub groups: Vec<Images>,
    /// See [`Batch::labels`].
    pub labels: Option<Vec<i64>>,
    /// See [`Batch::latents`].
    pub latents: Option<Array3<f32>>,
}

impl Batch {
    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        let Self { index, epoch, images, labels, latents, .. } = self;
        let latents = latents.and_then(|l| Array3::from_shape_vec(l.shape, l.values).ok());
        Parts { index, epoch, groups: images, labels, latents }
    }

    /// Takes samples out, `places` rising.
    pub(super) fn remove(&mut self, places: &[usize]) {
        let keeps = |place: usize| places.binary_search(&place).is_err();
        let kept: Vec<usize> = (0..self.len()).filter(|place| keeps(*place)).collect();
        self.index =
            Indices::Each(kept.iter().filter_map(|place| self.index.get(*place)).collect());
        if let Some(labels) = &mut self.labels {
            *labels = kept.iter().map(|place| labels[*place]).collect();
        }
        if let Some(latents) = &mut self.latents {
            let [_, views, len] = latents.shape;
            move_down(&mut latents.values, views * len, &kept);
            latents.values.truncate(kept.len() * views * len);
            latents.shape[0] = kept.len();
        }
        for images in &mut self.images {
            let sample = images.format.sample_bytes();
            // What lies in a file is always whole: it was not decoded.
            if let Memory::Buffer(bytes) = &mut images.bytes {
                move_down(bytes, sample, &kept);
            }
            images.samples = kept.len();
        }
    }
}

/// Moves the chunks that are kept to the front, in order.
fn move_down<T: Copy>(values: &mut [T], chunk: usize, kept: &[usize]) {
    for (to, from) in kept.iter().enumerate() {
        values.copy_within(from * chunk..(from + 1) * chunk, to * chunk);
    }
}

impl Indices {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Run(run) => usize::try_from(run.end - run.start).unwrap_or(usize::MAX),
            Self::Each(each) => each.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// That at place `i`, if there is one.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<u64> {
        match self {
            Self::Run(run) => run.clone().nth(i),
            Self::Each(each) => each.get(i).copied(),
        }
    }

    /// Each of them.
    #[must_use]
    pub fn iter(&self) -> EachIndex {
        self.clone().into_iter()
    }
}

/// The indices of a batch's samples, one after the other.
#[derive(Debug, Clone)]
pub struct EachIndex {
    indices: Indices,
    next: usize,
}

impl Iterator for EachIndex {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.next += 1;
        self.indices.get(self.next - 1)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.indices.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for EachIndex {}

impl IntoIterator for &Indices {
    type Item = u64;
    type IntoIter = EachIndex;

    fn into_iter(self) -> EachIndex {
        self.iter()
    }
}

impl IntoIterator for Indices {
    type Item = u64;
    type IntoIter = EachIndex;

    fn into_iter(self) -> EachIndex {
        EachIndex { indices: self, next: 0 }
    }
}

impl Images {
    pub(super) fn new(
        bytes: Memory,
        group: &ViewGroup,
        samples: usize,
        returns: Option<Returns>,
    ) -> Self {
        Self { name: Arc::clone(&group.name), bytes, format: group.format, samples, returns }
    }

    /// The name of the group of views; empty where there is one without a name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `[B, V, C, H, W]`, or `[B, V, H, W, C]` if the recipe delivers that layout.
    #[must_use]
    pub fn shape(&self) -> [usize; 5] {
        let f = &self.format;
        match f.layout {
            Layout::Nchw => [self.samples, f.views, f.channels, f.height, f.width],
            Layout::Nhwc => [self.samples, f.views, f.height, f.width, f.channels],
        }
    }

    /// `[B, V, C, H, W]`, whatever the layout.
    #[must_use]
    pub fn shape_nchw(&self) -> [usize; 5] {
        let f = &self.format;
        [self.samples, f.views, f.channels, f.height, f.width]
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.format.dtype
    }

    /// The order of dimensions.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.format.layout
    }

    /// Whether they lie in the file that they were stored in, which may not be written to.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.bytes, Memory::Mapped(_))
    }

    /// All bytes, sample by sample, view by view.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // A buffer that lost samples is longer.
        &self.bytes.bytes()[..self.samples * self.format.sample_bytes()]
    }

    /// The bytes of all views of the `i`-th sample of the batch.
    ///
    /// # Panics
    /// If there is no such sample.
    #[must_use]
    pub fn sample_bytes(&self, i: usize) -> &[u8] {
        let len = self.format.sample_bytes();
        &self.bytes()[i * len..][..len]
    }

    /// The bytes of view `v` of the `i`-th sample of the batch.
    ///
    /// # Panics
    /// If there is no such sample or view.
    #[must_use]
    pub fn view_bytes(&self, i: usize, v: usize) -> &[u8] {
        let len = self.format.image_bytes();
        &self.sample_bytes(i)[v * len..][..len]
    }

    /// The images as bytes, if they are delivered so.
    #[must_use]
    pub fn as_u8(&self) -> Option<ArrayView5<'_, u8>> {
        self.array(Dtype::U8)
    }

    /// The images as 32-bit floats, if they are delivered so.
    #[must_use]
    pub fn as_f32(&self) -> Option<ArrayView5<'_, f32>> {
        self.array(Dtype::F32)
    }

    /// The images as half-precision floats, if they are delivered so.
    #[must_use]
    pub fn as_f16(&self) -> Option<ArrayView5<'_, f16>> {
        self.array(Dtype::F16)
    }

    fn array<T: bytemuck::Pod>(&self, dtype: Dtype) -> Option<ArrayView5<'_, T>> {
        if self.format.dtype != dtype {
            return None;
        }
        let elements = bytemuck::try_cast_slice(self.bytes()).ok()?;
        ArrayView5::from_shape(self.shape(), elements).ok()
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        if let (Some(returns), Memory::Buffer(bytes)) = (&self.returns, &mut self.bytes) {
            returns.give(std::mem::take(bytes));
        }
    }
}
