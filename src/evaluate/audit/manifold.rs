//! Whether images lie where the real ones do, and everywhere there.
//!
//! Around each image of a set there is a ball that reaches to its k-th nearest neighbour in the set;
//! the balls together stand for the manifold that the images lie on. *Precision* is the share of
//! generated images inside a real ball, *recall* that of real images inside a generated one
//! (Kynkäänniemi et al., 2019). *Density* counts in how many real balls a generated image is, in
//! units of k, and *coverage* is the share of real balls with a generated image in them (Naeem et
//! al., 2020): they are not led astray by outliers.

use ndarray::Array2;
use serde::Serialize;

use super::distances::{Near, squares};
use super::report::Share;
use crate::error::Result;
use crate::evaluate::tiles;
use crate::load::Stop;

/// k of precision and recall, as in their paper.
pub const PRECISION_NEIGHBOURS: usize = 3;

/// k of density and coverage, as in theirs.
pub const DENSITY_NEIGHBOURS: usize = 5;

/// How two sets of images lie to each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifold {
    /// Generated images that could be real ones.
    pub precision: Share,
    /// Real images that could have been generated.
    pub recall: Share,
    /// 1 and more where generated images are as close together as real ones; not a share.
    pub density: f64,
    /// Real images with a generated one near.
    pub coverage: Share,
}

/// The balls around the images of a set.
pub(super) struct Balls<'a> {
    rows: &'a Array2<f32>,
    squares: Vec<f64>,
    /// Squared radii: for precision or recall, and for density and coverage.
    radii: Vec<[f64; 2]>,
}

impl<'a> Balls<'a> {
    /// Around each of `rows`, whose neighbours among themselves are `near`: [`DENSITY_NEIGHBOURS`]
    /// or more of each.
    pub fn around(rows: &'a Array2<f32>, near: &[Vec<Near>]) -> Self {
        let radius = |near: &[Near], k: usize| near[k - 1].distance.powi(2);
        let radii = near
            .iter()
            .map(|near| [radius(near, PRECISION_NEIGHBOURS), radius(near, DENSITY_NEIGHBOURS)]);
        Self { rows, squares: squares(rows), radii: radii.collect() }
    }
}

/// What is found of one image among the balls of the other set, and of its own ball.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// Whether it is in one of the smaller balls.
    inside: bool,
    /// In how many of the larger ones it is.
    balls: usize,
    /// Whether an image of the other set is in its own larger one.
    visited: bool,
}

/// Compares generated images with real ones.
///
/// # Errors
/// [`Kind::Interrupted`](crate::Kind::Interrupted).
pub(super) fn compare(
    generated: &Balls<'_>,
    real: &Balls<'_>,
    stop: &Stop,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Manifold> {
    let (of_generated, of_real) =
        (found(generated, real, stop, done)?, found(real, generated, stop, done)?);
    let share = |of: &[Found], what: fn(&Found) -> bool| {
        Share::new(of.iter().filter(|found| what(found)).count(), of.len())
    };
    let balls: usize = of_generated.iter().map(|found| found.balls).sum();
    Ok(Manifold {
        precision: share(&of_generated, |found| found.inside),
        recall: share(&of_real, |found| found.inside),
        density: balls as f64 / (DENSITY_NEIGHBOURS * of_generated.len()) as f64,
        coverage: share(&of_real, |found| found.visited),
    })
}

fn found(
    asked: &Balls<'_>,
    known: &Balls<'_>,
    stop: &Stop,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Found>> {
    tiles::over(
        [asked.rows, known.rows],
        stop,
        done,
        |found: &mut Found, row: usize, first: usize, dots: &[f32]| {
            let (square, [_, own]) = (asked.squares[row], asked.radii[row]);
            for ((dot, other), [small, large]) in
                dots.iter().zip(&known.squares[first..]).zip(&known.radii[first..])
            {
                let distance = (square + other - 2.0 * f64::from(*dot)).max(0.0);
                found.inside |= distance < *small;
                found.balls += usize::from(distance < *large);
                found.visited |= distance < own;
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::audit::tests::balls;

    fn manifold(generated: &Array2<f32>, real: &Array2<f32>) -> Manifold {
        compare(&balls(generated), &balls(real), &Stop::new(), &|_| {}).unwrap()
    }

    /// Points on a line, `step` apart.
    fn line(count: usize, from: f32, step: f32) -> Array2<f32> {
        Array2::from_shape_fn((count, 1), |(row, _)| from + step * row as f32)
    }

    #[test]
    fn images_between_the_real_ones_are_as_good_as_they() {
        let found = manifold(&line(50, 0.4, 1.0), &line(50, 0.0, 1.0));
        assert_eq!(found.precision.value, 1.0);
        assert_eq!(found.recall.value, 1.0);
        assert_eq!(found.coverage.value, 1.0);
        assert!((0.8..1.3).contains(&found.density), "{found:?}");
    }

    #[test]
    fn half_of_a_line_is_precise_but_leaves_half_of_it_uncovered() {
        let found = manifold(&line(50, 0.0, 0.5), &line(50, 0.0, 1.0));
        assert_eq!(found.precision.value, 1.0);
        assert!((0.5..0.56).contains(&found.recall.value), "{found:?}");
        assert!((0.5..0.58).contains(&found.coverage.value), "{found:?}");
    }

    #[test]
    fn images_far_away_are_none_of_it() {
        let found = manifold(&line(20, 1000.0, 1.0), &line(20, 0.0, 1.0));
        assert_eq!((found.precision.count, found.recall.count, found.coverage.count), (0, 0, 0));
        assert_eq!(found.density, 0.0);
    }
}
