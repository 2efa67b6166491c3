//! A run from its first step to its last: batches in, a trained encoder out, and on the way
//! everything that is needed to go on after an interruption, bit by bit.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::backend::Backend;
use super::checkpoint::{self, Progressed};
use super::design::Design;
use super::encoder::Encoder;
use super::machine::{Feed, Machine, Measured, Pace};
use super::ort_training::OrtTrainer;
use super::plot::plot;
use super::record::{Line, Record};
use super::settings::{Identity, Settings};
use super::step::Part;
use super::stepper::Stepper;
use super::trainer::Trainer;
use super::variable::Initial;
use crate::error::{Error, Kind, Result};
use crate::graph::{EncoderInput, Model};
use crate::load::{Batch, Dataset, GroupForm, Loader, LoaderBuilder, Stop};
use crate::recipe::Precision;
use crate::runtime::{Provider, Runtime, SessionOptions};
use crate::whole_file::write_whole;

/// The file that says what a run is.
const DESCRIPTION: &str = "run.json";
/// Embeddings that are spread less than this point one way.
const COLLAPSED: f32 = 0.02;
/// So many steps in a row are no accident.
const PATIENCE: u64 = 100;

/// A training run and what it needs beside its [`Settings`]: nothing here changes what comes of it.
pub struct Training<'a> {
    /// How the encoder is trained.
    pub settings: Settings,
    /// Where the steps run. Threads and providers may change low bits.
    pub session: SessionOptions,
    /// The ONNX Runtime that runs them.
    pub runtime: &'static Runtime,
    /// What makes the steps. Changes low bits.
    pub backend: Backend,
    /// Whether steps on the CPU use genset's own kernels, not standard operators alone. Changes low
    /// bits. Default yes.
    pub own_kernels: bool,
    /// Steps between lines of the record.
    pub log_every: u64,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// How many of the newest checkpoints stay.
    pub keep: usize,
    /// Steps between probes; none without [`Training::probe`].
    pub probe_every: u64,
    /// Says how good the encoder is as it is then, 0 to 1.
    pub probe: Option<Box<Probe<'a>>>,
    /// Sets up the loader: workers, prefetch, memory.
    pub loader: Box<dyn Fn(LoaderBuilder) -> LoaderBuilder + 'a>,
    /// Ends the run early, with a checkpoint.
    pub stop: Stop,
}

/// Judges an encoder.
pub type Probe<'a> = dyn FnMut(&Model) -> Result<f64> + 'a;

/// What a run has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Where the encoder with its new parameters is.
    pub path: PathBuf,
    /// Steps that this call made.
    pub steps: u64,
    /// The step that it went on from; 0 if it began.
    pub resumed: u64,
    /// What it said of itself, line by line, from its first step.
    pub lines: Vec<Line>,
    /// The share of the time of this call that was spent waiting for data.
    pub data_wait: f64,
    /// Seconds a step took, waiting for data left out: the median.
    pub step_seconds: f64,
    /// How long this call took.
    pub time: Duration,
    /// Numbers that training changes.
    pub parameters: usize,
}

impl fmt::Debug for Training<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Training").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Sums since the last line.
#[derive(Default)]
struct Since {
    steps: u64,
    loss: f64,
    norm: f64,
    spread: f64,
    waited: Duration,
    time: Duration,
}

impl<'a> Training<'a> {
    /// A run with defaults for what does not change it.
    #[must_use]
    pub fn new(settings: Settings, runtime: &'static Runtime) -> Self {
        Self {
            settings,
            session: SessionOptions::default(),
            runtime,
            backend: Backend::default(),
            own_kernels: true,
            log_every: 10,
            save_every: 200,
            keep: 2,
            probe_every: 0,
            probe: None,
            loader: Box::new(|loader| loader),
            stop: Stop::new(),
        }
    }

