//! Looking for directions, and measuring them.

use std::path::PathBuf;

use super::evaluate;
use super::explorer::Explorer;
use super::file::Found;
use super::gradient::Subspace;
use super::meter::Meter;
use super::pca::{self, Rows};
use super::regress::{self, Table};
use super::report::{Direction, Report};
use super::scorer::Scorer;
use super::sefa;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::load::Stop;

/// How directions are looked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// Eigenvectors of the weights that read the latent (Shen and Zhou, 2021). Needs no samples.
    Sefa {
        /// Layers by number from 1 or by name; empty for all.
        layers: Vec<String>,
    },
    /// Principal components of an activation (Härkönen et al., 2020).
    Pca {
        /// The tensor; by default what the first linear layer makes. The name of the latent input
        /// means the latent itself, for latents that are not alike in all directions.
        activation: Option<String>,
    },
    /// One direction for each attribute, by ridge regression (after Shen et al., 2020).
    Regress {
        /// Weight of the squared coefficients, in units of the latents' mean variance times the
        /// samples.
        ridge: f64,
        /// Takes the directions of the other attributes out of each.
        conditional: bool,
    },
    /// Several directions for each attribute: eigenvectors of the mean outer product of its
    /// gradient (active subspaces, Constantine et al., 2014). Twice as many images a sample as the
    /// latent has elements.
    Gradient,
}

impl Method {
    /// Its name: `sefa`, `pca`, `regress` or `gradient`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sefa { .. } => "sefa",
            Self::Pca { .. } => "pca",
            Self::Regress { .. } => "regress",
            Self::Gradient => "gradient",
        }
    }
}

/// What to look for, and on how many samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How.
    pub method: Method,
    /// Directions, for `sefa` and `pca`; for each attribute, for `gradient`.
    pub count: usize,
    /// Samples that directions are fitted on: `0..samples`.
    pub samples: u64,
    /// Samples that directions are measured on: those after; at least 8.
    pub held_out: u64,
    /// Units by which latents are moved to both sides to measure.
    pub step: f64,
    /// Names of built-in attributes; empty for all that fit the images.
    pub attributes: Vec<String>,
    /// An ONNX model that takes images `[N, C, H, W]`, floats in `[0, 1]`, and gives `[N]` or
    /// `[N, K]`: more attributes.
    pub scorer: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::Regress { ridge: 1e-3, conditional: false },
            count: 8,
            samples: 8192,
            held_out: 1024,
            step: 1.0,
            attributes: Vec::new(),
            scorer: None,
        }
    }
}

/// A direction before it is measured.
struct Candidate {
    name: String,
    vector: Vec<f64>,
    eigenvalue: Option<f64>,
    share: Option<f64>,
    /// The attribute's number, and its linear model.
    fit: Option<(usize, regress::Fit)>,
}

