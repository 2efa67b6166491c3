//! How a dataset's generator runs best on this machine: found by measuring, and explained.
//!
//! A recipe and a time budget come in. First the edits of the generator's graph compete (they
//! decide low bits of what is delivered, so what wins is stored and named), then the ways to divide
//! the cores between sessions and threads inside a call. What wins becomes a [`Profile`] that
//! datasets follow from then on. Block sizes are part of a dataset's identity, and so is the
//! precision: what they would gain is said, not done.

mod race;
mod shapes;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::ceiling::Ceiling;
use super::rewrites::{RewriteReport, measure_rewrites};
use crate::error::Result;
use crate::generate::execution::{Profile, Rewrites};
use crate::load::{Dataset, Options, Stop};
use crate::process::cores;
use crate::recipe::{MAX_BLOCK, Precision, Recipe};
use crate::runtime::check_precision;

use race::{race, winner};
use shapes::{Shape, shapes};

/// What has to be gained before anything is changed: less is not seen again in the next run.
const MARGIN: f64 = 0.03;

/// Block sizes that compete, as multiples of the recipe's.
const BLOCKS: [(u32, u32); 4] = [(1, 2), (2, 1), (4, 1), (8, 1)];

/// What a way to run reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// What was tried, such as `2 sessions × 1 thread` or `generator.block=64`.
    pub what: String,
    /// Generated images a second, all sessions together: the median of the rounds.
    pub images_per_second: f64,
    /// By the first of those it competes with, which is how it runs without.
    pub gain: f64,
    /// Rounds that it was in; those far behind leave early.
    pub rounds: usize,
    /// Whether it is the best of them.
    pub best: bool,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Tuning {
    /// The recipe's name.
    pub recipe: String,
    /// Edits of the graph.
    pub rewrites: RewriteReport,
    /// Ways to divide the cores, with the best edits.
    pub shapes: Vec<Trial>,
    /// Other settings of the recipe that run here, the present ones first, with the best of the
    /// above. Each is another dataset.
    pub suggestions: Vec<Trial>,
    /// What datasets follow once it is stored.
    pub profile: Profile,
}

/// Finds how the generator of `recipe` runs best here with the providers of `options`, in about
/// `budget`, to which loading sessions comes on top. Nothing is stored: that is for [`Profile::store`]. `progress` is told what is measured.
///
/// # Errors
/// Those of opening and running the dataset; [`Kind::Interrupted`](crate::Kind::Interrupted) if
/// `stop` is used.
pub fn tune(
    recipe: &Recipe,
    options: &Options,
    budget: Duration,
    stop: &Stop,
    progress: &mut dyn FnMut(&str),
) -> Result<Tuning> {
    // Profiles of earlier runs must not decide what this one starts from.
    let plain = Options { rewrites: Rewrites::None, threads: Some(1), ..options.clone() };
    let exported = Dataset::from_recipe(recipe.clone(), plain.clone())?;
    // Edits are many and decide most.
    let part = budget / 4;
    progress("rewrites");
    let rewrites = measure_rewrites(&exported, 2 * part, stop, &mut |_, _| ())?;
    let best = Options { rewrites: Rewrites::exactly(&rewrites.taken), ..plain };

    progress("sessions and threads");
    let device = options.providers.first().is_some_and(|provider| !provider.is_on_cpu());
    let candidates = shapes(cores(), device);
    let mut ceilings = Vec::new();
    for Shape { sessions, threads } in &candidates {
        let options = Options { threads: Some(*threads), ..best.clone() };
        ceilings.push(Ceiling::new(&Dataset::from_recipe(recipe.clone(), options)?, *sessions)?);
    }
    let names = candidates.iter().map(ToString::to_string).collect();
    let (shapes, chosen) = contest(names, &mut ceilings, part, stop)?;
    let shape = candidates[chosen];
    drop(ceilings);

    let best = Options { threads: Some(shape.threads), ..best };
    progress("block sizes and precisions");
    let suggestions = suggest(recipe, &best, shape, part, stop)?;
    let measured = BTreeMap::from([
        ("exported_images_per_second_of_one_session".into(), rewrites.exported_images_per_second),
        ("images_per_second_of_one_session".into(), rewrites.images_per_second),
        ("images_per_second".into(), shapes[chosen].images_per_second),
    ]);
    let profile = Profile {
        genset: env!("CARGO_PKG_VERSION").to_owned(),
        key: exported.generated()?.profile_key()?,
        rewrites: rewrites.taken.clone(),
        sessions: shape.sessions,
        threads: shape.threads,
        measured,
    };
    let recipe = exported.name().to_owned();
    Ok(Tuning { recipe, rewrites, shapes, suggestions, profile })
}

/// Other block sizes, and precisions that the provider has.
fn suggest(
    recipe: &Recipe,
    options: &Options,
    shape: Shape,
    budget: Duration,
    stop: &Stop,
) -> Result<Vec<Trial>> {
    let mut recipes = vec![(format!("as it is: {}", setting(recipe)), recipe.clone())];
    for (times, by) in BLOCKS {
        let block = recipe.generator.block * times / by;
        if (1..=MAX_BLOCK).contains(&block) {
            let mut other = recipe.clone();
            other.generator.block = block;
            recipes.push((format!("generator.block={block}"), other));
        }
    }
    for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
        if precision != recipe.generator.precision
            && check_precision(&options.providers, precision).is_ok()
        {
            let mut other = recipe.clone();
            other.generator.precision = precision;
            recipes.push((format!("generator.precision={}", precision.name()), other));
        }
    }
    let (mut names, mut ceilings) = (Vec::new(), Vec::new());
    for (name, other) in recipes {
        // A block may be too large for memory, a precision unknown to this processor: such a
        // setting is none to suggest. The recipe as it is has run already.
        let opened = Dataset::from_recipe(other, options.clone())
            .and_then(|dataset| Ceiling::new(&dataset, shape.sessions));
        if let Ok(ceiling) = opened {
            names.push(name);
            ceilings.push(ceiling);
        }
    }
    Ok(contest(names, &mut ceilings, budget, stop)?.0)
}

fn setting(recipe: &Recipe) -> String {
    let generator = &recipe.generator;
    format!("block {}, {}", generator.block, generator.precision.name())
}

/// Lets ways to run compete; gives what each reached and which is the best.
fn contest(
    names: Vec<String>,
    ceilings: &mut [Ceiling],
    budget: Duration,
    stop: &Stop,
) -> Result<(Vec<Trial>, usize)> {
    let times =
        race(ceilings.len(), budget, &mut |number, slice| ceilings[number].measure(slice, stop))?;
    let best = winner(&times, MARGIN);
    let first = times.first().map_or(0.0, race::Times::rate);
    let trials = names.into_iter().zip(&times).enumerate().map(|(number, (what, times))| Trial {
        what,
        images_per_second: times.rate(),
        gain: times.rate() / first,
        rounds: times.rates.len(),
        best: number == best,
    });
    Ok((trials.collect(), best))
}
