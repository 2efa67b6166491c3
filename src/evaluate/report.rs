//! What a probe says.

use serde::Serialize;

use super::interval::{Accuracy, Difference};
use super::linear::Tried;
use crate::graph::EncoderInput;

/// How well the classes of real images can be told from an encoder's features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The encoder's file.
    pub encoder: String,
    /// What values it was given.
    pub input: EncoderInput,
    /// The output that features are from.
    pub output: String,
    /// What was learnt from.
    pub train: Data,
    /// What was told.
    pub test: Data,
    /// The classes, in the order of every list of them.
    pub classes: Vec<Class>,
    /// What split and random parameters are drawn from.
    pub seed: u64,
    /// The encoder's features.
    pub features: Outcome,
    /// What they are held against.
    pub baselines: Vec<Baseline>,
}

/// A dataset of a probe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Data {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Images that were looked at.
    pub images: usize,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    /// The number that stands for it in the datasets.
    pub label: i64,
    /// What it is called; its number where the datasets have no names.
    pub name: String,
}

/// How well classes can be told from some features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Features of an image.
    pub dimensions: usize,
    /// By logistic regression, unless that was not asked for.
    pub linear: Option<LinearOutcome>,
    /// By nearest neighbours, unless that was not asked for.
    pub knn: Option<NeighbourOutcome>,
}

/// How well a linear classifier tells the test images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinearOutcome {
    /// Of all test images.
    pub accuracy: Accuracy,
    /// Of those of each class; `None` for a class that the test set has not.
    pub classes: Vec<Option<Accuracy>>,
    /// The regularisation that it was fitted with: the factor of half the squared weights beside
    /// the mean loss, on standardised features.
    pub l2: f64,
    /// Whether it is the last of those that could be tried: another might be better.
    pub l2_at_the_end: bool,
    /// What was tried to choose it; empty if it was given.
    pub tried: Vec<Tried>,
    /// Training images that it was chosen on.
    pub held_out: usize,
    /// Passes over the training features that the last fit took.
    pub passes: usize,
    /// Whether the last fit came to its end.
    pub converged: bool,
    #[serde(skip)]
    pub(super) right: Vec<bool>,
}

/// How well nearest neighbours tell the test images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeighbourOutcome {
    /// Neighbours that vote.
    pub k: usize,
    /// Of all test images.
    pub accuracy: Accuracy,
    /// Of those of each class; `None` for a class that the test set has not.
    pub classes: Vec<Option<Accuracy>>,
    #[serde(skip)]
    pub(super) right: Vec<bool>,
}

/// Features that an encoder should beat, on the same images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Baseline {
    /// What they are.
    pub name: &'static str,
    /// How well they do.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The encoder less this.
    pub difference: Differences,
    /// Of a random encoder: constants of the graph that were not drawn anew, as no layer that is
    /// known reads them.
    pub kept: Vec<String>,
}

/// By how much an encoder is better than a baseline, over the same test images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differences {
    /// By logistic regression.
    pub linear: Option<Difference>,
    /// By nearest neighbours.
    pub knn: Option<Difference>,
}

impl Differences {
    pub(super) fn of(encoder: &Outcome, baseline: &Outcome) -> Self {
        let linear = encoder.linear.as_ref().zip(baseline.linear.as_ref());
        let knn = encoder.knn.as_ref().zip(baseline.knn.as_ref());
        Self {
            linear: linear.map(|(a, b)| Difference::of_lists(&a.right, &b.right)),
            knn: knn.map(|(a, b)| Difference::of_lists(&a.right, &b.right)),
        }
    }
}
