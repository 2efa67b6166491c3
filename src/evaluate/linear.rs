//! The linear probe: how much regularisation, chosen without the test set, and the fit with it.
//!
//! A tenth of the training images, the same share of each class, is held out. From strong to weak,
//! each fit begins where the last one ended (warm start), and the path ends when two steps in a row
//! have not lowered the held-out loss by a hundredth. The strength that tells most of the held-out images is taken, the stronger of
//! equal ones, and fitted to all.

use ndarray::Array2;
use serde::Serialize;

use super::logistic::{Rows, Told, classify};
use super::minimise::{Minimum, Tolerance, minimise};
use crate::error::Result;
use crate::load::Stop;
use crate::sample::RandomWords;

/// The strengths that are tried, from strong to weak. Features have deviation 1 and the loss is a
/// mean, so the same strengths suit any number of images and any encoder.
pub const STRENGTHS: [f64; 13] =
    [1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6];

/// One in so many of each class is held out.
const HELD_OUT: usize = 10;

/// Steps in a row that win nothing end the path: weaker fits take ever more passes.
const IDLE: usize = 2;

/// What a step must leave of the held-out loss to have won something.
const WON: f64 = 0.99;

/// For the choice: accuracy no longer changes long before.
const ROUGH: Tolerance = Tolerance { gradient: 3e-3, calls: 200 };

/// For the fit that is reported.
const FINE: Tolerance = Tolerance { gradient: 1e-3, calls: 1000 };

/// How strongly the weights of the linear probe are drawn to 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Regularisation {
    /// As does best on a part of the training images.
    #[default]
    Chosen,
    /// This much: half of it times the sum of squared weights is added to the mean loss, on
    /// standardised features.
    Fixed(f64),
}

/// A strength that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tried {
    /// The factor of half the squared weights.
    pub l2: f64,
    /// The proportion of the held-out images that were told right.
    pub accuracy: f64,
    /// Their mean cross-entropy, in nats.
    pub loss: f64,
    /// Passes over the training features.
    pub passes: usize,
    /// Whether the fit came to its end.
    pub converged: bool,
}

/// A linear probe, fitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    parameters: Vec<f64>,
    count: usize,
    pub l2: f64,
    /// Empty where the strength was given.
    pub tried: Vec<Tried>,
    pub held_out: usize,
    pub passes: usize,
    pub converged: bool,
}

/// Fits `classes` to the rows of `values`, which are standardised. `step` is told of every strength
/// that is begun.
pub(super) fn fit(
    values: &Array2<f32>,
    classes: &[u32],
    count: usize,
    regularisation: Regularisation,
    seed: u64,
    stop: &Stop,
    step: &mut dyn FnMut(usize, usize),
) -> Result<Fitted> {
    let used = vec![true; classes.len()];
    let all = Rows { values, classes, count, used: &used };
    let zeros = vec![0.0; all.parameters()];
    let choice = match regularisation {
        Regularisation::Fixed(l2) => Choice { l2, start: zeros, tried: Vec::new(), held_out: 0 },
        Regularisation::Chosen => choose(all, seed, zeros, stop, step)?,
    };
    let steps = STRENGTHS.len() + 1;
    step(steps - 1, steps);
    let Choice { l2, start, tried, held_out } = choice;
    let Minimum { at, calls, converged, .. } =
        minimise(|at| all.objective(at, l2), start, FINE, stop)?;
    step(steps, steps);
    Ok(Fitted { parameters: at, count, l2, tried, held_out, passes: calls, converged })
}

impl Fitted {
    /// The most probable class of each row.
    pub fn classify(&self, values: &Array2<f32>) -> Vec<u32> {
        let told = classify(values, &self.parameters, self.count, None);
        told.into_iter().map(|(class, _)| class).collect()
    }
}

struct Choice {
    l2: f64,
    /// Where its fit ended.
    start: Vec<f64>,
    tried: Vec<Tried>,
    held_out: usize,
}

fn choose(
    rows: Rows<'_>,
    seed: u64,
    zeros: Vec<f64>,
    stop: &Stop,
    step: &mut dyn FnMut(usize, usize),
) -> Result<Choice> {
    let used = split(rows.classes, rows.count, seed);
    let rows = Rows { used: &used, ..rows };
    let held_out = used.iter().filter(|used| !**used).count();
    let (mut best, mut start) = (None::<(usize, usize, Vec<f64>)>, zeros);
    let (mut tried, mut idle) = (Vec::<Tried>::new(), 0);
    for (at, &l2) in STRENGTHS.iter().enumerate() {
        step(at, STRENGTHS.len() + 1);
        let found = minimise(|at| rows.objective(at, l2), start, ROUGH, stop)?;
        let Told { rows: of, correct, loss } = rows.held_out(&found.at);
        let (accuracy, loss) = (correct as f64 / of as f64, loss / of as f64);
        let won = tried.last().is_none_or(|last| loss < WON * last.loss);
        idle = if won { 0 } else { idle + 1 };
        tried.push(Tried { l2, accuracy, loss, passes: found.calls, converged: found.converged });
        if best.as_ref().is_none_or(|(most, ..)| correct > *most) {
            best = Some((correct, at, found.at.clone()));
        }
        if idle == IDLE {
            break;
        }
        start = found.at;
    }
    let (_, at, start) = best.expect("at least one strength was tried");
    Ok(Choice { l2: STRENGTHS[at], start, tried, held_out })
}