impl Explorer {
    /// Finds directions and measures them on samples that they were not found on. `progress` is
    /// told of generated samples: how many, and of how many.
    ///
    /// # Errors
    /// [`Kind::Argument`] for settings that make no sense, [`Kind::Model`] if the method cannot
    /// work on this generator, with another that may; those of making images.
    pub fn find(
        &mut self,
        settings: &Settings,
        stop: &Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Found> {
        check(settings)?;
        let scorer = settings.scorer.as_deref().map(|path| {
            Scorer::open(path, self.image(), self.generated().runtime(), &self.session_options())
        });
        let mut meter = Meter::new(&settings.attributes, scorer.transpose()?, self.image())?;
        let fits = !matches!(settings.method, Method::Sefa { .. });
        let planned = match settings.method {
            Method::Regress { .. } => meter.names().len(),
            Method::Gradient => meter.names().len() * settings.count.min(self.input().elements()),
            _ => settings.count.min(self.input().elements()),
        };
        let fitting = match settings.method {
            Method::Sefa { .. } => 0,
            Method::Gradient => 2 * settings.samples * self.input().elements() as u64,
            _ => settings.samples,
        };
        let total = fitting + settings.held_out * (1 + 2 * planned as u64);
        let mut made = 0;
        let mut done = |count: u64| {
            made += count;
            progress(made, total);
        };
        let mut skipped = Vec::new();
        let (candidates, source) = match &settings.method {
            Method::Sefa { layers } => self.sefa(layers, settings.count)?,
            Method::Pca { activation } => {
                self.pca(activation.as_deref(), settings, stop, &mut done)?
            }
            Method::Regress { ridge, conditional } => {
                let table = self.table(0..settings.samples, &mut meter, stop, &mut done)?;
                let (found, without) = regressed(&table, &meter, settings, (*ridge, *conditional))?;
                skipped = without;
                (found, Vec::new())
            }
            Method::Gradient => {
                let Settings { samples, step, count, .. } = *settings;
                let found = self.gradients(0..samples, step, count, &mut meter, stop, &mut done)?;
                let (found, without) = steepest(found, &meter, settings)?;
                skipped = without;
                (found, Vec::new())
            }
        };
        let held_out = settings.samples..settings.samples + settings.held_out;
        let table = self.table(held_out.clone(), &mut meter, stop, &mut done)?;
        let attributes = evaluate::attributes(&meter, &table.values);
        let mut vectors = Vec::new();
        let mut directions = Vec::new();
        for candidate in candidates {
            #[allow(clippy::cast_possible_truncation)]
            let vector: Vec<f32> = candidate.vector.iter().map(|x| *x as f32).collect();
            let moved = (&vector[..], settings.step);
            let effects = evaluate::effects(
                self,
                &mut meter,
                held_out.clone(),
                moved,
                &attributes,
                stop,
                &mut done,
            )?;
            let mut direction = Direction {
                name: candidate.name,
                eigenvalue: candidate.eigenvalue,
                share: candidate.share,
                r2: candidate.fit.map(|(at, fit)| fit.r2(&table, at)),
                latent_std: evaluate::latent_std(&table.latents, &vector),
                moves: None,
                also: Vec::new(),
                effects,
            };
            direction.rank();
            directions.push(direction);
            vectors.push(vector);
        }
        let mut hasher = blake3::Hasher::new();
        self.generated().model().hash_into(&mut hasher)?;
        let (ridge, conditional) = match settings.method {
            Method::Regress { ridge, conditional } => (Some(ridge), conditional),
            _ => (None, false),
        };
        let report = Report {
            method: settings.method.name().to_owned(),
            model: self.generated().model().name().to_owned(),
            model_digest: hasher.finalize().to_hex().to_string(),
            seed: self.recipe().seed,
            input: self.input().name.clone(),
            shape: self.input().row.clone(),
            source,
            ridge,
            conditional,
            fitted: fits.then_some([0, settings.samples]),
            held_out: [held_out.start, held_out.end],
            step: settings.step,
            attributes,
            directions,
            skipped,
        };
        Ok(Found { vectors, report })
    }

    /// Latents, labels and attributes of `samples`.
    fn table(
        &mut self,
        samples: std::ops::Range<u64>,
        meter: &mut Meter,
        stop: &Stop,
        done: &mut dyn FnMut(u64),
    ) -> Result<Table> {
        let mut table = Table {
            elements: self.input().elements(),
            attributes: meter.names().len(),
            ..Table::default()
        };
        for (_, inputs) in self.calls(samples.clone()) {
            table.latents.extend(self.latents(&inputs));
            table.labels.extend(&inputs.labels);
        }
        table.values = self.measured(samples, None, meter, stop, done)?;
        Ok(table)
    }

    fn sefa(&self, layers: &[String], count: usize) -> Result<(Vec<Candidate>, Vec<String>)> {
        let model = self.generated().model();
        let input = self.input();
        let place = || model.name().to_owned();
        let found = model.linear_layers(&input.name, &input.row, input.batched);
        if found.layers.is_empty() && !model.external_files().is_empty() {
            let message = "its weights lie in other files, where sefa does not look for them";
            return Err(Error::new(Kind::Model, message)
                .help("save the model as one file, or use --method regress")
                .at(place()));
        }
        let chosen = sefa::choose(found, layers, &input.name).at(place)?;
        let found = sefa::directions(&chosen, input.elements(), count).at(place)?;
        let candidate =
            |(at, (eigenvalue, share, vector)): (usize, (f64, f64, Vec<f64>))| Candidate {
                name: format!("sefa-{}", at + 1),
                vector,
                eigenvalue: Some(eigenvalue),
                share: Some(share),
                fit: None,
            };
        let source = chosen.iter().map(|layer| layer.node.to_string()).collect();
        Ok((found.into_iter().enumerate().map(candidate).collect(), source))
    }

    fn pca(
        &self,
        activation: Option<&str>,
        settings: &Settings,
        stop: &Stop,
        done: &mut dyn FnMut(u64),
    ) -> Result<(Vec<Candidate>, Vec<String>)> {
        let input = self.input();
        let (mut latents, mut labels) = (Rows { width: input.elements(), values: vec![] }, vec![]);
        for (_, inputs) in self.calls(0..settings.samples) {
            latents.values.extend(self.latents(&inputs));
            labels.extend(&inputs.labels);
        }
        latents.centre(&labels);
        let name = match activation {
            Some(name) => name.to_owned(),
            None => self.first_layer()?,
        };
        let count = settings.count.min(latents.width);
        let place = || format!("activation `{name}`");
        let found = if name == input.name {
            let found = pca::components(&latents, count).at(place)?;
            if found.first().is_none_or(|first| !pca::stands_out(first, &latents)) {
                let message = format!("input `{name}` varies alike in every direction");
                return Err(Error::new(Kind::Argument, message)
                    .help("name a tensor inside the generator: --activation TENSOR"));
            }
            done(settings.samples);
            found
        } else {
            let mut rows = self.activations(&name, 0..settings.samples, stop, done)?;
            rows.centre(&labels);
            pca::components(&rows, count.min(rows.width)).at(place)?
        };
        let vectors = pca::directions(&latents, &found).at(place)?;
        let candidate =
            |(at, (component, vector)): (usize, (pca::Component, Vec<f64>))| Candidate {
                name: format!("pca-{}", at + 1),
                vector,
                eigenvalue: Some(component.variance),
                share: Some(component.share),
                fit: None,
            };
        let candidates = found.into_iter().zip(vectors).enumerate().map(candidate).collect();
        Ok((candidates, vec![name]))
    }

    /// What the first linear layer makes: where the paper looks in generators without a mapping
    /// network.
    fn first_layer(&self) -> Result<String> {
        let (model, input) = (self.generated().model(), self.input());
        let found = model.linear_layers(&input.name, &input.row, input.batched);
        found.layers.into_iter().next().map(|layer| layer.output).ok_or_else(|| {
            let message = format!("no linear layer reads input `{}`", input.name);
            Error::new(Kind::Model, message)
                .help("say which tensor to look at: --activation TENSOR")
                .at(model.name())
        })
    }
}

/// A direction for each attribute, and the attributes that have none, with the reason. Those that
/// were asked for by name must have one.
fn regressed(
    table: &Table,
    meter: &Meter,
    settings: &Settings,
    (ridge, conditional): (f64, bool),
) -> Result<(Vec<Candidate>, Vec<String>)> {
    let (mut kept, mut fits, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (at, fit) in regress::fit(table, ridge)?.into_iter().enumerate() {
        let name = &meter.names()[at];
        match fit {
            Ok(fit) => {
                kept.push((at, name.clone()));
                fits.push(fit);
            }
            Err(error) if settings.attributes.contains(name) => {
                return Err(error.at(format!("attribute `{name}`")).help("leave it out"));
            }
            Err(error) => skipped.push(format!("{name}: {}", error.summary())),
        }
    }
    if fits.is_empty() {
        return Err(Error::new(Kind::Argument, "no attribute depends on the latent")
            .help("`genset inspect` says whether the generator uses it; or use a scorer"));
    }
    let names: Vec<String> = kept.iter().map(|(_, name)| name.clone()).collect();
    let vectors = regress::directions(&fits, &names, conditional)?;
    let found = kept.into_iter().zip(vectors).zip(fits);
    let candidates = found.map(|(((at, name), vector), fit)| Candidate {
        name,
        vector,
        eigenvalue: None,
        share: None,
        fit: Some((at, fit)),
    });
    Ok((candidates.collect(), skipped))
}

/// The directions of each attribute's gradients, called `NAME`, `NAME-2`, …, and the attributes that
/// have none, with the reason.
fn steepest(
    found: Vec<Result<Subspace>>,
    meter: &Meter,
    settings: &Settings,
) -> Result<(Vec<Candidate>, Vec<String>)> {
    let (mut candidates, mut skipped) = (Vec::new(), Vec::new());
    for (found, name) in found.into_iter().zip(meter.names()) {
        match found {
            Ok(Subspace { axes }) => {
                candidates.extend(axes.into_iter().enumerate().map(
                    |(at, (eigenvalue, share, vector))| Candidate {
                        name: match at {
                            0 => name.clone(),
                            _ => format!("{name}-{}", at + 1),
                        },
                        vector,
                        eigenvalue: Some(eigenvalue),
                        share: Some(share),
                        fit: None,
                    },
                ));
            }
            Err(error) if settings.attributes.contains(name) => {
                return Err(error.at(format!("attribute `{name}`")).help("leave it out"));
            }
            Err(error) => skipped.push(format!("{name}: {}", error.summary())),
        }
    }
    Ok((candidates, skipped))
}

fn check(settings: &Settings) -> Result<()> {
    let refuse = |what: &str| Err(Error::new(Kind::Argument, what));
    if settings.count == 0 {
        return refuse("there must be at least one direction");
    }
    if settings.held_out < 8 {
        return refuse("at least 8 samples must be held out to measure directions");
    }
    if !(settings.step.is_finite() && settings.step > 0.0) {
        return refuse("the step must be more than 0");
    }
    if settings.samples.checked_add(settings.held_out).is_none_or(|end| end > MAX_SAMPLES) {
        return refuse("directions are found on at most 2^24 samples");
    }
    if let Method::Regress { ridge, .. } = settings.method
        && !(ridge.is_finite() && ridge >= 0.0)
    {
        return refuse("the ridge must be 0 or more");
    }
    Ok(())
}

/// Their latents and attributes are held in memory.
const MAX_SAMPLES: u64 = 1 << 24;
