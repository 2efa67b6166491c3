//! The effective number of different samples: the Vendi score (Friedman and Dieng, 2023).
//!
//! The exponential of the entropy of the eigenvalues of K / n, where K holds the cosine similarities
//! of n samples: 1 if all are the same, n if no two have anything in common.

use nalgebra::DMatrix;
use ndarray::Array2;

use super::distances::row_of;
use super::gram::gram;

/// Of features that have been centred around `centre`: a similarity that is great because all images
/// have the same background says nothing about them.
pub(super) fn score(rows: &Array2<f32>, centre: &[f64]) -> f64 {
    let (n, width) = rows.dim();
    let unit = |row: usize, out: &mut [f64]| {
        for ((out, x), centre) in out.iter_mut().zip(row_of(rows, row)).zip(centre) {
            *out = f64::from(*x) - centre;
        }
        let length = out.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 0.0 {
            out.iter_mut().for_each(|x| *x /= length);
        }
    };
    // XᵀX and XXᵀ have the same eigenvalues but for zeros.
    let products = if width <= n {
        gram(n, width, &unit)
    } else {
        let mut all = Array2::zeros((n, width));
        for (row, mut out) in all.rows_mut().into_iter().enumerate() {
            unit(row, out.as_slice_mut().expect("standard layout"));
        }
        all.dot(&all.t())
    };
    let side = products.nrows();
    let gram = DMatrix::from_fn(side, side, |row, column| products[[row, column]] / n as f64);
    let entropy: f64 = gram
        .symmetric_eigenvalues()
        .iter()
        .filter(|value| **value > 1e-12)
        .map(|value| -value * value.ln())
        .sum();
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_have_nothing_in_common_are_counted() {
        // Each axis three times over, at other lengths.
        for (rows, width) in [(12, 4), (4, 9)] {
            let axes = rows.min(width).min(4);
            let values = Array2::from_shape_fn((rows, width), |(row, column)| {
                if row % axes == column { 1.0 + row as f32 } else { 0.0 }
            });
            let score = score(&values, &vec![0.0; width]);
            assert!((score - axes as f64).abs() < 1e-9, "{score}");
        }
    }

    #[test]
    fn equal_samples_are_one_and_opposite_ones_are_alike() {
        let same = Array2::from_elem((20, 3), 0.7_f32);
        assert!((score(&same, &[0.0; 3]) - 1.0).abs() < 1e-9);
        // Seen from between them, two heaps lie on one line.
        let heaps = Array2::from_shape_fn((20, 3), |(row, _)| (row % 2) as f32);
        assert!((score(&heaps, &[0.5; 3]) - 1.0).abs() < 1e-9);
    }
}
