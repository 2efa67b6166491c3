//! Multinomial logistic regression: its loss with the gradient, and what a fit says of rows.
//!
//! The objective is `mean(-log p(class | row)) + l2/2 · |W|²`; the intercepts are not drawn to 0.
//! Products are of `f32`, block by block of rows, so that a row is read from memory once for both
//! directions. Sums over blocks are in an order that threads do not change.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

/// Rows of a block: with a thousand features, what a second-level cache holds.
const BLOCK: usize = 256;

/// Runs of blocks that are summed on their own: as many threads can work, and as many gradients
/// are in memory.
const RUNS: usize = 16;

/// Rows with classes to fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// `[N, D]`, standardised.
    pub values: &'a Array2<f32>,
    /// `[N]`, below `count`.
    pub classes: &'a [u32],
    /// Number of classes.
    pub count: usize,
    /// `[N]`: whether a row takes part.
    pub used: &'a [bool],
}

/// What rows come to under some parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Told {
    /// Rows that took part.
    pub rows: usize,
    /// Those whose class has the highest probability, the lowest of equal ones.
    pub correct: usize,
    /// Sum of `-log p(class | row)`.
    pub loss: f64,
}

impl Rows<'_> {
    /// Numbers of a fit: `[D, C]` weights and then `[C]` intercepts.
    pub fn parameters(&self) -> usize {
        (self.values.ncols() + 1) * self.count
    }

    /// The objective and its gradient at `parameters`.
    #[allow(clippy::cast_possible_truncation)]
    pub fn objective(&self, parameters: &[f64], l2: f64) -> (f64, Vec<f64>) {
        let (features, count) = (self.values.ncols(), self.count);
        let weights = weights(parameters, features, count);
        let intercepts = &parameters[features * count..];
        let run = self.values.nrows().div_ceil(BLOCK).div_ceil(RUNS).max(1) * BLOCK;
        let runs: Vec<usize> = (0..self.values.nrows()).step_by(run).collect();
        let parts: Vec<(f64, Array2<f32>, Vec<f64>)> = runs
            .par_iter()
            .map(|&start| {
                let end = self.values.nrows().min(start + run);
                let (mut loss, mut gradient) = (0.0, Array2::zeros((features, count)));
                let (mut sums, mut shares) = (vec![0.0; count], vec![0.0; count]);
                let mut scores = Array2::zeros((BLOCK, count));
                for first in (start..end).step_by(BLOCK) {
                    let rows = first..end.min(first + BLOCK);
                    let block = self.values.slice(s![rows.clone(), ..]);
                    let mut scores = scores.slice_mut(s![..rows.len(), ..]);
                    general_mat_mul(1.0, &block, &weights, 0.0, &mut scores);
                    for (row, mut scores) in rows.clone().zip(scores.rows_mut()) {
                        if !self.used[row] {
                            scores.fill(0.0);
                            continue;
                        }
                        let class = self.classes[row] as usize;
                        let scores = scores.as_slice_mut().expect("a row is contiguous");
                        let log = softmax(scores, intercepts, &mut shares);
                        loss += log - f64::from(scores[class]) - intercepts[class];
                        shares[class] -= 1.0;
                        for ((score, sum), residual) in
                            scores.iter_mut().zip(&mut sums).zip(&shares)
                        {
                            *sum += residual;
                            *score = *residual as f32;
                        }
                    }
                    general_mat_mul(1.0, &block.t(), &scores, 1.0, &mut gradient);
                }
                (loss, gradient, sums)
            })
            .collect();
        let n = self.used.iter().filter(|used| **used).count() as f64;
        let mut gradient: Vec<f64> = parameters.to_vec();
        gradient[..features * count].iter_mut().for_each(|w| *w *= l2);
        gradient[features * count..].fill(0.0);
        let square: f64 = parameters[..features * count].iter().map(|w| w * w).sum();
        let mut loss = 0.5 * l2 * square;
        for (part, weights, intercepts) in parts {
            loss += part / n;
            let parts = weights.iter().map(|x| f64::from(*x)).chain(intercepts);
            for (all, part) in gradient.iter_mut().zip(parts) {
                *all += part / n;
            }
        }
        (loss, gradient)
    }

    /// How well `parameters` tell the rows that do not take part.
    pub fn held_out(&self, parameters: &[f64]) -> Told {
        let told = classify(self.values, parameters, self.count, Some(self.classes));
        let mut all = Told::default();
        for (row, (class, loss)) in told.into_iter().enumerate() {
            if !self.used[row] {
                all.rows += 1;
                all.correct += usize::from(class == self.classes[row]);
                all.loss += loss;
            }
        }
        all
    }
}

