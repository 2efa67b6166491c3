//! What the command's verbs do, for Python: each works without the interpreter's lock and ends on Ctrl-C.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use genset::bench::{self, Against, LineUp, Measured, OwnSamples, Step};
use genset::codec::Encoding;
use genset::evaluate::attribute::{self, AttributeAudit};
use genset::evaluate::audit::{Audit, Subject, write_pairs_sheet};
use genset::evaluate::{Probe, Regularisation};
use genset::graph::{Model, Weights};
use genset::load::{LoaderBuilder, Options, Stop};
use genset::recipe::Precision;
use genset::runtime::{Package, Runtime, SessionOptions};
use genset::shard::{Contents, Export, ShardSize, Shards, Verified, Verify, embedded_recipe};
use genset::train::{Architecture, Encoder, Settings, Training};
use genset::{Error, Kind, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;
use serde_json::json;

use crate::dataset::Dataset;
use crate::error::Raise;
use crate::settings::{Engine, Spec};
use crate::signals::interruptible;

/// What is told how far the work is: `progress(done, total)`.
struct Progress<'w> {
    callback: Option<Py<PyAny>>,
    /// What it raised first.
    raised: Mutex<Option<PyErr>>,
    /// Ends the work when it raises.
    stop: &'w Stop,
}

impl Progress<'_> {
    fn tell(&self, done: u64, total: u64) {
        let Some(callback) = self.callback.as_ref().filter(|_| !self.stop.is_stopped()) else {
            return;
        };
        if let Err(exception) = Python::attach(|py| callback.call1(py, (done, total)).map(drop)) {
            self.stop.stop();
            let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
            raised.get_or_insert(exception);
        }
    }
}

/// Does the work of a verb, and gives what it reports as Python has it. What the callback raised is
/// raised.
fn reported<'py, T: Serialize + Send>(
    py: Python<'py>,
    callback: Option<Py<PyAny>>,
    work: impl FnOnce(&Progress<'_>) -> Result<T> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let mut raised = None;
    let report = interruptible(py, |stop| {
        let progress = Progress { callback, raised: Mutex::new(None), stop };
        let report = work(&progress);
        raised = progress.raised.into_inner().unwrap_or_else(PoisonError::into_inner);
        report
    });
    let report = raised.map_or(report, Err)?;
    Ok(pythonize::pythonize(py, &report)?)
}

/// What of a loader is set for verbs.
#[derive(Debug, Clone, FromPyObject)]
pub(crate) struct Reading {
    batch: usize,
    workers: Option<usize>,
    prefetch: usize,
    memory: u64,
}

impl Reading {
    fn set_up(&self, builder: LoaderBuilder) -> LoaderBuilder {
        let builder = builder.batch(self.batch).prefetch(self.prefetch).memory(self.memory);
        match self.workers {
            Some(workers) => builder.workers(workers),
            None => builder,
        }
    }
}

/// What is exported, and how.
#[derive(Debug, FromPyObject)]
pub(crate) struct ExportSettings {
    format: String,
    images: Option<String>,
    first: Option<u64>,
    samples: Option<u64>,
    shard_bytes: Option<u64>,
    shard_samples: Option<u64>,
    latents: bool,
    parameters: bool,
    rows: bool,
    rank: Option<(u64, u64)>,
}

impl ExportSettings {
    fn export(&self, stop: &Stop) -> Result<Export> {
        let usual = Export::default();
        let size = match (self.shard_samples, self.shard_bytes) {
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    Kind::Argument,
                    "shards have a size in bytes or in samples",
                )
                .help("leave out shard_bytes or shard_samples"));
            }
            (Some(samples), None) => ShardSize::Samples(samples),
            (None, Some(bytes)) => ShardSize::Bytes(bytes),
            (None, None) => usual.size,
        };
        Ok(Export {
            format: self.format.parse()?,
            encoding: self.images.as_deref().map(Encoding::parse).transpose()?,
            from: self.first,
            samples: self.samples,
            size,
            latents: self.latents,
            parameters: self.parameters,
            contents: if self.rows { Contents::Rows } else { Contents::Delivered },
            rank: self.rank,
            stop: stop.clone(),
        })
    }
}

/// Writes samples to disk as shards.
#[pyfunction]
pub(crate) fn export<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
    folder: PathBuf,
    settings: ExportSettings,
    reading: Reading,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.get();
    reported(py, progress, |progress| {
        let set_up = |builder| reading.set_up(builder);
        let mut watch = |now: &genset::shard::Progress| progress.tell(now.samples, now.of);
        let export = settings.export(progress.stop)?;
        export.run(dataset.opened()?, &folder, &set_up, &mut watch)
    })
}

