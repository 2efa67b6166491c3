//! What an encoder learns from: losses over the embeddings of a batch, one file each, written as
//! nodes so that they are differentiated like everything else.

mod alignment;
mod barlow_twins;
mod byol;
mod contrast;
mod cross_entropy;
mod inverter;
mod vicreg;

use std::fmt;
use std::str::FromStr;

use super::numbers;
use crate::error::{Error, Result};
use crate::graph::compose::{Composer, Tensor};

/// A loss, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Objective {
    /// Views of one sample are told from those of others: NT-Xent (Chen and others 2020, SimCLR),
    /// and with more than two views the multi-positive InfoNCE of StableRep (Tian and others 2023).
    Contrast {
        /// Divides similarities.
        temperature: f32,
    },
    /// The same with all samples of a class as one: supervised contrastive learning (Khosla and
    /// others 2020), with the generator's labels.
    SupCon {
        /// Divides similarities.
        temperature: f32,
    },
    /// Views of one sample come together, and all spread over the sphere (Wang and Isola 2020).
    Alignment {
        /// How much spreading weighs.
        uniformity: f32,
        /// The scale of the Gaussian potential.
        t: f32,
    },
    /// Dimensions agree between views and with no other (Zbontar and others 2021).
    BarlowTwins {
        /// How much agreement with others weighs.
        lambda: f32,
    },
    /// Views agree, dimensions vary, and none repeats another (Bardes, Ponce and LeCun 2022).
    VicReg {
        /// Weight of agreement.
        invariance: f32,
        /// Weight of variance.
        variance: f32,
        /// Weight of covariance.
        covariance: f32,
    },
    /// One view predicts the embedding of another by a slow copy of the encoder (Grill and others
    /// 2020).
    Byol {
        /// How much of the slow copy stays at the first step; at the last it is 1.
        momentum: f32,
    },
    /// The generator's class is told from the view.
    CrossEntropy,
    /// The latent that made the view is told from it.
    Inverter,
}

/// Its name, its default numbers, and what it is, as `--objective` takes them.
pub const OBJECTIVES: [(&str, Objective, &str); 8] = [
    (
        "contrast",
        Objective::Contrast { temperature: 0.2 },
        "NT-Xent (SimCLR); with more than two views, multi-positive InfoNCE",
    ),
    ("supcon", Objective::SupCon { temperature: 0.1 }, "contrastive over the generator's classes"),
    (
        "alignment",
        Objective::Alignment { uniformity: 1.0, t: 2.0 },
        "alignment of views and uniformity on the sphere",
    ),
    ("barlow-twins", Objective::BarlowTwins { lambda: 0.005 }, "cross-correlation to identity"),
    (
        "vicreg",
        Objective::VicReg { invariance: 25.0, variance: 25.0, covariance: 1.0 },
        "invariance, variance, covariance",
    ),
    ("byol", Objective::Byol { momentum: 0.99 }, "a slow copy of the encoder is predicted"),
    ("cross-entropy", Objective::CrossEntropy, "the generator's class"),
    ("inverter", Objective::Inverter, "the latent behind each view"),
];

/// What a loss is made from.
pub(super) struct Embedded<'a> {
    /// The projected embeddings, view by view, each `[B, D]`.
    pub views: &'a [Tensor],
    /// By the slow copy, view by view, each `[B, D]`; only for [`Objective::Byol`].
    pub targets: &'a [Tensor],
    /// The class of each sample, `[B]` of `i64`; -1 for none.
    pub label: Option<&'a Tensor>,
    /// The latents, view by view, each `[B, Z]`.
    pub latents: &'a [Tensor],
    /// The generated sample that each is a delivery of, `[B]` of `i64`, where several may share one.
    pub source: Option<&'a Tensor>,
}

