//! What an audit of attributes says.

use serde::Serialize;

use super::distribution::Distribution;
use crate::evaluate::{Accuracy, Difference};

/// What edits do to some attributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The recipe's name.
    pub recipe: String,
    /// Edits of the recipe.
    pub edits: usize,
    /// First and last-plus-one of the samples that probes learn from.
    pub learnt: [u64; 2],
    /// First and last-plus-one of the samples that they tell, and that distributions are of.
    pub told: [u64; 2],
    /// Whether the directions are known to have been found on other samples than these.
    pub apart: bool,
    /// Each attribute.
    pub attributes: Vec<AttributeOutcome>,
    /// How well classes are told by each kind of features; empty without classes.
    pub classes: Vec<Classes>,
}

/// What edits do to one attribute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttributeOutcome {
    /// Its name.
    pub name: String,
    /// What it is.
    pub formula: String,
    /// The ends of the histograms: 1 and 99 % of all images, unedited and edited.
    pub bars: [f64; 2],
    /// Over unedited images.
    pub before: Distribution,
    /// Over edited ones.
    pub after: Distribution,
    /// The variance within classes over the edited images, as a share of that over the unedited.
    pub variance_left: f64,
    /// The proportion of edited images that lie on the side of their class's unedited median on
    /// which the sample's unedited image lies: 1 if nothing was moved, 0.5 if nothing agrees.
    pub same_side: f64,
    /// How well it is read from each kind of features.
    pub probes: Vec<Probed>,
    /// Whether the intervals of all probes of edited images hold chance, 50 %.
    pub removed: bool,
}

/// How well an attribute is read from features of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Probed {
    /// `raw pixels` or `encoder`.
    pub features: &'static str,
    /// From those of unedited images.
    pub before: ProbeOutcome,
    /// What it was before the edits, from those of edited images.
    pub after: ProbeOutcome,
}

/// How often two kinds of probe are right, over the same images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProbeOutcome {
    /// Logistic regression.
    pub linear: Accuracy,
    /// Nearest neighbours.
    pub knn: Accuracy,
}

/// How well probes that learnt the classes from unedited images tell them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Classes {
    /// `raw pixels` or `encoder`.
    pub features: &'static str,
    /// Of unedited images.
    pub before: ProbeOutcome,
    /// Of the same samples, edited.
    pub after: ProbeOutcome,
    /// By how much edited images are told better.
    pub difference: Direct,
}

/// Differences over the same samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Direct {
    /// By logistic regression.
    pub linear: Difference,
    /// By nearest neighbours.
    pub knn: Difference,
}

impl ProbeOutcome {
    /// Whether both intervals hold chance.
    #[must_use]
    pub fn is_chance(&self) -> bool {
        [self.linear, self.knn].iter().all(|a| a.interval[0] <= 0.5 && 0.5 <= a.interval[1])
    }
}
