//! A stream against stored datasets: who delivers more images a second, at what cost.
//!
//! All contenders are in one process and take turns, for as many rounds as are asked for, there and
//! back, so that nobody always follows the same neighbour. Each has the same loader's settings, is
//! consumed in the same way, and has no thread at work while others have their turns. What is
//! reported is medians over the rounds; ratios are taken round by round.

mod break_even;
mod exports;
mod line_up;
mod plot;
mod report;
mod rival;
mod turn;

use std::path::PathBuf;

pub use break_even::{BreakEven, Costs};
pub use exports::{Absent, Exports};
pub use line_up::{Against, LineUp, OwnSamples, Step};
pub use plot::plot;
pub use report::{Comparison, Contender, Measured, Speed};
pub use rival::{Origin, Rival};

use super::measure::Settings;
use crate::error::{Result, ResultExt};
use crate::load::{Dataset, LoaderBuilder, Stop};
use crate::process::peak_resident_bytes;
use report::median_of;
use rival::generator_bytes;
use turn::{Order, Rules, Runner};

/// Measures `dataset` and its rivals in turn; all have loaders that `set_up` sets up. `progress` is
/// told how many of the turns are done.
///
/// # Errors
/// Those of the loaders, naming the rival; [`Kind::Interrupted`](crate::Kind::Interrupted) if `stop`
/// is used.
pub fn compare(
    dataset: &Dataset,
    rivals: &[Rival],
    set_up: &dyn Fn(LoaderBuilder) -> LoaderBuilder,
    settings: &Settings,
    stop: &Stop,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Comparison> {
    settings.check()?;
    let rules = Rules { set_up, settings, stop };
    let mut runners = vec![Runner::new(0, dataset, Order::Straight)];
    for (number, rival) in rivals.iter().enumerate() {
        let mut add = |order| runners.push(Runner::new(number + 1, &rival.dataset, order));
        add(Order::Straight);
        if rival.dataset.is_stored() {
            add(Order::Shuffled);
        }
        if rival.mapped {
            add(Order::Mapped);
        }
    }
    let (mut done, total) = (0, settings.rounds * runners.len());
    for round in 0..settings.rounds {
        let last = runners.len() - 1;
        for place in 0..=last {
            let place = if round % 2 == 0 { place } else { last - place };
            let runner = &mut runners[place];
            let name = runner.contender.checked_sub(1).map(|number| rivals[number].name.as_str());
            runner.turn(&rules).at(|| name.unwrap_or(dataset.name()))?;
            done += 1;
            progress(done, total);
        }
    }
    results(dataset, rivals, &runners)
}

fn results(dataset: &Dataset, rivals: &[Rival], runners: &[Runner<'_>]) -> Result<Comparison> {
    let origin = dataset.generated().ok();
    let generator = origin.map(generator_bytes).transpose()?;
    let live = contender(Subject::live(dataset, generator), runners, 0);
    let generate = origin.map(|_| 1.0 / live.speed.images_per_second);
    let weighed = |subject: Subject<'_>, number| {
        let stored = subject.dataset.is_stored();
        let mut contender = contender(subject, runners, number);
        contender.weigh(stored, generator, generate);
        contender
    };
    let against = rivals.iter().enumerate();
    Ok(Comparison {
        live: weighed(Subject::live(dataset, generator), 0),
        against: against.map(|(at, rival)| weighed(Subject::of(rival), at + 1)).collect(),
        absent: Vec::new(),
        peak_rss_bytes: peak_resident_bytes(),
    })
}

/// Who was measured.
struct Subject<'a> {
    name: String,
    path: Option<PathBuf>,
    origin: Origin,
    dataset: &'a Dataset,
    open_ms: Option<f64>,
    bytes: Option<u64>,
    store: Option<f64>,
}

impl<'a> Subject<'a> {
    fn live(dataset: &'a Dataset, bytes: Option<u64>) -> Self {
        let name = dataset.name().to_owned();
        let (path, open_ms, store) = (None, None, None);
        Self { name, path, origin: Origin::Live, dataset, open_ms, bytes, store }
    }

    fn of(rival: &'a Rival) -> Self {
        Self {
            name: rival.name.clone(),
            path: Some(rival.path.clone()),
            origin: rival.origin,
            dataset: &rival.dataset,
            open_ms: Some(rival.opened.as_secs_f64() * 1e3),
            bytes: rival.bytes,
            store: rival.store,
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn contender(subject: Subject<'_>, runners: &[Runner<'_>], number: usize) -> Contender {
    let Subject { name, path, origin, dataset, open_ms, bytes, store } = subject;
    let find =
        |order| runners.iter().find(|runner| runner.contender == number && runner.order == order);
    let speed = |order| find(order).map(|runner| Speed::of(runner, &runners[0]));
    let straight = find(Order::Straight).unwrap_or(&runners[0]);
    let turns = &straight.turns;
    let bytes_a_sample = match dataset.len() {
        Some(samples) if dataset.is_stored() => bytes.map(|bytes| bytes as f64 / samples as f64),
        _ => Some(dataset.sample_bytes() as f64),
    };
    let image = dataset.forms()[0].form.planes();
    Contender {
        name,
        path,
        origin,
        samples: dataset.len(),
        views: dataset.views(),
        image,
        speed: Speed::of(straight, &runners[0]),
        shuffled: speed(Order::Shuffled),
        without_copy: speed(Order::Mapped),
        open_ms,
        first_batch_ms: median_of(turns, |turn| Some(turn.first_batch.as_secs_f64() * 1e3))
            .unwrap_or_default(),
        bytes_on_disk: bytes,
        bytes_a_sample,
        samples_in_generator: None,
        store_microseconds_an_image: store.map(|seconds| seconds * 1e6),
        break_even: None,
    }
}