/// What was seen of shards, and whether all of it is as it should be.
#[derive(Debug, Serialize)]
struct Checked {
    good: bool,
    #[serde(flatten)]
    verified: Verified,
}

/// Checks shards.
#[pyfunction]
pub(crate) fn verify<'py>(
    py: Python<'py>,
    folder: PathBuf,
    dataset: Option<&Bound<'py, Dataset>>,
    regenerate: u64,
    seed: u64,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.map(Bound::get);
    reported(py, progress, |progress| {
        let shards = Shards::open(&folder)?;
        let manifest = shards.manifest();
        let embedded = match (regenerate, dataset) {
            (1.., None) => {
                Some(genset::Dataset::from_recipe(embedded_recipe(manifest)?, Options::default())?)
            }
            _ => None,
        };
        let dataset = match dataset {
            Some(dataset) => Some(dataset.opened()?),
            None => embedded.as_ref(),
        };
        let total = manifest.there();
        let verify = Verify { regenerate, seed, stop: progress.stop.clone() };
        let verified = verify.run(&folder, dataset, &|done| progress.tell(done, total))?;
        Ok(Checked { good: verified.is_good(), verified })
    })
}

/// How an encoder is probed.
#[derive(Debug, FromPyObject)]
pub(crate) struct ProbeSettings {
    output: Option<String>,
    neighbours: Option<usize>,
    l2: Option<f64>,
    baselines: bool,
    limit: Option<u64>,
    test_limit: Option<u64>,
    seed: u64,
    batch: usize,
    workers: Option<usize>,
}

/// What an encoder is worth.
#[pyfunction]
pub(crate) fn probe<'py>(
    py: Python<'py>,
    encoder: PathBuf,
    train: &Bound<'py, Dataset>,
    test: &Bound<'py, Dataset>,
    settings: ProbeSettings,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (train, test) = (train.get(), test.get());
    reported(py, progress, |progress| {
        let probe = Probe {
            output: settings.output.clone(),
            linear: Some(settings.l2.map_or(Regularisation::Chosen, Regularisation::Fixed)),
            neighbours: settings.neighbours,
            baselines: settings.baselines,
            limit: settings.limit,
            test_limit: settings.test_limit,
            seed: settings.seed,
            batch: settings.batch,
            workers: settings.workers,
            ..Probe::default()
        };
        let options = Options { settings: Vec::new(), ..train.spec().options().clone() };
        let mut tell = |now: genset::evaluate::Progress| progress.tell(now.done, now.total);
        let model = Model::read(&encoder)?;
        let pair = [train.opened()?, test.opened()?];
        probe.run(&model, pair, &options, progress.stop, &mut tell)
    })
}

/// How a dataset is audited.
#[derive(Debug, FromPyObject)]
pub(crate) struct AuditSettings {
    output: Option<String>,
    samples: u64,
    limit: Option<u64>,
    neighbours: usize,
    level: f64,
    seed: u64,
    batch: usize,
    workers: Option<usize>,
    sheet: Option<PathBuf>,
    pairs: usize,
}

/// Whether a generated dataset copies the real images, and has their variety.
#[pyfunction]
pub(crate) fn audit<'py>(
    py: Python<'py>,
    generated: &Bound<'py, Dataset>,
    real: &Bound<'py, Dataset>,
    held_out: Option<&Bound<'py, Dataset>>,
    encoder: Option<PathBuf>,
    settings: AuditSettings,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (generated, real, held_out) = (generated.get(), real.get(), held_out.map(Bound::get));
    reported(py, progress, |progress| {
        let audit = Audit {
            samples: settings.samples,
            limit: settings.limit,
            neighbours: settings.neighbours,
            level: settings.level,
            seed: settings.seed,
            output: settings.output.clone(),
            batch: settings.batch,
            workers: settings.workers,
            ..Audit::default()
        };
        let options = Options { settings: Vec::new(), ..generated.spec().options().clone() };
        let encoder = encoder.map(|path| Model::read(&path)).transpose()?;
        let subject = Subject {
            generated: generated.opened()?,
            real: real.opened()?,
            held_out: held_out.map(|dataset| dataset.opened()).transpose()?,
            encoder: encoder.as_ref(),
        };
        let mut tell = |now: genset::evaluate::audit::Progress| progress.tell(now.done, now.total);
        let report = audit.run(&subject, &options, progress.stop, &mut tell)?;
        if let Some(path) = &settings.sheet {
            let pair = [subject.generated, subject.real];
            write_pairs_sheet(path, &report, pair, settings.pairs, progress.stop)?;
        }
        Ok(report)
    })
}

