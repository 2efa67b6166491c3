//! Which edits of a generator's graph pay on this machine: measured, one against the other.
//!
//! First each kind of rewrite of nodes, wherever it fits, then single nodes: one done another way, a
//! rewrite more, a rewrite less; and last the edits that what the recipe says makes possible. Each
//! candidate runs in turn with the best so far, block by block with its views, and is taken if it is
//! faster by [`MARGIN`] and in nearly all of the rounds. The search is greedy: edits of different
//! nodes hardly depend on each other.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::report::median;
use crate::error::{Kind, Result};
use crate::generate::execution::{Change, Edit};
use crate::generate::precision::compare;
use crate::load::{BlockMaker, Dataset, Stop};

/// What has to be gained: less is not seen again in the next run.
const MARGIN: f64 = 0.03;

/// Rounds of a trial. Of so many, `SURE` must be faster.
const ROUNDS: u32 = 8;
const SURE: usize = 7;

/// The shortest time for which a rate is measured.
const SHORTEST: Duration = Duration::from_millis(10);

/// Images of which the largest difference is taken.
const COMPARED: usize = 64;

/// An edit, or one kind of them, that was tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TriedRewrite {
    /// What was put to what was taken before; empty if something was left out.
    pub with: Vec<Edit>,
    /// What was left out.
    pub without: Vec<Edit>,
    /// Images a second with it; 0 if it does not fit beside what was taken before.
    pub images_per_second: f64,
    /// How much faster it was than the best before it, as a factor: the median of the rounds.
    pub gain: f64,
    /// The largest difference from the exported graph, 1 being from black to white.
    pub difference: f64,
    /// Whether it is part of the best from then on.
    pub taken: bool,
    /// Why, or why not.
    pub why: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RewriteReport {
    /// The model's name.
    pub model: String,
    /// Execution providers.
    pub providers: Vec<String>,
    /// Threads inside a call.
    pub threads: usize,
    /// Rows of a block: samples × views.
    pub rows: usize,
    /// In the order in which they were tried.
    pub tried: Vec<TriedRewrite>,
    /// The best set that was found.
    pub taken: Vec<Edit>,
    /// Images a second of one session and its views with the graph as it was exported.
    pub exported_images_per_second: f64,
    /// The same with what was taken.
    pub images_per_second: f64,
    /// The median of the rounds of one by the other.
    pub gain: f64,
}

/// Two ways to execute in turn.
struct Trial {
    /// Images a second of the second.
    rate: f64,
    before: f64,
    /// Of each round, the second by the first.
    gain: f64,
    sure: bool,
}

/// Measures which edits of the graph of `dataset`'s generator pay, in about `budget`. `progress` is
/// told how many of how many trials are done; the latter may change.
///
/// One session runs at a time, on the threads that the dataset has inside a call.
///
/// # Errors
/// Those of opening and running the generator; [`crate::Kind::Interrupted`] if `stop` is used.
pub fn measure_rewrites(
    dataset: &Dataset,
    budget: Duration,
    stop: &Stop,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RewriteReport> {
    let generated = dataset.generated()?;
    let offers = generated.offers().edits();
    let of_node = |edit: &&Edit| matches!(edit.rewrite, Change::Node(_));
    let kinds = |edits: Vec<&Edit>| -> Vec<Vec<Edit>> {
        let mut kinds: Vec<Change> = edits.iter().map(|edit| edit.rewrite).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let of_kind = |kind| edits.iter().filter(move |edit| edit.rewrite == kind);
        kinds.into_iter().map(|kind| of_kind(kind).map(|edit| (*edit).clone()).collect()).collect()
    };
    let (nodes, others): (Vec<_>, Vec<_>) = offers.iter().partition(of_node);
    let mut candidates = kinds(nodes);
    let single: Vec<_> = candidates
        .iter()
        .filter(|kind| kind.len() > 1)
        .flatten()
        .map(|edit| vec![edit.clone()])
        .collect();
    candidates.extend(single);
    candidates.extend(kinds(others));
    let total = candidates.len() + 1;
    let mut search = Search {
        dataset,
        slice: budget / u32::try_from(total).unwrap_or(u32::MAX),
        stop,
        exported: dataset.executed_with(&[])?,
        best: dataset.executed_with(&[])?,
        tried: Vec::new(),
    };
    for edits in candidates {
        search.consider(edits)?;
        progress(search.tried.len(), total);
    }
    let last = search.trial(&search.exported, &search.best)?;
    progress(total, total);
    Ok(RewriteReport {
        model: generated.model().name().to_owned(),
        providers: generated.providers(),
        threads: generated.threads(),
        rows: dataset.block_inputs(0).rows,
        taken: search.best.generated()?.rewrites().to_vec(),
        tried: search.tried,
        exported_images_per_second: last.before,
        images_per_second: last.rate,
        gain: last.gain,
    })
}

struct Search<'a> {
    dataset: &'a Dataset,
    /// Time for one trial.
    slice: Duration,
    stop: &'a Stop,
    exported: Dataset,
    best: Dataset,
    tried: Vec<TriedRewrite>,
}

