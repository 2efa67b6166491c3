//! What an audit says.

use serde::Serialize;

use super::balance::ClassBalance;
use super::copies::Copies;
use super::duplicates::Duplicates;
use super::manifold::Manifold;
use crate::evaluate::interval::wilson;

/// How a generated dataset compares with real images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was audited.
    pub generated: Images,
    /// What its generator learnt from.
    pub real: Images,
    /// Real images that serve as the measure of honest ones.
    pub held_out: Images,
    /// Whether those were taken out of the others: its generator may have learnt from them too.
    pub held_out_of_real: bool,
    /// `[channels, height, width]`.
    pub image: [usize; 3],
    /// The level of the verdict: the probability of an alarm on images that are as far from the real
    /// ones as the held-out ones.
    pub level: f64,
    /// What held-out images and the images of variety are drawn with.
    pub seed: u64,
    /// What was found in each space: raw pixels, then an encoder's features.
    pub spaces: Vec<Space>,
    /// How often each class came, where the dataset has classes that its recipe draws.
    pub balance: Option<ClassBalance>,
    /// Whether copies were found in any space.
    pub alarm: bool,
}

/// Some images of an audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Images {
    /// The dataset's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Images that were looked at.
    pub images: usize,
}

/// What was found in one feature space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Space {
    /// `pixels` (intensities in `[0, 1]`), or the encoder's file and output.
    pub name: String,
    /// Features of an image.
    pub dimensions: usize,
    /// How near the images are to real ones.
    pub copies: Copies,
    /// How various they are.
    pub variety: Variety,
}

/// How various images are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variety {
    /// Images of each kind that were compared; all of these numbers depend on it.
    pub images: usize,
    /// Generated against real images.
    pub generated: Measures,
    /// The same of held-out images: what real ones come to.
    pub held_out: Measures,
    /// Samples that are like another one.
    pub duplicates: Duplicates,
}

/// What is measured of images against the real ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// Where they lie.
    #[serde(flatten)]
    pub manifold: Manifold,
    /// The Fréchet distance to the real images; 0 is none.
    pub frechet_distance: f64,
    /// The effective number of different ones among them, in the cosine of features that were
    /// centred around the mean of the real ones.
    pub vendi_score: f64,
}

/// Some of a number of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub count: usize,
    /// Of so many.
    pub of: usize,
    /// The proportion, 0 to 1.
    pub value: f64,
    /// Its 95 % confidence interval: Wilson's score interval (Wilson, 1927).
    pub interval: [f64; 2],
}

impl Share {
    /// Of `count` among `of`, which must be more than none.
    pub(super) fn new(count: usize, of: usize) -> Self {
        Self { count, of, value: count as f64 / of as f64, interval: wilson(count, of) }
    }
}
