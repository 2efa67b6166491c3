//! The minimum of a smooth function by L-BFGS, with what is needed to know how near it is.

use std::cell::RefCell;

use argmin::core::{CostFunction, Executor, Gradient, State as _};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use crate::error::{Error, Kind, Result};
use crate::load::Stop;

/// Steps whose curvature is remembered, as in SciPy and scikit-learn.
const MEMORY: usize = 10;

/// When to be content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerance {
    /// The length of the gradient.
    pub gradient: f64,
    /// Calls of the function.
    pub calls: usize,
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minimum {
    pub at: Vec<f64>,
    pub value: f64,
    /// Calls of the function that it took.
    pub calls: usize,
    /// Whether the gradient is as short as was asked for.
    pub converged: bool,
}

/// The function as the solver sees it: it asks for values and gradients in turn at the same place,
/// which cost one call together.
struct Memo<'a, F> {
    function: RefCell<F>,
    seen: RefCell<Seen>,
    limit: usize,
    stop: &'a Stop,
}

/// The last place, and the best.
#[derive(Default)]
struct Seen {
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    best: Option<(Vec<f64>, f64, f64)>,
    calls: usize,
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Memo<'_, F> {
    fn look(&self, at: &[f64]) -> Result<(), argmin::core::Error> {
        self.stop.check()?;
        let mut seen = self.seen.borrow_mut();
        if seen.at == at {
            return Ok(());
        }
        if seen.calls == self.limit {
            return Err(Error::new(Kind::Limit, "no more calls").into());
        }
        let (value, gradient) = (self.function.borrow_mut())(at);
        let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        seen.calls += 1;
        if seen.best.as_ref().is_none_or(|(_, best, _)| value < *best) {
            seen.best = Some((at.to_vec(), value, length));
        }
        (seen.at, seen.value, seen.gradient) = (at.to_vec(), value, gradient);
        Ok(())
    }
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> CostFunction for &Memo<'_, F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Self::Param) -> Result<f64, argmin::core::Error> {
        self.look(at)?;
        Ok(self.seen.borrow().value)
    }
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Gradient for &Memo<'_, F> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Self::Param) -> Result<Vec<f64>, argmin::core::Error> {
        self.look(at)?;
        Ok(self.seen.borrow().gradient.clone())
    }
}

/// Searches from `start`. What is found is the best place that was seen, also where the search ends
/// for want of calls, or because rounding leaves nothing to descend.
///
/// # Errors
/// [`Kind::Interrupted`].
///
/// [`Kind::Interrupted`]: crate::Kind::Interrupted
pub(super) fn minimise(
    function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
    start: Vec<f64>,
    tolerance: Tolerance,
    stop: &Stop,
) -> Result<Minimum> {
    let memo = Memo {
        function: RefCell::new(function),
        seen: RefCell::default(),
        limit: tolerance.calls,
        stop,
    };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_grad(tolerance.gradient)
        .and_then(|solver| solver.with_tolerance_cost(0.0))
        .map_err(|error| Error::new(Kind::Argument, error.to_string()))?;
    let fallback = start.clone();
    // An error of the search is one of ours, or says that it finds no lower place.
    let _ = Executor::new(&memo, solver)
        .configure(|state| state.param(start).max_iters(tolerance.calls as u64))
        .timer(false)
        .run()
        .map(|result| result.state().get_iter());
    stop.check()?;
    let seen = memo.seen.into_inner();
    let (at, value, length) = seen.best.unwrap_or((fallback, f64::NAN, f64::INFINITY));
    Ok(Minimum { at, value, calls: seen.calls, converged: length <= tolerance.gradient })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's function (1960): a bent valley with its minimum at (1, 1).
    fn valley(at: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (1.0 - at[0], at[1] - at[0] * at[0]);
        (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * at[0] * b, 200.0 * b])
    }

    fn tolerance(calls: usize) -> Tolerance {
        Tolerance { gradient: 1e-8, calls }
    }

    #[test]
    fn the_bottom_of_a_bent_valley_is_found() {
        let found = minimise(valley, vec![-1.2, 1.0], tolerance(200), &Stop::new()).unwrap();
        assert!(found.converged && found.calls < 100, "{found:?}");
        assert!(found.at.iter().all(|x| (x - 1.0).abs() < 1e-7), "{found:?}");
    }

    #[test]
    fn a_search_that_is_cut_short_gives_the_best_it_saw() {
        let found = minimise(valley, vec![-1.2, 1.0], tolerance(10), &Stop::new()).unwrap();
        assert!(!found.converged && found.calls == 10, "{found:?}");
        assert_eq!(found.value, valley(&found.at).0);
        assert!(found.value < valley(&[-1.2, 1.0]).0, "{found:?}");
    }

    #[test]
    fn rounding_that_leaves_nothing_to_descend_ends_the_search() {
        let coarse = |at: &[f64]| {
            let (value, gradient) = valley(at);
            ((value * 1e3).round() / 1e3, gradient)
        };
        let found = minimise(coarse, vec![-1.2, 1.0], tolerance(500), &Stop::new()).unwrap();
        assert!(found.value < 0.01, "{found:?}");
    }

    #[test]
    fn a_search_can_be_stopped() {
        let stop = Stop::new();
        stop.stop();
        let error = minimise(valley, vec![0.0, 0.0], tolerance(10), &stop).unwrap_err();
        assert!(error.is_interrupted());
    }
}
