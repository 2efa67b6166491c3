//! The pixel steps of a view: a pure function of seed, sample, epoch and view.
//!
//! A [`PixelSampler`] comes from a checked recipe and the shape of the generator's images. It
//! follows the shape through each list of ops once, refuses what does not fit, and then draws steps
//! whose boxes need no further checks. Distributions are those of torchvision's `transforms.v2`.

mod draw;
mod fit;

use draw::{At, Op};
use fit::{Place, fit};

use super::step::Step;
use crate::error::Result;
use crate::recipe::{Epochs, Normalise, PixelKind, PixelOp, Recipe, Views};

/// Draws the pixel steps of views. Free of state: any sample, any order, any thread.
#[derive(Debug, Clone)]
pub struct PixelSampler {
    epochs: Epochs,
    groups: Vec<List>,
}

/// The ops of one group.
#[derive(Debug, Clone)]
struct List {
    /// Those that may do something.
    ops: Vec<Op>,
    /// `[C, H, W]` after the last op.
    image: [usize; 3],
    normalise: Option<Normalise>,
}

impl PixelSampler {
    /// For a recipe whose generator makes images of shape `[C, H, W]`.
    ///
    /// # Errors
    /// [`crate::Kind::Recipe`] that names the op and both shapes if an op does not fit the images
    /// it gets: a crop larger than the image, colour without colour channels, a mean for a channel
    /// that is not there, a result above [`crate::recipe::MAX_SIDE`].
    pub fn new(recipe: &Recipe, image: [usize; 3]) -> Result<Self> {
        Self::of_views(recipe.seed, &recipe.views, image)
    }

    /// For views of images of shape `[C, H, W]`, whatever they come from.
    ///
    /// # Errors
    /// As [`PixelSampler::new`].
    pub fn of_views(seed: u64, views: &Views, image: [usize; 3]) -> Result<Self> {
        let list = |(number, group): (usize, &crate::recipe::Group)| {
            let place = match &views.groups[..] {
                [one] if one.name.is_empty() => "views.pixel".to_owned(),
                _ => format!("views.groups[{number}].pixel"),
            };
            List::new(seed, number, &group.pixel, image, &place)
        };
        let groups = views.groups.iter().enumerate().map(list).collect::<Result<_>>()?;
        Ok(Self { epochs: views.epochs, groups })
    }

    /// For one list of ops without a recipe, as group 0: what `pixel = ops` right under `[views]`
    /// draws with this seed and fresh epochs.
    ///
    /// # Errors
    /// As [`PixelSampler::new`].
    pub fn of_ops(seed: u64, ops: &[PixelOp], image: [usize; 3]) -> Result<Self> {
        let list = List::new(seed, 0, ops, image, "pixel")?;
        Ok(Self { epochs: Epochs::Fresh, groups: vec![list] })
    }

    /// How many groups of views there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// `[C, H, W]` of the delivered views of `group`.
    #[must_use]
    pub fn image(&self, group: usize) -> [usize; 3] {
        self.groups[group].image
    }

    /// The normalisation that the ops of `group` end in, if they do.
    #[must_use]
    pub fn normalise(&self, group: usize) -> Option<&Normalise> {
        self.groups[group].normalise.as_ref()
    }

    /// Whether the views of `group` are the generator's images as they are: nothing is ever done.
    #[must_use]
    pub fn is_empty(&self, group: usize) -> bool {
        self.groups[group].ops.is_empty()
    }

    /// Draws the steps of `view`, numbered within `group`, of sample `index` in `epoch`. A step
    /// that would do nothing is left out.
    ///
    /// Pure: equal inputs give equal bits on every machine. Reuses `steps`; allocates nothing once
    /// it has grown.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn steps(&self, index: u64, epoch: u64, group: usize, view: u32, steps: &mut Vec<Step>) {
        let epoch = if self.epochs == Epochs::Same { 0 } else { epoch };
        let at = At { index, epoch, view };
        steps.clear();
        for op in &self.groups[group].ops {
            op.draw(at, steps);
        }
    }
}

impl List {
    fn new(
        seed: u64,
        group: usize,
        ops: &[PixelOp],
        mut image: [usize; 3],
        place: &str,
    ) -> Result<Self> {
        let mut list = Self { ops: Vec::new(), image, normalise: None };
        for (ordinal, op) in ops.iter().enumerate() {
            let after = fit(&op.kind, &Place { list: place, ordinal, image })?;
            // Streams are named by kind and not by place in the list: ops draw the same when
            // another one is taken out, so that an ablation compares like with like.
            let name = op.kind.name();
            let before = ops[..ordinal].iter().filter(|op| op.kind.name() == name).count();
            let purpose = format!("pixel group {group} {name} {before}");
            list.ops.extend(Op::new(seed, &purpose, op, image));
            if let PixelKind::Normalise(normalise) = &op.kind {
                list.normalise = Some(normalise.clone());
            }
            image = after;
        }
        list.image = image;
        Ok(list)
    }
}

#[cfg(test)]
mod tests;
