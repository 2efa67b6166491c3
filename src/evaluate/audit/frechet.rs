//! The Fréchet distance between two sets of features (Dowson and Landau, 1982; Heusel et al., 2017).
//!
//! `|μ₁ - μ₂|² + tr(C₁ + C₂ - 2 (C₁C₂)^½)` of the means and the covariances: the squared
//! 2-Wasserstein distance between the normal distributions that have them. In the features of an
//! Inception network it is the FID; here it is named by the space that it was measured in.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::Array2;

use super::distances::row_of;
use super::gram::gram;
use crate::error::{Error, Kind, Result};

/// The widest features whose covariances are decomposed; beyond, it takes hours.
const MAX_WIDTH: usize = 4096;

/// Mean and covariance of features.
pub(super) struct Moments {
    mean: Vec<f64>,
    covariance: DMatrix<f64>,
}

impl Moments {
    /// Of at least two rows; the covariance is the unbiased one.
    ///
    /// # Errors
    /// [`Kind::Limit`] for more than 4,096 features.
    pub fn of(rows: &Array2<f32>) -> Result<Self> {
        let (n, width) = rows.dim();
        if width > MAX_WIDTH {
            let message =
                format!("a Fréchet distance of {width} features, and at most {MAX_WIDTH}");
            return Err(Error::new(Kind::Limit, message));
        }
        let mean: Vec<f64> = (0..width)
            .map(|column| rows.column(column).iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64)
            .collect();
        let sum = gram(n, width, &|row, out| {
            for ((out, x), mean) in out.iter_mut().zip(row_of(rows, row)).zip(&mean) {
                *out = f64::from(*x) - mean;
            }
        });
        let scale = 1.0 / (n as f64 - 1.0);
        let covariance = DMatrix::from_fn(width, width, |row, column| sum[[row, column]] * scale);
        Ok(Self { mean, covariance })
    }

    /// The mean of each feature.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The squared distance to `other`.
    pub fn distance(&self, other: &Self) -> f64 {
        let means: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        // (C₁C₂)^½ has the trace of (C₁^½ C₂ C₁^½)^½, which is symmetric.
        let eigen = SymmetricEigen::new(self.covariance.clone());
        let mut scaled = eigen.eigenvectors;
        for (mut column, value) in scaled.column_iter_mut().zip(eigen.eigenvalues.iter()) {
            column *= value.max(0.0).sqrt();
        }
        let product = scaled.transpose() * &other.covariance * &scaled;
        // What rounding left of the symmetry would show.
        let product = (&product + product.transpose()) * 0.5;
        let roots: f64 = product.symmetric_eigenvalues().iter().map(|x| x.max(0.0).sqrt()).sum();
        means + self.covariance.trace() + other.covariance.trace() - 2.0 * roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with mean `shift` and deviations `scale` along the axes, exactly.
    fn corners(shift: [f32; 2], scale: [f32; 2]) -> Array2<f32> {
        Array2::from_shape_fn((4, 2), |(row, axis)| {
            let sign = if row >> axis & 1 == 0 { -1.0 } else { 1.0 };
            shift[axis] + sign * scale[axis]
        })
    }

    #[test]
    fn distances_of_axis_aligned_normals_are_those_of_their_axes() {
        let of = |shift, scale| Moments::of(&corners(shift, scale)).unwrap();
        let one = of([0.0, 0.0], [1.0, 2.0]);
        assert!(one.distance(&one).abs() < 1e-9);
        // Σ (μ₁ - μ₂)² + (σ₁ - σ₂)², where σ² is 4/3 of the scale's.
        let other = of([3.0, -1.0], [2.0, 0.5]);
        let expected = 9.0 + 1.0 + (1.0 + 1.5_f64.powi(2)) * 4.0 / 3.0;
        assert!((one.distance(&other) - expected).abs() < 1e-6, "{}", one.distance(&other));
        assert!((other.distance(&one) - expected).abs() < 1e-6);
    }

    #[test]
    fn features_that_are_too_wide_are_refused() {
        let error = Moments::of(&Array2::zeros((2, MAX_WIDTH + 1))).err().unwrap();
        assert_eq!(error.kind(), Kind::Limit);
    }
}