/// How edits are audited.
#[derive(Debug, FromPyObject)]
pub(crate) struct AttributeSettings {
    attributes: Vec<String>,
    output: Option<String>,
    samples: u64,
    first: Option<u64>,
    seed: u64,
}

/// What a recipe's edits do to attributes of its images.
#[pyfunction]
pub(crate) fn audit_attributes<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
    encoder: Option<PathBuf>,
    settings: AttributeSettings,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.get();
    reported(py, progress, |progress| {
        let audit = AttributeAudit {
            attributes: settings.attributes.clone(),
            train: settings.samples.saturating_mul(2),
            test: settings.samples,
            first: settings.first,
            seed: settings.seed,
            ..AttributeAudit::default()
        };
        let model = encoder.map(|path| Model::read(&path)).transpose()?;
        let output = settings.output.as_deref();
        let encoder = model.as_ref().map(|model| attribute::Encoder { model, input: None, output });
        let generated = dataset.opened()?.generated()?;
        let mut tell = |_, done, total| progress.tell(done, total);
        audit.run(generated.recipe(), encoder, generated.options(), progress.stop, &mut tell)
    })
}

/// How an encoder is trained, in the words of the command line.
#[derive(Debug, FromPyObject)]
pub(crate) struct TrainSettings {
    objective: String,
    head: Vec<usize>,
    optimizer: String,
    learning_rate: Option<f32>,
    schedule: String,
    warmup: Option<u64>,
    steps: u64,
    batch: usize,
    accumulate: u64,
    clip: Option<f32>,
    seed: u64,
    restart: bool,
    features: Option<String>,
    log_every: u64,
    save_every: u64,
    keep: usize,
    precision: String,
    step_threads: Option<usize>,
    workers: usize,
}

impl TrainSettings {
    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            objective: self.objective.parse()?,
            head: self.head.clone(),
            optimizer: self.optimizer.parse()?,
            rate: self.learning_rate,
            schedule: self.schedule.parse()?,
            warmup: self.warmup,
            steps: self.steps,
            batch: self.batch,
            accumulate: self.accumulate,
            clip: self.clip,
            seed: self.seed,
            restart: self.restart,
            input: None,
        })
    }

    fn precision(&self) -> Result<Precision> {
        let found = Precision::ALL.iter().find(|(name, _)| *name == self.precision);
        found.map(|(_, precision)| *precision).ok_or_else(|| {
            let message = format!("unknown precision `{}`", self.precision);
            Error::new(Kind::Argument, message).help("f32, bf16 or f16")
        })
    }
}

