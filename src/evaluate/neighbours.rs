//! The k nearest neighbours by cosine similarity, exactly, and what they vote for.
//!
//! A neighbour votes for its class with weight `exp(s / 0.07)`, where `s` is its similarity (Wu et
//! al., 2018; Caron et al., 2021). Of equal neighbours the earlier counts, of equal votes the lower
//! class.

use ndarray::Array2;

use super::features::rows_of;
use super::tiles::{self, keep};
use crate::error::Result;
use crate::load::Stop;

/// The temperature of the votes.
pub const TEMPERATURE: f64 = 0.07;

/// The class of each row of `test`, by the `k` rows of `train` most like it; `done` is told of rows
/// as they are finished.
pub(super) fn classify(
    [train, test]: [&Array2<f32>; 2],
    classes: &[u32],
    count: usize,
    k: usize,
    stop: &Stop,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<u32>> {
    let (known, own) = (inverse_norms(train), inverse_norms(test));
    let near =
        tiles::over([test, train], stop, done, |near: &mut Vec<_>, row, first, dots: &[f32]| {
            for ((at, dot), other) in (first..).zip(dots).zip(&known[first..]) {
                keep(near, k, dot * own[row] * other, at);
            }
        })?;
    Ok(near.iter().map(|near| vote(near, classes, count)).collect())
}

/// One by the length of each row; 0 for a row of zeros, which is like nothing.
fn inverse_norms(rows: &Array2<f32>) -> Vec<f32> {
    rows_of(rows).map(inverse_norm).collect()
}

#[allow(clippy::cast_possible_truncation)]
fn inverse_norm(row: &[f32]) -> f32 {
    let square: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    if square > 0.0 { (1.0 / square.sqrt()) as f32 } else { 0.0 }
}

fn vote(near: &[(f32, usize)], classes: &[u32], count: usize) -> u32 {
    let mut votes = vec![0.0; count];
    for &(similarity, at) in near {
        votes[classes[at] as usize] += libm::exp(f64::from(similarity) / TEMPERATURE);
    }
    let mut best = 0;
    for (class, votes_for) in (0_u32..).zip(&votes) {
        if *votes_for > votes[best as usize] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(train: &Array2<f32>, test: &Array2<f32>, classes: &[u32], k: usize) -> Vec<u32> {
        classify([train, test], classes, 3, k, &Stop::new(), &|_| {}).unwrap()
    }

    /// Unit vectors in the plane at these degrees, of some length, which must not matter.
    fn at(degrees: &[f32], length: f32) -> Array2<f32> {
        Array2::from_shape_fn((degrees.len(), 2), |(row, axis)| {
            let angle = degrees[row].to_radians();
            length * [angle.cos(), angle.sin()][axis]
        })
    }

    #[test]
    fn the_nearest_by_angle_vote_by_how_near_they_are() {
        let train = at(&[0.0, 40.0, 44.0, 90.0], 3.0);
        let classes = [0, 1, 1, 2];
        assert_eq!(told(&train, &at(&[10.0, 30.0, 80.0], 0.5), &classes, 1), [0, 1, 2]);
        // One near neighbour outweighs two that are further away: cos 5° by 0.07 against cos 35°.
        assert_eq!(told(&train, &at(&[5.0], 1.0), &classes, 3), [0]);
        // Two at 18° and 22° outweigh one at 22°.
        assert_eq!(told(&train, &at(&[22.0], 1.0), &classes, 3), [1]);
    }

    #[test]
    fn of_equal_neighbours_the_earlier_counts() {
        let train = at(&[50.0, 50.0, 50.0], 1.0);
        assert_eq!(told(&train, &at(&[0.0], 1.0), &[2, 0, 1], 1), [2]);
        assert_eq!(told(&train, &at(&[0.0], 1.0), &[2, 0, 1], 2), [0], "of equal votes the lower");
    }

    #[test]
    fn tiles_do_not_show() {
        // More rows than a tile has, both ways, against a search row by row.
        let draw = |rows: usize, salt: usize| {
            Array2::from_shape_fn((rows, 5), |(row, column)| {
                let word = (row * 5 + column + salt).wrapping_mul(2_654_435_761) % 1000;
                word as f32 / 500.0 - 1.0
            })
        };
        let (train, test) = (draw(2500, 0), draw(300, 99_991));
        let classes: Vec<u32> = (0..2500).map(|row| row % 3).collect();
        let found = told(&train, &test, &classes, 7);
        for (row, found) in test.rows().into_iter().zip(found) {
            let mut all: Vec<(f32, usize)> = train
                .rows()
                .into_iter()
                .enumerate()
                .map(|(at, other)| {
                    (row.dot(&other) / other.dot(&other).sqrt() / row.dot(&row).sqrt(), at)
                })
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert_eq!(found, vote(&all[..7], &classes, 3));
        }
    }
}