    /// Trains `encoder` on `dataset`, in `folder`; goes on where an earlier run with the same
    /// settings was interrupted. `tell` hears of every line of the record.
    ///
    /// In the folder are then `encoder.onnx`, the encoder as it came with other parameters;
    /// `run.json`, what the run was; `metrics.jsonl`; `curves.svg`; and `checkpoints/`.
    ///
    /// # Errors
    /// [`Kind::Argument`] for settings that do not fit each other, the dataset or the encoder;
    /// [`Kind::State`] if another run is there; [`Kind::Limit`] if the loss is no number any more
    /// or the embeddings have collapsed, with the last good checkpoint; [`Kind::Interrupted`] if
    /// it was stopped; those of the loader, the graph and the runtime.
    pub fn run(
        mut self,
        dataset: &Dataset,
        encoder: &Encoder,
        folder: &Path,
        tell: &mut dyn FnMut(&Line),
    ) -> Result<Trained> {
        let began = Instant::now();
        self.settings.check(dataset)?;
        let (input, applied) = input_of(&self.settings, dataset, encoder)?;
        let identity = self.settings.identity(dataset, encoder, &self.backend);
        let is_new = !is_there(folder, &identity)?;
        let started = self.started(encoder)?;
        let groups = dataset.forms();
        let design = self.design(dataset, &started, &groups, applied)?;
        let mut machine = self.machine(&design)?;
        // Nothing is begun that cannot be trained.
        if is_new {
            self.describe(folder, &identity, &*machine)?;
        }
        let mut progressed = Progressed { step: 0, loader: None };
        if let Some((_, path)) = checkpoint::all(folder)?.last() {
            progressed = checkpoint::load(path, &mut *machine, &identity)?;
        }
        let resumed = progressed.step;
        let mut record = Record::open(folder, resumed)?;
        let mut times = Vec::new();
        let mut waited = Duration::ZERO;
        if resumed < self.settings.steps {
            let mut loader = self.loader(dataset, &progressed)?;
            let outcome = self.steps(
                &mut Going {
                    machine: &mut *machine,
                    loader: &mut loader,
                    progressed: &mut progressed,
                    record: &mut record,
                    identity: &identity,
                    encoder,
                    input: &input,
                    folder,
                    times: &mut times,
                    waited: &mut waited,
                    views: groups.iter().map(|group| group.views).sum(),
                },
                tell,
            );
            draw(folder, record.lines())?;
            outcome?;
        }
        let path = folder.join("encoder.onnx");
        let model = trained(encoder, &*machine, &input)?;
        write_whole(&path, model.bytes())?;
        draw(folder, record.lines())?;
        times.sort_by(f64::total_cmp);
        let time = began.elapsed();
        Ok(Trained {
            path,
            steps: progressed.step - resumed,
            resumed,
            lines: record.lines().to_vec(),
            data_wait: waited.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE),
            step_seconds: times.get(times.len() / 2).copied().unwrap_or(f64::NAN),
            time,
            parameters: encoder.trained(),
        })
    }

    /// One step of the run as an ONNX model: delivered images, labels and latents go in beside every
    /// variable, the loss and the variables after the step come out. Variables come out as
    /// `next/NAME`. For [`Backend::OrtTraining`] it is the loss alone, to make artifacts of.
    ///
    /// # Errors
    /// As [`Training::run`], for what can be told before it.
    pub fn step_graph(&self, dataset: &Dataset, encoder: &Encoder) -> Result<Model> {
        self.settings.check(dataset)?;
        let (_, applied) = input_of(&self.settings, dataset, encoder)?;
        let started = self.started(encoder)?;
        let groups = dataset.forms();
        let design = self.design(dataset, &started, &groups, applied)?;
        match &self.backend {
            Backend::StepGraph => {
                Ok(Design { own_kernels: false, ..design }.build(Part::Whole)?.model)
            }
            Backend::OrtTraining { .. } => Ok(design.loss_graph(self.settings.seed)?.model),
        }
    }

    /// Steps to be made by hand, from the first on; nothing is written.
    ///
    /// # Errors
    /// As [`Training::run`], for what can be told before it.
    pub fn stepper(&self, dataset: &Dataset, encoder: &Encoder) -> Result<Stepper> {
        self.settings.check(dataset)?;
        let (input, applied) = input_of(&self.settings, dataset, encoder)?;
        let started = self.started(encoder)?;
        let groups = dataset.forms();
        let design = self.design(dataset, &started, &groups, applied)?;
        Ok(Stepper {
            machine: self.machine(&design)?,
            batch: self.settings.batch,
            accumulate: self.settings.accumulate,
            step: 0,
            encoder: started,
            input,
        })
    }

    /// What makes the steps of `design`.
    fn machine(&self, design: &Design<'_>) -> Result<Box<dyn Machine>> {
        let seed = self.settings.seed;
        match &self.backend {
            Backend::StepGraph => {
                Ok(Box::new(Trainer::new(design, self.runtime, &self.session, seed)?))
            }
            Backend::OrtTraining { python } => {
                let on_cpu = self.session.providers.iter().all(|it| *it == Provider::Cpu);
                if !on_cpu || self.session.precision != Precision::F32 {
                    return Err(Error::new(
                        Kind::Argument,
                        "the backend ort-training runs on the CPU provider in f32 alone",
                    )
                    .help("leave --provider and --precision out, or take the backend step-graph"));
                }
                let threads = self.session.threads;
                Ok(Box::new(OrtTrainer::new(python.as_deref(), design, threads, seed)?))
            }
        }
    }

    /// Genset's own kernels are for the CPU provider, and for `f32`.
    fn own_kernels(&self) -> bool {
        let on_cpu = self.session.providers.iter().all(|provider| *provider == Provider::Cpu);
        self.own_kernels && on_cpu && self.session.precision == Precision::F32
    }

    /// The encoder as the first step has it.
    fn started(&self, encoder: &Encoder) -> Result<Encoder> {
        match self.settings.restart {
            true => encoder.initialised(self.settings.seed),
            false => Ok(encoder.clone()),
        }
    }

    fn design<'d>(
        &self,
        dataset: &Dataset,
        encoder: &'d Encoder,
        groups: &'d [GroupForm],
        input: Option<EncoderInput>,
    ) -> Result<Design<'d>> {
        for group in groups {
            encoder.check_images(group.form.planes())?;
        }
        Ok(Design {
            encoder,
            groups,
            input,
            batch: self.settings.batch,
            objective: self.settings.objective,
            head: self.settings.head.clone(),
            optimizer: self.settings.optimizer,
            clip: self.settings.clip,
            classes: dataset.classes().len().max(classes_of(dataset)),
            latent: dataset.latent_len(),
            has_sources: dataset.echoes(),
            accumulate: self.settings.accumulate,
            own_kernels: self.own_kernels(),
        })
    }

    /// Writes what the run is.
    fn describe(&self, folder: &Path, identity: &Identity, machine: &dyn Machine) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "create", error))?;
        let path = folder.join(DESCRIPTION);
        let providers: Vec<_> = self.session.providers.iter().map(ToString::to_string).collect();
        let text = json!({
            "run": identity,
            "made_by": {
                "genset": env!("CARGO_PKG_VERSION"),
                "backend": self.backend.name(),
                "onnxruntime": machine.runtime().unwrap_or_else(|| self.runtime.version().to_owned()),
                "providers": providers,
                "threads": self.session.threads,
                "precision": self.session.precision.name(),
            },
        });
        let text = serde_json::to_string_pretty(&text)
            .map_err(|error| Error::io(&path, "write", error.into()))?;
        write_whole(&path, (text + "\n").as_bytes())
    }

    fn loader(&self, dataset: &Dataset, progressed: &Progressed) -> Result<Loader> {
        let mut builder = (self.loader)(dataset.loader())
            .batch(self.settings.batch)
            .rank(0, 1)
            .epochs(None)
            .drop_last(true)
            .latents(self.settings.objective.needs_latents())
            .stop(self.stop.clone());
        if dataset.is_stored() {
            builder = builder.shuffle(self.settings.seed);
        }
        if let Some(state) = &progressed.loader {
            builder = builder.resume(state.clone());
        }
        builder.build()
    }

    /// Steps until the last, or until something is wrong.
    fn steps(&mut self, going: &mut Going<'_>, tell: &mut dyn FnMut(&Line)) -> Result<()> {
        let mut since = Since::default();
        let mut collapsed = 0;
        while going.progressed.step < self.settings.steps {
            let step = going.progressed.step + 1;
            let start = Instant::now();
            let batches = match self.batches(going.loader) {
                Err(error) if error.is_interrupted() => {
                    // What is there is good: the next run goes on from here.
                    self.save(going)?;
                    let help = format!("the same command goes on after step {}", step - 1);
                    return Err(error.help(help));
                }
                batches => batches?,
            };
            let waited = start.elapsed();
            let pace = self.pace(step);
            let feeds: Vec<Feed<'_>> = batches.iter().map(Feed::of).collect();
            let measured = going.machine.step(&feeds, pace)?;
            let time = start.elapsed();
            self.check_number(going, step, &measured)?;
            going.progressed.step = step;
            going.progressed.loader = Some(going.loader.state());
            going.times.push((time - waited).as_secs_f64());
            *going.waited += waited;
            since.add(&measured, waited, time);
            let has_collapsed = self.settings.objective.compares() && measured.spread < COLLAPSED;
            collapsed = if has_collapsed { collapsed + 1 } else { 0 };
            if collapsed >= PATIENCE {
                return Err(self.stopped(
                    going,
                    &format!(
                        "the embeddings have collapsed: for {PATIENCE} steps up to {step} they all \
                     pointed one way (spread {:.4})",
                        measured.spread
                    ),
                    "lower the learning rate, or take another objective or temperature",
                ));
            }
            let last = step == self.settings.steps;
            let is_due = |every: u64| every > 0 && step.is_multiple_of(every);
            let probe = match &mut self.probe {
                Some(probe) if is_due(self.probe_every) || last => {
                    Some(probe(&trained(going.encoder, going.machine, going.input)?)?)
                }
                _ => None,
            };
            if is_due(self.log_every) || last || probe.is_some() {
                let images = self.settings.batch * going.views * batches.len();
                let line = since.line(step, pace.rate, images, probe);
                going.record.push(line.clone())?;
                tell(&line);
                since = Since::default();
            }
            // One that is collapsing is not the last good one.
            if (is_due(self.save_every) && collapsed == 0) || last {
                self.save(going)?;
            }
        }
        Ok(())
    }

    fn save(&self, going: &Going<'_>) -> Result<()> {
        let Going { folder, machine, progressed, identity, .. } = going;
        checkpoint::save(folder, *machine, progressed, identity, self.keep).map(drop)
    }

    /// As many whole batches as a step takes. Where bad samples are left out, a shorter batch is
    /// passed over.
    fn batches(&self, loader: &mut Loader) -> Result<Vec<Batch>> {
        let mut batches = Vec::new();
        while (batches.len() as u64) < self.settings.accumulate {
            let batch = loader.next().ok_or_else(|| {
                Error::new(Kind::Worker, "the loader ended before the last step")
            })??;
            if batch.len() == self.settings.batch {
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    fn pace(&self, step: u64) -> Pace {
        let Settings { schedule, steps, .. } = &self.settings;
        let share = schedule.share(step - 1, *steps, self.settings.warmup());
        // Grill and others 2020, section 3.3: up to 1 along half a cosine.
        let keep = self.settings.objective.target_momentum().map_or(0.0, |first| {
            let done = (step - 1) as f64 / *steps as f64;
            1.0 - (1.0 - f64::from(first))
                * f64::midpoint(1.0, libm::cos(std::f64::consts::PI * done))
        });
        Pace { step, rate: f64::from(self.settings.rate()) * share, keep }
    }

    fn check_number(&self, going: &Going<'_>, step: u64, measured: &Measured) -> Result<()> {
        if measured.loss.is_finite() && measured.norm.is_finite() {
            return Ok(());
        }
        let what = if measured.loss.is_finite() { "a gradient" } else { "the loss" };
        Err(self.stopped(
            going,
            &format!("{what} is not a finite number at step {step}"),
            "lower the learning rate, or set --clip",
        ))
    }

    fn stopped(&self, going: &Going<'_>, what: &str, help: &str) -> Error {
        let last = checkpoint::all(going.folder).unwrap_or_default().pop();
        let good = match last {
            Some((step, path)) => {
                format!("the last good checkpoint is of step {step}: {}", path.display())
            }
            None => "no checkpoint was made before".to_owned(),
        };
        Error::new(Kind::Limit, what).help(format!("{help}; {good}"))
    }
}

/// Whether this run is in `folder` already.
///
/// # Errors
/// [`Kind::State`] if it is another one.
fn is_there(folder: &Path, identity: &Identity) -> Result<bool> {
    let path = folder.join(DESCRIPTION);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io(&path, "read", error)),
    };
    let there: serde_json::Value = serde_json::from_slice(&text).map_err(|error| {
        Error::new(Kind::Io, format!("is no run: {error}"))
            .at(path.display())
            .help("train into another folder")
    })?;
    let run = there.get("run").unwrap_or(&serde_json::Value::Null);
    identity.check(run).map_err(|error| error.at(path.display()))?;
    Ok(true)
}

