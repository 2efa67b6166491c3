//! Rounds of ceiling and loader in turn.

use std::thread;
use std::time::{Duration, Instant};

use super::ceiling::Ceiling;
use super::report::{Occupancies, Report, Shares, StageTimes, WaitMs, median, peak_rss_bytes};
use crate::error::{Error, Kind, Result};
use crate::load::{Dataset, Loader, LoaderBuilder, Statistics, Stop};
use crate::recipe::Recipe;
use crate::sample::Echo;

/// Batches that are not counted.
const WARM_UP: usize = 4;

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

impl Default for Settings {
    fn default() -> Self {
        Self { rounds: 5, round: Duration::from_secs(2), consumer: Duration::ZERO }
    }
}

/// Measures the loader that `set_up` makes of `dataset` against the bare generator. `progress` is
/// told how many of the rounds are done.
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
    if settings.rounds == 0 {
        return Err(Error::new(Kind::Argument, "a benchmark needs at least one round"));
    }
    let origin = dataset.generated()?;
    let recipe = origin.recipe();
    let begun = Instant::now();
    let endless = || set_up(dataset.loader()).epochs(None).stop(stop.clone()).build();
    let mut loader = endless()?;
    let batch = next(&mut loader)?.len();
    let first_batch_ms = begun.elapsed().as_secs_f64() * 1e3;
    let (workers, prefetch) = (loader.workers(), loader.prefetch());
    drop(loader);
    let mut ceiling = Ceiling::new(dataset, workers)?;

    let (mut ceilings, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut waits = Vec::new();
    let mut statistics = Statistics::default();
    let total = settings.rounds * 2;
    let views = &recipe.views;
    // Of each delivered image that is no echo.
    let made = f64::from(views.rows()) / f64::from(views.count());
    let (mut generated, mut different) = (Vec::new(), (0, 0));
    // A loader with echoes stays, as it has what it needs for them; any other would prefetch while
    // the ceiling is measured, and is made anew for each round.
    let mut staying = match recipe.cache {
        Some(_) => Some(with_every_echo(endless()?, recipe)?),
        None => None,
    };
    let before = staying.as_ref().map(Loader::statistics);
    for round in 0..settings.rounds {
        ceilings.push(ceiling.measure(settings.round, stop)?);
        progress(2 * round + 1, total);
        let (mut loader, echoes) = match staying.take() {
            Some(loader) => (loader, true),
            None => (endless()?, false),
        };
        // What has been prefetched meanwhile is not counted.
        let warm_up = if echoes { WARM_UP + prefetch } else { WARM_UP };
        let (rate, delivered) = consume(&mut loader, settings, warm_up, &mut waits)?;
        rates.push(rate);
        generated.push(if echoes { delivered.generated_per_second() } else { rate * made });
        different = (different.0 + delivered.unique, different.1 + delivered.samples);
        statistics = delivered;
        staying = echoes.then_some(loader);
        progress(2 * round + 2, total);
        ratios.push(generated[round] / ceilings[round]);
    }
    let cache =
        staying.zip(before).and_then(|(loader, before)| loader.statistics().since(&before).cache);
    let images_per_second = median(&mut rates);
    #[allow(clippy::cast_precision_loss)]
    let image_bytes = dataset.sample_bytes() as f64 / f64::from(views.count());
    Ok(Report {
        recipe: recipe.name.clone(),
        digest: dataset.digest().to_string(),
        images_per_second,
        generated_images_per_second: median(&mut generated),
        unique_ratio: Statistics { unique: different.0, samples: different.1, ..statistics }
            .unique_ratio(),
        cache,
        ceiling_images_per_second: median(&mut ceilings),
        efficiency: median(&mut ratios),
        bytes_per_second: images_per_second * image_bytes,
        wait_ms: WaitMs::of(&mut waits),
        first_batch_ms,
        limiting_stage: statistics.limiting_stage().name(),
        shares: Shares::of(&statistics),
        occupancy: Occupancies::of(&statistics.queues),
        microseconds_an_image: StageTimes::of(&statistics),
        peak_rss_bytes: peak_rss_bytes(),
        batch,
        views: views.count() as usize,
        block: recipe.generator.block,
        workers,
        prefetch,
        rounds: settings.rounds,
        round_seconds: settings.round.as_secs_f64(),
        consumer_ms: settings.consumer.as_secs_f64() * 1e3,
        runtime: origin.runtime().version().to_owned(),
        rewrites: origin.rewrites().to_vec(),
    })
}

fn next(loader: &mut Loader) -> Result<crate::load::Batch> {
    loader.next().unwrap_or_else(|| {
        Err(Error::new(Kind::Argument, "the dataset ended; a benchmark needs one sample at least"))
    })
}

/// Streams until every round of the dataset has all of its echoes, or to the dataset's end.
fn with_every_echo(mut loader: Loader, recipe: &Recipe) -> Result<Loader> {
    let steady = Echo::of(recipe).steady();
    while loader.state().epoch == 0 && loader.state().next < steady {
        next(&mut loader)?;
    }
    Ok(loader)
}

/// Images a second delivered in one round, once `warm_up` batches have brought the pipeline into
/// its steady state, and what the loader did in that time.
fn consume(
    loader: &mut Loader,
    settings: &Settings,
    warm_up: usize,
    waits: &mut Vec<Duration>,
) -> Result<(f64, Statistics)> {
    for _ in 0..warm_up {
        next(loader)?;
        thread::sleep(settings.consumer);
    }
    let (begun, before) = (Instant::now(), loader.statistics());
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
    let rate = images as f64 / begun.elapsed().as_secs_f64();
    Ok((rate, loader.statistics().since(&before)))
}
