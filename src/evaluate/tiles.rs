//! Every row of one matrix against every row of another, in tiles.
//!
//! Dot products come out of matrix products of fixed size, so that neither memory nor the numbers
//! depend on how many threads there are.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, s};
use rayon::prelude::*;

use crate::error::Result;
use crate::load::Stop;

/// Rows of a tile: those that are asked about.
const ASKED: usize = 128;

/// Columns of a tile: those that are known.
const KNOWN: usize = 1024;

/// Looks at the dot products of each row of `asked` with all rows of `known`: `look` is given what
/// is kept of the row, its number, the number of the first known row of a tile, and the products.
/// Known rows come in rising order. `done` is told of rows as they are finished.
///
/// # Errors
/// [`Kind::Interrupted`](crate::Kind::Interrupted).
pub(super) fn over<T: Default + Send>(
    [asked, known]: [&Array2<f32>; 2],
    stop: &Stop,
    done: &(dyn Fn(usize) + Sync),
    look: impl Fn(&mut T, usize, usize, &[f32]) + Sync,
) -> Result<Vec<T>> {
    let starts: Vec<usize> = (0..asked.nrows()).step_by(ASKED).collect();
    let strips = starts.par_iter().map(|&start| {
        stop.check()?;
        let rows = start..asked.nrows().min(start + ASKED);
        let strip = asked.slice(s![rows.clone(), ..]);
        let mut kept: Vec<T> = rows.clone().map(|_| T::default()).collect();
        let mut tile = vec![0.0_f32; rows.len() * KNOWN];
        for first in (0..known.nrows()).step_by(KNOWN) {
            let columns = first..known.nrows().min(first + KNOWN);
            let width = columns.len();
            let tile = &mut tile[..rows.len() * width];
            let mut product = ndarray::ArrayViewMut2::from_shape((rows.len(), width), &mut *tile)
                .expect("a tile is a matrix");
            let block = known.slice(s![columns, ..]);
            general_mat_mul(1.0, &strip, &block.t(), 0.0, &mut product);
            for ((row, kept), dots) in rows.clone().zip(&mut kept).zip(tile.chunks_exact(width)) {
                look(kept, row, first, dots);
            }
        }
        done(rows.len());
        Ok(kept)
    });
    Ok(strips.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Puts a row among the `k` with the greatest scores if it is one of them. Rows come in rising
/// order; of equal ones the earlier counts.
pub(super) fn keep(best: &mut Vec<(f32, usize)>, k: usize, score: f32, at: usize) {
    if best.len() == k && best.last().is_some_and(|(worst, _)| score <= *worst) {
        return;
    }
    let place = best.partition_point(|(other, _)| *other >= score);
    best.insert(place, (score, at));
    best.truncate(k);
}