impl Objective {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let same = |other: &Self| std::mem::discriminant(other) == std::mem::discriminant(self);
        OBJECTIVES.iter().find(|(_, other, _)| same(other)).map_or("?", |(name, _, _)| name)
    }

    /// Its default numbers by its name.
    ///
    /// # Errors
    /// [`crate::Kind::Argument`] with the known names.
    pub fn named(name: &str) -> Result<Self> {
        numbers::named("objective", name, OBJECTIVES.map(|(name, it, _)| (name, it)))
    }

    /// Its numbers, by name.
    fn numbers(&mut self) -> Vec<(&'static str, &mut f32)> {
        match self {
            Self::Contrast { temperature } | Self::SupCon { temperature } => {
                vec![("temperature", temperature)]
            }
            Self::Alignment { uniformity, t } => vec![("uniformity", uniformity), ("t", t)],
            Self::BarlowTwins { lambda } => vec![("lambda", lambda)],
            Self::VicReg { invariance, variance, covariance } => {
                vec![("invariance", invariance), ("variance", variance), ("covariance", covariance)]
            }
            Self::Byol { momentum } => vec![("momentum", momentum)],
            Self::CrossEntropy | Self::Inverter => vec![],
        }
    }

    /// Whether it compares views with each other.
    pub(super) fn compares(&self) -> bool {
        !matches!(self, Self::CrossEntropy | Self::Inverter)
    }

    /// Whether samples must have classes.
    pub(super) fn needs_labels(&self) -> bool {
        matches!(self, Self::SupCon { .. } | Self::CrossEntropy)
    }

    /// Whether latents must be delivered.
    pub(super) fn needs_latents(&self) -> bool {
        matches!(self, Self::Inverter)
    }

    /// How much of the slow copy stays at the first step, if there is one.
    pub(super) fn target_momentum(&self) -> Option<f32> {
        match self {
            Self::Byol { momentum } => Some(*momentum),
            _ => None,
        }
    }

    /// The loss, one number.
    pub(super) fn build(&self, c: &mut Composer, embedded: &Embedded<'_>) -> Result<Tensor> {
        match *self {
            Self::Contrast { temperature } => contrast::by_sample(c, embedded, temperature.into()),
            Self::SupCon { temperature } => contrast::by_class(c, embedded, temperature.into()),
            Self::Alignment { uniformity, t } => {
                alignment::build(c, embedded.views, uniformity.into(), t.into())
            }
            Self::BarlowTwins { lambda } => barlow_twins::build(c, embedded.views, lambda.into()),
            Self::VicReg { invariance, variance, covariance } => {
                let weights = [invariance, variance, covariance].map(f64::from);
                vicreg::build(c, embedded.views, weights)
            }
            Self::Byol { .. } => byol::build(c, embedded.views, embedded.targets),
            Self::CrossEntropy => cross_entropy::build(c, embedded),
            Self::Inverter => inverter::build(c, embedded),
        }
    }
}

impl fmt::Display for Objective {
    /// As `contrast:temperature=0.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = *self;
        f.write_str(&numbers::show(self.name(), &numbers.numbers()))
    }
}

impl FromStr for Objective {
    type Err = Error;

    /// As [`Objective`] is displayed; numbers that are not named have their defaults.
    fn from_str(text: &str) -> Result<Self> {
        let (name, _) = text.split_once(':').unwrap_or((text, ""));
        let mut objective = Self::named(name)?;
        numbers::set("objective", text, &mut objective.numbers())?;
        Ok(objective)
    }
}

/// Rows of length 1.
pub(super) fn unit(c: &mut Composer, rows: &Tensor) -> Result<Tensor> {
    let square = c.square(rows)?;
    let sum = c.sum(&square, &[1], true)?;
    // An embedding of zeros stays one, with a gradient.
    let sum = c.shift(&sum, 1e-12)?;
    let length = c.unary("Sqrt", &sum)?;
    c.div(rows, &length)
}

/// Every pair of different views.
fn pairs(count: usize) -> Vec<(usize, usize)> {
    (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))).collect()
}

/// The mean of numbers.
fn mean_of(c: &mut Composer, numbers: &[Tensor]) -> Result<Tensor> {
    let mut total = numbers[0].clone();
    for number in &numbers[1..] {
        total = c.add2(&total, number)?;
    }
    c.scale(&total, 1.0 / numbers.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn objectives_are_read_as_they_are_shown() {
        for (name, objective, _) in OBJECTIVES {
            assert_eq!(objective.name(), name);
            assert_eq!(objective.to_string().parse::<Objective>().unwrap(), objective);
        }
        let set: Objective = "vicreg:variance=10,covariance=2".parse().unwrap();
        assert_eq!(set, Objective::VicReg { invariance: 25.0, variance: 10.0, covariance: 2.0 });
    }

    #[test]
    fn what_is_not_known_is_told_with_what_is() {
        for (text, part) in [
            ("simclr", "known: contrast, supcon"),
            ("contrast:tau=1", "its numbers: temperature"),
            ("inverter:x=1", "its numbers: none"),
            ("contrast:temperature=-1", "no number of 0 or more"),
            ("contrast:temperature", "no number of 0 or more"),
        ] {
            let error = text.parse::<Objective>().unwrap_err();
            assert_eq!(error.kind(), Kind::Argument);
            assert!(format!("{error:#}").contains(part), "{error:#}");
        }
    }
}
