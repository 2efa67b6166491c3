//! Rounds of ceiling and loader in turn.

use std::thread;
use std::time::{Duration, Instant};

use super::ceiling::Ceiling;
use super::report::{Occupancies, Report, Shares, StageTimes, WaitMs, median, peak_rss_bytes};
use crate::error::{Error, Kind, Result};
use crate::load::{Dataset, Loader, LoaderBuilder, Statistics, Stop};
use crate::process::cpu_time;
use crate::recipe::Recipe;
use crate::sample::Echo;

/// Batches that are not counted.
pub(super) const WARM_UP: usize = 4;

/// How to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rounds of each kind.
    pub rounds: usize,
    /// Length of one round.
    pub round: Duration,
    /// What the consumer does with every batch: it sleeps for this long, as a training step on a
    /// device would let it.
    pub consumer: Duration,
}

impl Settings {
    /// Whether anything is measured.
    pub(super) fn check(&self) -> Result<()> {
        match self.rounds {
            0 => Err(Error::new(Kind::Argument, "a benchmark needs at least one round")),
            _ => Ok(()),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { rounds: 5, round: Duration::from_secs(2), consumer: Duration::ZERO }
    }
}

/// Measures the loader that `set_up` makes of `dataset`, against the bare generator if it has one.
/// `progress` is told how many of the rounds are done.
///
/// # Errors
/// Those of the loader; [`Kind::Interrupted`] if `stop` is used.
pub fn run(
    dataset: &Dataset,
    set_up: &dyn Fn(LoaderBuilder) -> LoaderBuilder,
    settings: &Settings,
    stop: &Stop,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report> {
    settings.check()?;
    // Stored images have no generator, and so no ceiling.
    let origin = dataset.generated().ok();
    let begun = Instant::now();
    let endless = || set_up(dataset.loader()).epochs(None).stop(stop.clone()).build();
    let mut loader = endless()?;
    let batch = next(&mut loader)?.len();
    let first_batch_ms = begun.elapsed().as_secs_f64() * 1e3;
    let (workers, prefetch) = (loader.workers(), loader.prefetch());
    drop(loader);
    let mut ceiling = origin.map(|_| Ceiling::new(dataset, workers)).transpose()?;

    let (mut ceilings, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut waits = Vec::new();
    let mut statistics = Statistics::default();
    let kinds = 1 + usize::from(ceiling.is_some());
    let (mut done, total) = (0, settings.rounds * kinds);
    // Of each delivered image that is no echo.
    let made = origin.map_or(0.0, |origin| {
        let views = &origin.recipe().views;
        f64::from(views.rows()) / f64::from(views.count())
    });
    let (mut generated, mut different) = (Vec::new(), (0, 0));
    // A loader with echoes stays, as it has what it needs for them; any other would prefetch while
    // the ceiling is measured, and is made anew for each round.
    let mut staying = match echoing(dataset) {
        Some(recipe) => Some(with_every_echo(endless()?, recipe)?),
        None => None,
    };
    let before = staying.as_ref().map(Loader::statistics);
    for _ in 0..settings.rounds {
        let most = match &mut ceiling {
            Some(ceiling) => {
                let most = ceiling.measure(settings.round, stop)?;
                done += 1;
                progress(done, total);
                Some(most)
            }
            None => None,
        };
        let (mut loader, echoes) = match staying.take() {
            Some(loader) => (loader, true),
            None => (endless()?, false),
        };
        // What has been prefetched meanwhile is not counted.
        let warm_up = if echoes { WARM_UP + prefetch } else { WARM_UP };
        let Consumed { rate, statistics: delivered, .. } =
            consume(&mut loader, settings, warm_up, &mut waits)?;
        rates.push(rate);
        different = (different.0 + delivered.unique, different.1 + delivered.samples);
        statistics = delivered;
        staying = echoes.then_some(loader);
        done += 1;
        progress(done, total);
        if let Some(most) = most {
            let own = if echoes { delivered.generated_per_second() } else { rate * made };
            generated.push(own);
            ceilings.push(most);
            ratios.push(own / most);
        }
    }
    let cache =
        staying.zip(before).and_then(|(loader, before)| loader.statistics().since(&before).cache);
    let images_per_second = median(&mut rates);
    let middle = |values: &mut Vec<f64>| origin.is_some().then(|| median(values));
    #[allow(clippy::cast_precision_loss)]
    let image_bytes = dataset.sample_bytes() as f64 / dataset.views() as f64;
    Ok(Report {
        recipe: dataset.name().to_owned(),
        digest: dataset.digest().to_string(),
        images_per_second,
        generated_images_per_second: middle(&mut generated),
        unique_ratio: Statistics { unique: different.0, samples: different.1, ..statistics }
            .unique_ratio(),
        cache,
        ceiling_images_per_second: middle(&mut ceilings),
        efficiency: middle(&mut ratios),
        bytes_per_second: images_per_second * image_bytes,
        wait_ms: WaitMs::of(&mut waits),
        first_batch_ms,
        limiting_stage: statistics.limiting_stage().name(),
        shares: Shares::of(&statistics),
        occupancy: Occupancies::of(&statistics.queues),
        microseconds_an_image: StageTimes::of(&statistics),
        peak_rss_bytes: peak_rss_bytes(),
        batch,
        views: dataset.views(),
        block: origin.map(|origin| origin.recipe().generator.block),
        workers,
        prefetch,
        rounds: settings.rounds,
        round_seconds: settings.round.as_secs_f64(),
        consumer_ms: settings.consumer.as_secs_f64() * 1e3,
        runtime: origin.map(|origin| origin.runtime().version().to_owned()),
        rewrites: origin.map_or_else(Vec::new, |origin| origin.rewrites().to_vec()),
    })
}

/// The recipe of a dataset whose samples come again.
pub(super) fn echoing(dataset: &Dataset) -> Option<&Recipe> {
    let recipe = dataset.generated().ok()?.recipe();
    recipe.cache.is_some().then_some(recipe)
}

pub(super) fn next(loader: &mut Loader) -> Result<crate::load::Batch> {
    loader.next().unwrap_or_else(|| {
        Err(Error::new(Kind::Argument, "the dataset ended; a benchmark needs one sample at least"))
    })
}

/// Streams until every round of the dataset has all of its echoes, or to the dataset's end.
pub(super) fn with_every_echo(mut loader: Loader, recipe: &Recipe) -> Result<Loader> {
    let steady = Echo::of(recipe).steady();
    while loader.state().epoch == 0 && loader.state().next < steady {
        next(&mut loader)?;
    }
    Ok(loader)
}

/// What was delivered in one round.
pub(super) struct Consumed {
    /// Images a second.
    pub rate: f64,
    /// Seconds that all threads of the process worked for an image, where the system says.
    pub work: Option<f64>,
    /// What the loader did in that time.
    pub statistics: Statistics,
}

/// Consumes for one round, once `warm_up` batches have brought the pipeline into its steady state.
pub(super) fn consume(
    loader: &mut Loader,
    settings: &Settings,
    warm_up: usize,
    waits: &mut Vec<Duration>,
) -> Result<Consumed> {
    for _ in 0..warm_up {
        next(loader)?;
        thread::sleep(settings.consumer);
    }
    let (begun, worked, before) = (Instant::now(), cpu_time(), loader.statistics());
    let mut images = 0;
    while begun.elapsed() < settings.round {
        let asked = Instant::now();
        let batch = next(loader)?;
        waits.push(asked.elapsed());
        images += batch.len() * batch.groups().iter().map(|group| group.shape()[1]).sum::<usize>();
        drop(batch);
        thread::sleep(settings.consumer);
    }
    #[allow(clippy::cast_precision_loss)]
    let images = images as f64;
    let rate = images / begun.elapsed().as_secs_f64();
    let work = cpu_time().zip(worked).map(|(now, then)| (now - then).as_secs_f64() / images);
    Ok(Consumed { rate, work, statistics: loader.statistics().since(&before) })
}
