//! One contender's turn: a loader made, brought into its steady state, measured, and dropped, so
//! that nothing is read or generated ahead while another one has its turn.

use std::time::{Duration, Instant};

use crate::bench::measure::{Consumed, Settings, WARM_UP, consume, echoing, next, with_every_echo};
use crate::error::Result;
use crate::load::{Dataset, Loader, LoaderBuilder, Stop};

/// Seeds the order of shuffled turns; any will do.
const SEED: u64 = 0;

/// How a dataset is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As it lies, or as it is generated.
    Straight,
    /// In an order that is drawn.
    Shuffled,
    /// As it lies, without a copy.
    Mapped,
}

/// What came of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Images a second.
    pub rate: f64,
    /// Seconds of work for an image, of all threads.
    pub work: Option<f64>,
    /// From building the loader to its first batch.
    pub first_batch: Duration,
}

/// A dataset in one order.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    /// The row of the table that it belongs to.
    pub contender: usize,
    pub order: Order,
    dataset: &'a Dataset,
    /// A loader with echoes, which stays as it has what it needs for them. It generates ahead until
    /// its window is full, and then it sleeps.
    staying: Option<Loader>,
    pub turns: Vec<Turn>,
}

/// What all turns share.
pub(super) struct Rules<'a> {
    pub set_up: &'a dyn Fn(LoaderBuilder) -> LoaderBuilder,
    pub settings: &'a Settings,
    pub stop: &'a Stop,
}

impl<'a> Runner<'a> {
    pub fn new(contender: usize, dataset: &'a Dataset, order: Order) -> Self {
        Self { contender, order, dataset, staying: None, turns: Vec::new() }
    }

    pub fn turn(&mut self, rules: &Rules<'_>) -> Result<()> {
        rules.stop.check()?;
        let begun = Instant::now();
        let (mut loader, stayed, first_batch) = match self.staying.take() {
            Some(loader) => (loader, true, self.turns[0].first_batch),
            None => {
                let mut loader = self.loader(rules)?;
                next(&mut loader)?;
                (loader, false, begun.elapsed())
            }
        };
        let echoes = echoing(self.dataset);
        if let (Some(recipe), false) = (echoes, stayed) {
            loader = with_every_echo(loader, recipe)?;
        }
        // What was prefetched meanwhile is not counted.
        let warm_up = if stayed { WARM_UP + loader.prefetch() } else { WARM_UP };
        let Consumed { rate, work, .. } =
            consume(&mut loader, rules.settings, warm_up, &mut Vec::new())?;
        self.turns.push(Turn { rate, work, first_batch });
        self.staying = echoes.map(|_| loader);
        Ok(())
    }

    fn loader(&self, rules: &Rules<'_>) -> Result<Loader> {
        let builder = (rules.set_up)(self.dataset.loader()).epochs(None).stop(rules.stop.clone());
        match self.order {
            Order::Straight => builder,
            Order::Shuffled => builder.shuffle(SEED),
            Order::Mapped => builder.zero_copy(true),
        }
        .build()
    }

    /// Images a second, round by round.
    pub fn rates(&self) -> Vec<f64> {
        self.turns.iter().map(|turn| turn.rate).collect()
    }
}
