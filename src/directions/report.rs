//! What was found, in numbers.

use serde::Serialize;

/// Off-target effects smaller than this share of an attribute's standard deviation are not named.
const NAMED: f64 = 0.1;

/// How directions were found and what they do.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `sefa`, `pca`, `regress` or `gradient`.
    pub method: String,
    /// The generator's file, or `builtin:NAME`.
    pub model: String,
    /// BLAKE3 of the generator's bytes.
    pub model_digest: String,
    /// The recipe's seed, which decides the latents.
    pub seed: u64,
    /// The latent input that is moved.
    pub input: String,
    /// The dimensions of one row of it.
    pub shape: Vec<usize>,
    /// What was looked at: layers (`sefa`) or an activation (`pca`).
    pub source: Vec<String>,
    /// The ridge (`regress`).
    pub ridge: Option<f64>,
    /// Whether the directions of the other attributes were taken out of each (`regress`).
    pub conditional: bool,
    /// First and last-plus-one of the samples that the directions were fitted on; none for `sefa`.
    pub fitted: Option<[u64; 2]>,
    /// First and last-plus-one of the samples that they were measured on.
    pub held_out: [u64; 2],
    /// How far latents were moved to both sides to measure.
    pub step: f64,
    /// The attributes, with what they are like over the held-out samples.
    pub attributes: Vec<AttributeReport>,
    /// The directions.
    pub directions: Vec<Direction>,
    /// Attributes for which there is no direction (`regress`, `gradient`), each with the reason.
    pub skipped: Vec<String>,
}

/// An attribute over the held-out samples.
#[derive(Debug, Clone, Serialize)]
pub struct AttributeReport {
    /// Its name.
    pub name: String,
    /// What it is.
    pub formula: String,
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation: the σ of the effects.
    pub std: f64,
    /// Samples whose image has none.
    pub undefined: usize,
}

/// One direction.
#[derive(Debug, Clone, Serialize)]
pub struct Direction {
    /// Its name in the file.
    pub name: String,
    /// Eigenvalue (`sefa`, `gradient`) or variance (`pca`).
    pub eigenvalue: Option<f64>,
    /// Its share of all of them.
    pub share: Option<f64>,
    /// The share of the attribute's variance within classes that the linear model explains on
    /// held-out samples (`regress`).
    pub r2: Option<f64>,
    /// The standard deviation of held-out latents along the direction; 1 for a standard normal.
    pub latent_std: f64,
    /// The attribute that it moves most, if any.
    pub moves: Option<String>,
    /// The others that it moves by at least 0.1 of their standard deviation, most first.
    pub also: Vec<String>,
    /// What a step of one unit does to each attribute.
    pub effects: Vec<Effect>,
}

/// What one unit along a direction does to an attribute: mean of paired differences, the same
/// latent a step ahead and a step back, over twice the step.
#[derive(Debug, Clone, Serialize)]
pub struct Effect {
    /// The attribute.
    pub attribute: String,
    /// Mean change a unit, in the attribute's own unit.
    pub per_unit: f64,
    /// Its standard error.
    pub error: f64,
    /// 95 % confidence interval (Student).
    pub interval: [f64; 2],
    /// The mean over its standard error.
    pub t: f64,
    /// The mean in standard deviations of the attribute over the held-out samples.
    pub in_std: f64,
    /// Pairs, both of whose images have the attribute.
    pub pairs: usize,
}

impl Effect {
    /// Whether the 95 % interval leaves out 0.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.interval[0] > 0.0 || self.interval[1] < 0.0
    }
}

impl Direction {
    /// The effect on an attribute.
    #[must_use]
    pub fn effect(&self, attribute: &str) -> Option<&Effect> {
        self.effects.iter().find(|effect| effect.attribute == attribute)
    }

    /// Fills in `moves` and `also`.
    pub(super) fn rank(&mut self) {
        let mut moved: Vec<&Effect> =
            self.effects.iter().filter(|e| e.is_significant() && e.in_std.is_finite()).collect();
        moved.sort_by(|a, b| b.in_std.abs().total_cmp(&a.in_std.abs()));
        let mut names = moved.iter().map(|effect| effect.attribute.clone());
        self.moves = names.next();
        let others = moved.iter().skip(1).filter(|effect| effect.in_std.abs() >= NAMED);
        self.also = others.map(|effect| effect.attribute.clone()).collect();
    }
}

impl Report {
    /// The direction with this name.
    #[must_use]
    pub fn direction(&self, name: &str) -> Option<&Direction> {
        self.directions.iter().find(|direction| direction.name == name)
    }
}
