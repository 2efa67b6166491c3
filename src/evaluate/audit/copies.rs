//! How near images are to their nearest real one, and whether that is nearer than it should be.
//!
//! The *relative distance* of an image is that to its nearest real image, divided by the mean of
//! those to the next ones: 1 in the midst of many, near 0 for a copy. So it is measured in what is
//! usual around it, as Carlini et al. (2023) do to find what a model has memorised: smooth images are
//! near to everything, and a copy of a smooth one is told from them. Held-out real images say how it
//! is spread where nothing was copied.

use serde::Serialize;

use super::distances::Near;
use super::precedence::p_value;
use super::report::Share;
use crate::error::Result;

/// Quantiles of the held-out images at which the generated ones are looked at.
pub const QUANTILES: [f64; 3] = [0.001, 0.01, 0.05];

/// Held-out images that must be below a quantile, for it to be one.
const LEAST: f64 = 5.0;

/// Quantiles of a [`Spread`].
const SPREAD: [f64; 5] = [0.0, 0.01, 0.05, 0.25, 0.5];

/// What was found of copies in one space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Copies {
    /// Real images that distances are measured to, for each image: the nearest, and those whose mean
    /// distance it is divided by.
    pub neighbours: usize,
    /// Distances of the generated images.
    pub generated: Spread,
    /// Distances of the held-out ones.
    pub held_out: Spread,
    /// Share of the generated images closer than each quantile of the held-out ones.
    pub closer: Vec<Closer>,
    /// The significance that one of these must reach for an alarm: the level of the audit, divided by
    /// the number of tests in it.
    pub level: f64,
    /// Whether one did.
    pub alarm: bool,
    /// Generated images that are relatively closer than the lowest of those quantiles, or, on an
    /// alarm, than the one that raised it: copies are among them.
    pub suspects: usize,
    /// The closest of them, closest first.
    pub closest: Vec<Pair>,
}

/// How distances are spread: the least and four quantiles, 0, 1, 5, 25 and 50 %.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Distances to the nearest, in the units of the space.
    pub distance: [f64; 5],
    /// Relative distances.
    pub relative: [f64; 5],
}

/// How many generated images are closer than a share of the held-out ones is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Closer {
    /// The share of held-out images, by which this is what to expect of honest ones.
    pub quantile: f64,
    /// The relative distance that that share is below.
    pub relative: f64,
    /// Generated images below it.
    pub share: Share,
    /// The probability of so many or more, if they were as far from the real ones as the held-out
    /// ones are.
    pub p: f64,
    /// Generated images that are below the same share in distance, undivided. Says less: blurred
    /// images are near to everything.
    pub by_distance: Share,
}

/// A generated image and the real one that it is nearest to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The sample.
    pub index: u64,
    /// The real image.
    pub real: u64,
    /// Between the two.
    pub distance: f64,
    /// In comparison with the next ones.
    pub relative: f64,
}

/// The distance of an image and its relative distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Closeness {
    pub distance: f64,
    pub relative: f64,
}

impl Closeness {
    /// Of an image with these neighbours, nearest first.
    pub fn of(near: &[Near]) -> Self {
        let distance = near.first().map_or(0.0, |near| near.distance);
        let others = near.get(1..).unwrap_or_default();
        let mean = others.iter().map(|near| near.distance).sum::<f64>() / others.len() as f64;
        // Where all are copies of each other, nothing is usual but being one.
        let relative = if mean > 0.0 { distance / mean } else { 0.0 };
        Self { distance, relative }
    }

    /// Of images with these neighbours.
    pub fn of_each(near: &[Vec<Near>]) -> Vec<Self> {
        near.iter().map(|near| Self::of(near)).collect()
    }
}

/// How many tests there will be with so many held-out images.
pub(super) fn tests(held_out: usize) -> usize {
    quantiles(held_out).count()
}

fn quantiles(held_out: usize) -> impl Iterator<Item = f64> {
    QUANTILES.into_iter().filter(move |q| q * held_out as f64 >= LEAST)
}

/// What of [`Copies`] is counted.
pub(super) struct Counted {
    pub spreads: [Spread; 2],
    pub closer: Vec<Closer>,
    pub alarm: bool,
    /// The relative distance that suspects are below.
    pub below: f64,
}