/// The most probable class of each row, and what its own class, if that is known, costs there.
pub(super) fn classify(
    values: &Array2<f32>,
    parameters: &[f64],
    count: usize,
    classes: Option<&[u32]>,
) -> Vec<(u32, f64)> {
    let features = values.ncols();
    let weights = weights(parameters, features, count);
    let intercepts = &parameters[features * count..];
    let blocks: Vec<usize> = (0..values.nrows()).step_by(BLOCK).collect();
    let told = blocks.par_iter().map(|&first| {
        let rows = first..values.nrows().min(first + BLOCK);
        let scores = values.slice(s![rows.clone(), ..]).dot(&weights);
        let of_row = |(row, scores): (usize, ndarray::ArrayView1<'_, f32>)| {
            let scores = scores.to_slice().expect("a row is contiguous");
            let score = |class: usize| f64::from(scores[class]) + intercepts[class];
            let best =
                (1..count).fold(0, |best, at| if score(at) > score(best) { at } else { best });
            let loss = classes.map_or(0.0, |classes| {
                softmax(scores, intercepts, &mut vec![0.0; count]) - score(classes[row] as usize)
            });
            (u32::try_from(best).unwrap_or(u32::MAX), loss)
        };
        rows.zip(scores.rows()).map(of_row).collect::<Vec<_>>()
    });
    told.collect::<Vec<_>>().concat()
}

#[allow(clippy::cast_possible_truncation)]
fn weights(parameters: &[f64], features: usize, count: usize) -> Array2<f32> {
    let weights = ArrayView2::from_shape((features, count), &parameters[..features * count]);
    weights.expect("parameters are weights and intercepts").mapv(|w| w as f32)
}

/// Fills `shares` with the probabilities of the classes, and gives `log Σ exp(score + intercept)`.
fn softmax(scores: &[f32], intercepts: &[f64], shares: &mut [f64]) -> f64 {
    let mut most = f64::NEG_INFINITY;
    for ((share, score), intercept) in shares.iter_mut().zip(scores).zip(intercepts) {
        *share = f64::from(*score) + intercept;
        most = most.max(*share);
    }
    let mut sum = 0.0;
    for share in shares.iter_mut() {
        *share = libm::exp(*share - most);
        sum += *share;
    }
    shares.iter_mut().for_each(|share| *share /= sum);
    most + libm::log(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of whole numbers, more than two blocks of them, the last one short.
    fn rows() -> (Array2<f32>, Vec<u32>, Vec<bool>) {
        let word = |at: usize| at.wrapping_mul(2_654_435_761) >> 7;
        let values = Array2::from_shape_fn((600, 3), |(row, column)| {
            (word(3 * row + column) % 9) as f32 / 4.0 - 1.0
        });
        let classes = (0..600).map(|row| (word(row) % 4) as u32).collect();
        (values, classes, (0..600).map(|row| row % 5 != 0).collect())
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_objective() {
        let (values, classes, used) = rows();
        let rows = Rows { values: &values, classes: &classes, count: 4, used: &used };
        let at: Vec<f64> = (0..rows.parameters()).map(|i| (i as f64 * 0.7).sin()).collect();
        let (_, gradient) = rows.objective(&at, 0.3);
        for i in 0..at.len() {
            // Weights go to the products as f32: a step that those can hold.
            let moved = |by: f64| {
                let mut at = at.clone();
                at[i] += by;
                rows.objective(&at, 0.3).0
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - gradient[i]).abs() < 1e-4, "{i}: {slope} {}", gradient[i]);
        }
    }

    #[test]
    fn rows_that_are_held_out_change_nothing_and_are_all_that_is_told() {
        let (mut values, classes, used) = rows();
        let at: Vec<f64> = (0..16).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let objective = |values: &Array2<f32>| {
            Rows { values, classes: &classes, count: 4, used: &used }.objective(&at, 0.1)
        };
        let before = objective(&values);
        let rows = Rows { values: &values, classes: &classes, count: 4, used: &used };
        let told = rows.held_out(&at);
        assert_eq!(told.rows, 120);
        let none = vec![false; 600];
        let all = Rows { used: &none, ..rows }.held_out(&at);
        let mean = all.loss / 600.0;
        let whole = vec![true; 600];
        let objective_of_all = Rows { used: &whole, ..rows }.objective(&at, 0.0).0;
        assert!((mean - objective_of_all).abs() < 1e-6, "{mean} {objective_of_all}");
        for row in (0..600).step_by(5) {
            values.row_mut(row).fill(7.0);
        }
        assert_eq!(objective(&values), before);
    }

    #[test]
    fn nothing_is_certain_at_zero() {
        let (values, classes, used) = rows();
        let rows = Rows { values: &values, classes: &classes, count: 4, used: &used };
        let (loss, _) = rows.objective(&vec![0.0; rows.parameters()], 1.0);
        assert!((loss - 4.0_f64.ln()).abs() < 1e-12);
    }
}