impl Search<'_> {
    /// Tries the best so far with `edits`, in place of what they exclude; or without them, if they
    /// are all in it.
    fn consider(&mut self, edits: Vec<Edit>) -> Result<()> {
        let offers = self.dataset.generated()?.offers();
        let before = self.best.generated()?.rewrites().to_vec();
        let (with, without): (Vec<Edit>, Vec<Edit>) =
            if edits.iter().all(|edit| before.contains(edit)) {
                // With them goes what needs them.
                let goes = |edit: &&Edit| {
                    let mut needed = offers.needs(edit);
                    edits.contains(edit) || needed.any(|needed| edits.contains(needed))
                };
                (Vec::new(), before.iter().filter(goes).cloned().collect())
            } else {
                let needed = edits.iter().flat_map(|edit| offers.needs(edit).cloned());
                let mut new: Vec<Edit> = needed.chain(edits.clone()).collect();
                new.retain(|edit| !before.contains(edit));
                new.sort_unstable();
                new.dedup();
                let excluded = |old: &&Edit| -> bool {
                    let new: &Vec<Edit> = &new;
                    new.iter().any(|edit| edit.excludes(old))
                };
                let without = before.iter().filter(excluded).cloned().collect();
                (new, without)
            };
        let kept = before.iter().filter(|edit| !without.contains(edit));
        let set: Vec<Edit> = kept.chain(&with).cloned().collect();
        let candidate = match self.dataset.executed_with(&set) {
            // What fits the exported graph may not fit one that others have changed.
            Err(error) if error.kind() == Kind::Argument => {
                let why = error.summary();
                self.tried.push(TriedRewrite { with, without, why, ..TriedRewrite::default() });
                return Ok(());
            }
            opened => opened?,
        };
        let trial = self.trial(&self.best, &candidate)?;
        let difference = difference(&self.exported, &candidate)?;
        let taken = trial.gain >= 1.0 + MARGIN && trial.sure;
        let percent = (trial.gain - 1.0) * 100.0;
        let why = match (taken, trial.sure) {
            (true, _) => format!("{percent:.0} % faster"),
            _ if percent <= 0.0 => format!("{:.0} % slower", -percent),
            (_, true) => format!("only {percent:.1} % faster"),
            (_, false) => format!("{percent:.1} % faster, which is within the noise"),
        };
        if taken {
            self.best = candidate;
        }
        self.tried.push(TriedRewrite {
            with,
            without,
            images_per_second: trial.rate,
            gain: trial.gain,
            difference,
            taken,
            why,
        });
        Ok(())
    }

    /// Rounds of both in turn.
    fn trial(&self, first: &Dataset, second: &Dataset) -> Result<Trial> {
        let mut makers = [first.block_maker()?, second.block_maker()?];
        for maker in &mut makers {
            maker.make()?;
        }
        let slice = (self.slice / (2 * ROUNDS)).max(SHORTEST);
        let (mut rates, mut gains) = ([Vec::new(), Vec::new()], Vec::new());
        for round in 0..ROUNDS as usize {
            self.stop.check()?;
            // Each is the first of its round in turn, as what ran before leaves the machine warm.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in order {
                rates[which].push(rate(&mut makers[which], slice)?);
            }
            gains.push(rates[1][round] / rates[0][round]);
        }
        let sure = gains.iter().filter(|gain| **gain > 1.0).count() >= SURE;
        let [before, rate] = &mut rates;
        Ok(Trial { rate: median(rate), before: median(before), gain: median(&mut gains), sure })
    }
}

/// Images a second, over `time` at least.
#[allow(clippy::cast_precision_loss)]
fn rate(maker: &mut BlockMaker, time: Duration) -> Result<f64> {
    let begun = Instant::now();
    let mut images = 0;
    while images == 0 || begun.elapsed() < time {
        images += maker.make()?;
    }
    Ok(images as f64 / begun.elapsed().as_secs_f64())
}

/// How far `candidate` is from the exported graph. An epilogue is left out of it: its bytes are
/// those that the view stage makes of the same floats.
fn difference(exported: &Dataset, candidate: &Dataset) -> Result<f64> {
    let all = candidate.generated()?.rewrites();
    let edits: Vec<Edit> =
        all.iter().filter(|edit| edit.rewrite != Change::Epilogue).cloned().collect();
    let floats;
    let candidate = if edits.len() < all.len() {
        floats = exported.executed_with(&edits)?;
        &floats
    } else {
        candidate
    };
    let (exact, edited) = (exported.generated()?, candidate.generated()?);
    let block = u64::from(exact.recipe().generator.block);
    let blocks = (0..COMPARED as u64).map(|number| exported.block_inputs(number * block));
    let compared = compare(&mut exact.generator()?, &mut edited.generator()?, blocks, COMPARED)?;
    Ok(compared.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Options;
    use crate::runtime::Search as Find;

    #[test]
    fn every_edit_is_tried_and_those_taken_fit_together() {
        let search = Find { install: true, ..Find::default() };
        let options = Options { search, ..Options::default() };
        let dataset = Dataset::open_with("builtin:digits", options).unwrap();
        let mut told = Vec::new();
        let report =
            measure_rewrites(&dataset, Duration::ZERO, &Stop::new(), &mut |done, total| {
                told.push((done, total));
            })
            .unwrap();
        let tried = |edit: &Edit| {
            report
                .tried
                .iter()
                .any(|tried| tried.with.contains(edit) || tried.without.contains(edit))
        };
        assert!(dataset.generated().unwrap().offers().edits().iter().all(tried));
        assert!(told.last().is_some_and(|(done, total)| done == total && *done > 1));
        assert!(dataset.executed_with(&report.taken).is_ok());
        for tried in &report.tried {
            assert!(tried.difference < 1e-4 && tried.images_per_second > 0.0, "{tried:?}");
        }
        let stop = Stop::new();
        stop.stop();
        assert!(measure_rewrites(&dataset, Duration::ZERO, &stop, &mut |_, _| {}).is_err());
    }
}