/// Compares the generated images with the held-out ones. Each test is at `level`.
pub(super) fn count(
    generated: &[Closeness],
    held_out: &[Closeness],
    level: f64,
) -> Result<Counted> {
    let sorted = |of: &[Closeness], value: fn(&Closeness) -> f64| {
        let mut values: Vec<f64> = of.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let relative = |closeness: &Closeness| closeness.relative;
    let distance = |closeness: &Closeness| closeness.distance;
    let both = |of: &[Closeness]| (sorted(of, distance), sorted(of, relative));
    let spread = |(by_distance, by_relative): &(Vec<f64>, Vec<f64>)| Spread {
        distance: SPREAD.map(|q| quantile(by_distance, q)),
        relative: SPREAD.map(|q| quantile(by_relative, q)),
    };
    let (of_generated, of_held_out) = (both(generated), both(held_out));
    let (by_distance, by_relative) = &of_held_out;
    let share = |threshold: f64, value: fn(&Closeness) -> f64| {
        Share::new(generated.iter().filter(|c| value(c) < threshold).count(), generated.len())
    };
    let mut closer = Vec::new();
    for quantile in quantiles(held_out.len()) {
        // The value below which `place - 1` held-out images are.
        let place = (quantile * held_out.len() as f64).round().max(1.0) as usize;
        let threshold = by_relative[place - 1];
        let share_below = share(threshold, relative);
        closer.push(Closer {
            quantile,
            relative: threshold,
            p: p_value(share_below.count, place, generated.len(), held_out.len())?,
            share: share_below,
            by_distance: share(by_distance[place - 1], distance),
        });
    }
    let alarms = closer.iter().filter(|closer| closer.p < level);
    let alarm = alarms.clone().next().is_some();
    let raised = alarms.map(|closer| closer.relative).reduce(f64::max);
    let below = raised.or(closer.first().map(|closer| closer.relative)).unwrap_or(0.0);
    Ok(Counted { spreads: [spread(&of_generated), spread(&of_held_out)], closer, alarm, below })
}

/// The value that a share `q` of sorted values is at or below.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = (q * (sorted.len() as f64 - 1.0)).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::audit::tests::uniform;

    fn near(distances: &[f64]) -> Closeness {
        let one = |(row, distance): (usize, &f64)| Near { row, distance: *distance };
        Closeness::of(&distances.iter().enumerate().map(one).collect::<Vec<_>>())
    }

    fn honest(salt: u64, count: u64) -> Vec<Closeness> {
        let one = |i| Closeness {
            distance: uniform(salt * 1_000_003 + i),
            relative: uniform(salt * 1_000_003 + i),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_copy_is_relatively_near_and_a_double_of_a_double_is_not_divided_by_nothing() {
        assert_eq!(near(&[1.0, 2.0, 4.0]), Closeness { distance: 1.0, relative: 1.0 / 3.0 });
        assert_eq!(near(&[0.0, 2.0]).relative, 0.0);
        assert_eq!(near(&[0.0, 0.0]).relative, 0.0);
    }

    #[test]
    fn alarms_on_honest_images_are_as_rare_as_the_level_says() {
        let (mut alarms, runs) = (0, 400);
        let level = 0.05;
        for run in 0..runs {
            let (generated, held_out) = (honest(2 * run, 900), honest(2 * run + 1, 700));
            let each = level / tests(held_out.len()) as f64;
            alarms += usize::from(count(&generated, &held_out, each).unwrap().alarm);
        }
        // 20 are expected at most; 34 or more have a probability of 0.002.
        assert!((3..34).contains(&alarms), "{alarms} of {runs}");
    }

    #[test]
    fn two_copies_in_a_hundred_are_found_and_named() {
        let mut generated = honest(1, 2000);
        for copy in generated.iter_mut().step_by(50) {
            *copy = Closeness { distance: 0.001, relative: 1e-4 };
        }
        let counted = count(&generated, &honest(2, 5000), 0.01 / 3.0).unwrap();
        assert!(counted.alarm, "{:?}", counted.closer);
        let suspects = generated.iter().filter(|c| c.relative < counted.below).count();
        assert!((40..160).contains(&suspects), "{suspects}");
        assert!(counted.spreads[0].relative[0] < 2e-4);
    }

    #[test]
    fn quantiles_need_images_below_them() {
        assert_eq!([50, 100, 499, 500, 5000].map(tests), [0, 1, 1, 2, 3]);
        let few = count(&honest(1, 100), &honest(2, 20), 0.01).unwrap();
        assert!(few.closer.is_empty() && !few.alarm);
    }
}
