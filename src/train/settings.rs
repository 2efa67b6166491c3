//! What a training run is, and what tells it from another.

use serde::Serialize;
use serde_json::{Value, json};

use super::backend::Backend;
use super::encoder::Encoder;
use super::objective::Objective;
use super::optimizer::Optimizer;
use super::schedule::Schedule;
use crate::error::{Error, Kind, Result};
use crate::graph::EncoderInput;
use crate::load::Dataset;

/// Samples a step, where nothing is said: 256 views of two a sample.
pub const DEFAULT_BATCH: usize = 128;

/// Steps, where nothing is said.
pub const DEFAULT_STEPS: u64 = 1_000;

/// How an encoder is trained. Everything here decides what comes of it, save for what
/// [`super::Training`] has beside.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it learns from. Default contrast.
    pub objective: Objective,
    /// Widths of the layers between features and loss. Default one of 128 and one of 64.
    pub head: Vec<usize>,
    /// How parameters move. Default SGD with momentum.
    pub optimizer: Optimizer,
    /// The highest learning rate; `None`: [`Optimizer::default_rate`].
    pub rate: Option<f32>,
    /// How it goes down. Default along a cosine.
    pub schedule: Schedule,
    /// Steps that it goes up first; `None`: a twentieth of them.
    pub warmup: Option<u64>,
    /// Steps in all.
    pub steps: u64,
    /// Samples a batch, each with all its views.
    pub batch: usize,
    /// Batches a step, whose gradients are averaged.
    pub accumulate: u64,
    /// The largest norm of all gradients together; `None`: whatever it is.
    pub clip: Option<f32>,
    /// Draws the head, and the order of stored images.
    pub seed: u64,
    /// Begins with parameters drawn anew from the seed, not with those of the file.
    pub restart: bool,
    /// What values the encoder sees; `None`: as its file says, or intensities from 0 to 1.
    pub input: Option<EncoderInput>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            objective: Objective::Contrast { temperature: 0.2 },
            head: vec![128, 64],
            optimizer: Optimizer::Sgd { momentum: 0.9, decay: 1e-4 },
            rate: None,
            schedule: Schedule::Cosine,
            warmup: None,
            steps: DEFAULT_STEPS,
            batch: DEFAULT_BATCH,
            accumulate: 1,
            clip: None,
            seed: 0,
            restart: false,
            input: None,
        }
    }
}

/// What a run is, as its files say: another run has another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Identity(pub Value);

impl Settings {
    /// The highest learning rate.
    #[must_use]
    pub fn rate(&self) -> f32 {
        self.rate.unwrap_or_else(|| self.optimizer.default_rate())
    }

    /// Steps that the learning rate goes up first.
    #[must_use]
    pub fn warmup(&self) -> u64 {
        self.warmup.unwrap_or(self.steps / 20)
    }

    /// Checks them against each other and against what is there.
    ///
    /// # Errors
    /// [`Kind::Argument`] with what to set.
    pub(super) fn check(&self, dataset: &Dataset) -> Result<()> {
        let wrong = |message: String, help: &str| {
            Err(Error::new(Kind::Argument, message).help(help.to_owned()))
        };
        let views = dataset.views();
        if self.objective.compares() && views < 2 {
            let name = self.objective.name();
            return wrong(
                format!("objective `{name}` compares views, and a sample has {views}"),
                "set views.count = 2 in the recipe, or train with cross-entropy or inverter",
            );
        }
        if self.batch < 2 {
            return wrong("a batch of one sample has no statistics".into(), "set --batch 128");
        }
        if dataset.len().is_some_and(|samples| samples < self.batch as u64) {
            let samples = dataset.len().unwrap_or(0);
            return wrong(
                format!("a batch of {} is more than the {samples} samples there are", self.batch),
                "set a smaller batch, or more samples",
            );
        }
        if self.objective.needs_labels() && !dataset.has_labels() {
            let name = self.objective.name();
            return wrong(
                format!("objective `{name}` needs classes, and the dataset has none"),
                "give the generator a class input, or train without labels",
            );
        }
        if self.objective.needs_latents() && dataset.latent_len() == 0 {
            return wrong(
                "the inverter needs latents, and the dataset has none".into(),
                "train it on what is generated, or on shards that were exported with --latents",
            );
        }
        if self.head.contains(&0) || self.accumulate == 0 || self.steps == 0 {
            return wrong("nothing can be 0 wide, or of 0 steps".into(), "set at least 1");
        }
        Ok(())
    }

    /// Everything that decides what comes of the run.
    pub(super) fn identity(
        &self,
        dataset: &Dataset,
        encoder: &Encoder,
        backend: &Backend,
    ) -> Identity {
        let input = self.input.as_ref().and_then(|input| serde_json::to_value(input).ok());
        // A run of one backend is not gone on with by another: what they keep differs. Runs from before
        // there was a choice say nothing.
        let backend = (*backend != Backend::StepGraph).then(|| backend.name());
        Identity(json!({
            "dataset": dataset.digest().to_string(),
            "encoder": blake3::hash(encoder.model().bytes()).to_string(),
            "objective": self.objective.to_string(),
            "head": self.head,
            "optimizer": self.optimizer.to_string(),
            "learning_rate": self.rate(),
            "schedule": self.schedule.to_string(),
            "warmup": self.warmup(),
            "steps": self.steps,
            "batch": self.batch,
            "accumulate": self.accumulate,
            "clip": self.clip,
            "seed": self.seed,
            "restart": self.restart,
            "input": input,
            "backend": backend,
        }))
    }
}

impl Identity {
    /// Fails unless `other`, read from a file, is this.
    ///
    /// # Errors
    /// [`Kind::State`] with the first thing that differs.
    pub fn check(&self, other: &Value) -> Result<()> {
        let Value::Object(mine) = &self.0 else { return Ok(()) };
        for (key, value) in mine {
            let theirs = other.get(key).unwrap_or(&Value::Null);
            if theirs != value {
                let message = format!("the run there has {key} {theirs}, not {value}");
                return Err(Error::new(Kind::State, message)
                    .help("go on with the same settings, or train into another folder"));
            }
        }
        Ok(())
    }
}
