//! The nearest rows by Euclidean distance, exactly.

use ndarray::Array2;

use crate::error::Result;
use crate::evaluate::features::rows_of;
use crate::evaluate::tiles::{self, keep};
use crate::load::Stop;

/// Rows kept beside those that are wanted, as their order is by products in `f32`.
const SPARE: usize = 8;

/// A row that is near, and how far away it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub row: usize,
    pub distance: f64,
}

/// Whose neighbours are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Other images.
    Others,
    /// The same images: a row is no neighbour of its own.
    Themselves,
}

/// The `k` rows of `known` that are nearest to each row of `asked`, nearest first; fewer where there
/// are not so many.
///
/// # Errors
/// [`Kind::Interrupted`](crate::Kind::Interrupted).
pub(super) fn nearest(
    [asked, known]: [&Array2<f32>; 2],
    k: usize,
    among: Among,
    stop: &Stop,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Vec<Near>>> {
    #[allow(clippy::cast_possible_truncation)]
    let squares: Vec<f32> = squares(known).into_iter().map(|square| square as f32).collect();
    let look = |best: &mut Vec<_>, row: usize, first: usize, dots: &[f32]| {
        for ((at, dot), square) in (first..).zip(dots).zip(&squares[first..]) {
            if among == Among::Others || at != row {
                // The row's own square would be the same for all.
                keep(best, k + SPARE, 2.0 * dot - square, at);
            }
        }
    };
    let best = tiles::over([asked, known], stop, done, look)?;
    let rows = best.into_iter().zip(rows_of(asked)).map(|(best, own)| {
        let mut near: Vec<Near> = best
            .into_iter()
            .map(|(_, row)| Near { row, distance: distance(own, row_of(known, row)) })
            .collect();
        near.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row)));
        near.truncate(k);
        near
    });
    Ok(rows.collect())
}

/// The squared length of each row.
pub(super) fn squares(rows: &Array2<f32>) -> Vec<f64> {
    rows_of(rows).map(|row| row.iter().map(|x| f64::from(*x).powi(2)).sum()).collect()
}

pub(super) fn row_of(rows: &Array2<f32>, row: usize) -> &[f32] {
    let width = rows.ncols();
    &rows.as_slice().expect("standard layout")[row * width..][..width]
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    square.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_those_of_a_search_row_by_row() {
        let draw = |rows: usize, salt: usize| {
            Array2::from_shape_fn((rows, 6), |(row, column)| {
                let word = (row * 6 + column + salt).wrapping_mul(2_654_435_761) % 10_007;
                word as f32 / 1000.0
            })
        };
        let (asked, known) = (draw(150, 77_777), draw(2300, 0));
        let found = nearest([&asked, &known], 4, Among::Others, &Stop::new(), &|_| {}).unwrap();
        for (own, found) in rows_of(&asked).zip(&found) {
            let mut all: Vec<Near> = rows_of(&known)
                .enumerate()
                .map(|(row, other)| Near { row, distance: distance(own, other) })
                .collect();
            all.sort_by(|a, b| a.distance.total_cmp(&b.distance));
            assert_eq!(found[..], all[..4]);
        }
    }

    #[test]
    fn a_row_is_not_its_own_neighbour_but_its_double_is() {
        let rows = ndarray::arr2(&[[100.0_f32, 0.0], [100.0, 0.25], [100.0, 0.0], [50.0, 0.0]]);
        let found = nearest([&rows, &rows], 9, Among::Themselves, &Stop::new(), &|_| {}).unwrap();
        let of = |row: usize| -> Vec<(usize, f64)> {
            found[row].iter().map(|near| (near.row, near.distance)).collect()
        };
        assert_eq!(of(0), [(2, 0.0), (1, 0.25), (3, 50.0)]);
        assert_eq!(of(1)[..2], [(0, 0.25), (2, 0.25)]);
    }
}