/// Whether each row is fitted to: all but a tenth of each class, drawn from `seed`. Of a class of two
/// or more at least one is held out; the only one of a class never is.
fn split(classes: &[u32], count: usize, seed: u64) -> Vec<bool> {
    let stream = RandomWords::new(seed, "probe split");
    let mut of_class = vec![Vec::new(); count];
    for (row, class) in classes.iter().enumerate() {
        of_class[*class as usize].push((stream.word(row as u64), row));
    }
    let mut used = vec![true; classes.len()];
    for mut rows in of_class {
        rows.sort_unstable();
        let held = if rows.len() > 1 { (rows.len() / HELD_OUT).max(1) } else { 0 };
        for (_, row) in &rows[..held] {
            used[*row] = false;
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_stratified_and_seeded() {
        let classes: Vec<u32> = (0..1000).map(|row| u32::from(row % 10 == 3)).collect();
        let used = split(&classes, 3, 7);
        let held = |class: u32| {
            let of = used.iter().zip(&classes);
            of.filter(|(used, of)| !**used && **of == class).count()
        };
        assert_eq!((held(0), held(1), held(2)), (90, 10, 0));
        assert_eq!(split(&classes, 3, 7), used);
        assert_ne!(split(&classes, 3, 8), used);
        assert!(split(&[0, 1, 1], 2, 7)[0], "a class of one is fitted to");
    }

    fn fitted(values: &Array2<f32>, classes: &[u32], count: usize, how: Regularisation) -> Fitted {
        fit(values, classes, count, how, 1, &Stop::new(), &mut |_, _| {}).unwrap()
    }

    /// Two points, ±1, of two classes: the weights are ±w and the optimum solves
    /// `l2 · w = 1 / (1 + exp(2w))`, as the derivative of `log(1 + exp(-2w)) + l2 · w²` says.
    #[test]
    fn the_optimum_of_two_points_is_the_known_one() {
        let values = ndarray::arr2(&[[1.0_f32], [-1.0]]);
        for l2 in [0.01, 0.1, 1.0] {
            let found = fitted(&values, &[0, 1], 2, Regularisation::Fixed(l2));
            let [a, b, first, second] = found.parameters[..] else { panic!("{found:?}") };
            assert!(found.converged && (a + b).abs() < 1e-6, "{found:?}");
            assert!((first - second).abs() < 1e-5, "{found:?}");
            assert!((l2 * a - 1.0 / (1.0 + (2.0 * a).exp())).abs() < 1e-3, "{l2}: {found:?}");
            assert_eq!(found.classify(&values), [0, 1]);
        }
    }

    /// Class by the sign of one column among many that say nothing: with few rows a weak fit learns
    /// the noise, a strong one nothing.
    #[test]
    fn noise_asks_for_more_regularisation_than_none() {
        let stream = RandomWords::new(3, "noise");
        let values = Array2::from_shape_fn((400, 60), |(row, column)| {
            let word = stream.word((row * 60 + column) as u64) >> 40;
            (word as f32 / 8_388_608.0 - 1.0) * 1.7
        });
        let classes: Vec<u32> = values
            .rows()
            .into_iter()
            .map(|row| u32::from(row[0] + row[1] + 0.6 * row[2] > 0.0))
            .collect();
        let found = fitted(&values, &classes, 2, Regularisation::Chosen);
        assert!(found.held_out == 39 || found.held_out == 40, "{found:?}");
        assert!((1e-4..1.0).contains(&found.l2), "{:?}", found.tried);
        let told = found.classify(&values);
        let right = told.iter().zip(&classes).filter(|(a, b)| a == b).count();
        assert!(right > 360, "{right}");
        assert_eq!(fitted(&values, &classes, 2, Regularisation::Chosen), found);
    }

    #[test]
    fn threads_change_no_bit() {
        let values = Array2::from_shape_fn((3000, 7), |(row, column)| {
            ((row * 7 + column).wrapping_mul(2_654_435_761) % 997) as f32 / 300.0 - 1.5
        });
        let classes: Vec<u32> = (0..3000).map(|row| row % 3).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fitted(&values, &classes, 3, Regularisation::Chosen))
        };
        assert_eq!(on(1), on(3));
    }
}