/// What a run has in hand.
struct Going<'a> {
    machine: &'a mut dyn Machine,
    loader: &'a mut Loader,
    progressed: &'a mut Progressed,
    record: &'a mut Record,
    identity: &'a Identity,
    encoder: &'a Encoder,
    input: &'a EncoderInput,
    folder: &'a Path,
    times: &'a mut Vec<f64>,
    waited: &'a mut Duration,
    views: usize,
}

impl Since {
    fn add(&mut self, measured: &Measured, waited: Duration, time: Duration) {
        self.steps += 1;
        self.loss += f64::from(measured.loss);
        self.norm += f64::from(measured.norm);
        self.spread += f64::from(measured.spread);
        self.waited += waited;
        self.time += time;
    }

    fn line(&self, step: u64, rate: f64, images: usize, probe: Option<f64>) -> Line {
        let count = self.steps.max(1) as f64;
        let seconds = self.time.as_secs_f64().max(f64::MIN_POSITIVE);
        Line {
            step,
            loss: self.loss / count,
            gradient_norm: self.norm / count,
            spread: self.spread / count,
            learning_rate: rate,
            images_per_second: (images as f64) * count / seconds,
            data_wait: self.waited.as_secs_f64() / seconds,
            probe,
        }
    }
}

/// What values the encoder sees, and what of that is still to be done to what is delivered.
fn input_of(
    settings: &Settings,
    dataset: &Dataset,
    encoder: &Encoder,
) -> Result<(EncoderInput, Option<EncoderInput>)> {
    let said = match &settings.input {
        Some(input) => Some(input.clone()),
        None => EncoderInput::of(encoder.model())?,
    };
    let done = dataset.normalise();
    let Some(Some(first)) = done.first() else {
        if done.iter().any(Option::is_some) {
            return Err(Error::new(
                Kind::Argument,
                "some groups of views are normalised and some not",
            )
            .help("normalise all of them in the recipe, or none"));
        }
        let input = said.unwrap_or_default();
        return Ok((input.clone(), Some(input)));
    };
    let delivered = EncoderInput::normalise(first.mean.clone(), first.std.clone())?;
    if done.iter().any(|one| one.as_ref() != Some(first)) {
        return Err(Error::new(Kind::Argument, "groups of views are normalised in different ways")
            .help("an encoder sees one kind of values: normalise all groups alike"));
    }
    if said.is_some_and(|said| said != delivered) {
        return Err(Error::new(
            Kind::Argument,
            "the recipe normalises images otherwise than the encoder expects",
        )
        .help("take `normalise` out of the recipe: training does it as the encoder wants"));
    }
    Ok((delivered, None))
}

/// Classes that no list of names tells of.
fn classes_of(dataset: &Dataset) -> usize {
    let generated = dataset.generated().ok();
    generated
        .and_then(|generated| generated.recipe().class())
        .map_or(0, |class| class.classes as usize)
}

/// The encoder as it came, with the parameters and statistics that it has now.
pub(super) fn trained(
    encoder: &Encoder,
    machine: &dyn Machine,
    input: &EncoderInput,
) -> Result<Model> {
    let mut values = HashMap::new();
    for (place, variable) in machine.variables().iter().enumerate() {
        if variable.initial == Initial::Encoder {
            values.insert(variable.name.clone(), machine.values(place)?.into_owned());
        }
    }
    input.written_into(&encoder.model().with_initializers(&values)?)
}

fn draw(folder: &Path, lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    write_whole(&folder.join("curves.svg"), plot(lines).as_bytes())
}