/// Trains an encoder on the views of a dataset.
#[pyfunction]
pub(crate) fn train<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
    encoder: PathBuf,
    folder: PathBuf,
    settings: TrainSettings,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.get();
    reported(py, progress, |progress| {
        let options = dataset.spec().options();
        let encoder = Encoder::read(&encoder, settings.features.as_deref())?;
        let mut training = Training::new(settings.settings()?, Runtime::open(&options.search)?);
        training.session = SessionOptions {
            precision: settings.precision()?,
            ..options.session(settings.step_threads.unwrap_or_else(cores))
        };
        training.log_every = settings.log_every;
        training.save_every = settings.save_every;
        training.keep = settings.keep;
        training.stop = progress.stop.clone();
        training.loader = Box::new(|builder: LoaderBuilder| builder.workers(settings.workers));
        let mut watch = |line: &genset::train::Line| progress.tell(line.step, settings.steps);
        let trained = training.run(dataset.opened()?, &encoder, &folder, &mut watch)?;
        Ok(json!({
            "encoder": trained.path,
            "steps": trained.steps,
            "resumed": trained.resumed,
            "parameters": trained.parameters,
            "seconds": trained.time.as_secs_f64(),
            "step_seconds": trained.step_seconds,
            "data_wait": trained.data_wait,
            "lines": trained.lines,
        }))
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Writes an untrained encoder; gives how many parameters it has.
#[pyfunction]
pub(crate) fn make_encoder(
    py: Python<'_>,
    architecture: &str,
    file: PathBuf,
    channels: usize,
    size: usize,
    seed: u64,
) -> PyResult<u64> {
    interruptible(py, |_| {
        let model = architecture.parse::<Architecture>()?.build(channels, size, seed)?;
        model.write_to(&file, Weights::Inside)?;
        Ok(model.parameters())
    })
}

/// What is measured, and what it is compared with.
#[derive(Debug, FromPyObject)]
pub(crate) struct BenchSettings {
    rounds: usize,
    seconds: f64,
    against: Vec<PathBuf>,
    exports: bool,
    samples: Option<u64>,
    folder: Option<PathBuf>,
    plot: Option<PathBuf>,
}

impl BenchSettings {
    fn against(&self) -> Result<Against> {
        let own = OwnSamples { folder: self.folder.clone(), samples: self.samples };
        if !self.exports && (own.folder.is_some() || own.samples.is_some()) {
            return Err(Error::new(Kind::Argument, "folder and samples are those of exports")
                .help("say exports=True, or leave them out"));
        }
        if !self.exports && self.against.is_empty() && self.plot.is_some() {
            return Err(Error::new(Kind::Argument, "a plot is of a comparison")
                .help("say against=[...] or exports=True, or leave it out"));
        }
        let exports = self.exports.then_some(own);
        Ok(Against { paths: self.against.clone(), exports, plot: self.plot.clone() })
    }

    fn settings(&self) -> Result<bench::Settings> {
        let round = duration("a round", self.seconds)?;
        Ok(bench::Settings { rounds: self.rounds, round, consumer: Duration::ZERO })
    }
}

/// How long `what` takes.
fn duration(what: &str, seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::new(Kind::Argument, format!("{what} of {seconds} seconds")))
}

/// Images a second, against the bare generator and what is stored, in one run.
#[pyfunction]
pub(crate) fn benchmark<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
    settings: BenchSettings,
    reading: Reading,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.get();
    reported(py, progress, |progress| {
        let (against, rounds) = (settings.against()?, settings.settings()?);
        let options = dataset.spec().options();
        let dataset = dataset.opened()?;
        let line_up = against.open(dataset, options)?;
        let set_up = |builder| reading.set_up(builder);
        let stop = progress.stop;
        let mut tell = |done, total| progress.tell(done as u64, total as u64);
        let report = bench::run(dataset, &set_up, &rounds, stop, &mut tell)?;
        let compare = |line_up: LineUp| {
            let rate = report.images_per_second;
            line_up.compare(dataset, rate, &set_up, &rounds, stop, &mut |step| match step {
                Step::Write { done, of, .. } | Step::Measure { done, of } => {
                    progress.tell(done, of)
                }
            })
        };
        let comparison = line_up.map(compare).transpose()?;
        Ok(Measured { report, comparison })
    })
}

/// What a generator is: a path, or a recipe's table, with settings over it.
#[pyfunction]
pub(crate) fn inspect<'py>(
    py: Python<'py>,
    target: &Bound<'py, PyAny>,
    settings: &Bound<'py, PyDict>,
    folder: PathBuf,
    engine: Engine,
    output: Option<PathBuf>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = engine.options().raise(py)?;
    let spec = Spec::new(target, settings, folder, options)?;
    reported(py, None, |_| {
        let inspection = spec.inspect(output.as_deref())?;
        if let Some(file) = output {
            inspection.write(&file)?;
        }
        Ok(inspection)
    })
}

/// How far a dataset's precision is from f32.
#[pyfunction]
pub(crate) fn inspect_precision<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
    images: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.get();
    reported(py, None, |_| genset::inspect::precision(dataset.opened()?, images))
}

/// What runs where, node by node.
#[pyfunction]
pub(crate) fn inspect_providers<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.get();
    reported(py, None, |_| genset::inspect::placement(dataset.opened()?))
}

/// Which edits of the generator's graph pay on this machine.
#[pyfunction]
pub(crate) fn inspect_rewrites<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
    seconds: f64,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let dataset = dataset.get();
    reported(py, progress, |progress| {
        let budget = duration("a budget", seconds)?;
        let mut tell = |done, total| progress.tell(done as u64, total as u64);
        bench::measure_rewrites(dataset.opened()?, budget, progress.stop, &mut tell)
    })
}

/// Fetches ONNX Runtime or a provider, pinned by version and hash; gives the path of its library.
#[pyfunction]
pub(crate) fn install(py: Python<'_>, name: &str) -> PyResult<PathBuf> {
    interruptible(py, |_| {
        let package = Package::named(name)?;
        genset::runtime::install(package, &mut |line| eprintln!("genset: {line}"))
    })
}
