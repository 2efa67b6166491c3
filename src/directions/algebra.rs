//! The little linear algebra that directions need, with a fixed order of summation.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::error::{Error, Kind, Result};

/// The most elements that a latent may have: a matrix of their products is held in memory.
pub(super) const MAX_ELEMENTS: usize = 4096;

/// The sum of products, in order.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Adds `factor · x` to `sum`.
pub(super) fn add(sum: &mut [f64], factor: f64, x: &[f64]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

/// `vector` at length 1; `None` if it is (nearly) nothing.
pub(super) fn unit(vector: &[f64]) -> Option<Vec<f64>> {
    let length = dot(vector, vector).sqrt();
    (length > 1e-12 && length.is_finite()).then(|| vector.iter().map(|x| x / length).collect())
}

/// Turns `vector` so that its largest element is positive: an axis has no sign of its own.
pub(super) fn settle_sign(vector: &mut [f64]) {
    let largest =
        vector.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
    if largest < 0.0 {
        vector.iter_mut().for_each(|x| *x = -*x);
    }
}

/// A symmetric matrix of which the lower half is summed up.
#[derive(Debug, Clone)]
pub(super) struct Symmetric {
    side: usize,
    values: Vec<f64>,
}

impl Symmetric {
    /// Zeros.
    ///
    /// # Errors
    /// [`Kind::Limit`] for more than [`MAX_ELEMENTS`] a side.
    pub fn new(side: usize) -> Result<Self> {
        if side > MAX_ELEMENTS {
            let message = format!("the latent has {side} elements, more than {MAX_ELEMENTS}");
            return Err(Error::new(Kind::Limit, message)
                .help("choose a smaller latent input, or --method pca with an activation"));
        }
        Ok(Self { side, values: vec![0.0; side * side] })
    }

    /// Adds `x xᵀ`.
    pub fn add_product(&mut self, x: &[f64]) {
        for (row, factor) in x.iter().enumerate() {
            add(&mut self.values[row * self.side..][..=row], *factor, x);
        }
    }

    /// Adds `value` at (`row`, `column`), which must not lie above the diagonal.
    pub fn add_at(&mut self, row: usize, column: usize, value: f64) {
        debug_assert!(column <= row, "the lower half");
        self.values[row * self.side + column] += value;
    }

    /// The sum of the diagonal.
    pub fn trace(&self) -> f64 {
        (0..self.side).map(|i| self.values[i * self.side + i]).sum()
    }

    fn whole(&self) -> DMatrix<f64> {
        DMatrix::from_fn(self.side, self.side, |row, column| {
            self.values[row.max(column) * self.side + row.min(column)]
        })
    }

    /// The `count` largest eigenvalues with their eigenvectors of length 1, largest first.
    pub fn eigen(&self, count: usize) -> Vec<(f64, Vec<f64>)> {
        let eigen = SymmetricEigen::new(self.whole());
        let mut order: Vec<usize> = (0..self.side).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let pair = |at: usize| {
            let mut vector: Vec<f64> = eigen.eigenvectors.column(at).iter().copied().collect();
            settle_sign(&mut vector);
            (eigen.eigenvalues[at], vector)
        };
        order.into_iter().take(count).map(pair).collect()
    }

    /// A solver of `(self + ridge · mean of the diagonal) x = b`.
    ///
    /// # Errors
    /// [`Kind::Argument`] if the matrix is singular: fewer samples than elements, without ridge.
    pub fn solver(&self, ridge: f64) -> Result<impl Fn(&[f64]) -> Vec<f64> + use<>> {
        let mut matrix = self.whole();
        let lift = ridge * self.trace() / self.side.max(1) as f64;
        for i in 0..self.side {
            matrix[(i, i)] += lift;
        }
        let cholesky = matrix.cholesky().ok_or_else(|| {
            Error::new(Kind::Argument, "the latents do not determine a direction")
                .help("use more samples, or a larger ridge")
        })?;
        Ok(move |b: &[f64]| {
            cholesky.solve(&DVector::from_column_slice(b)).iter().copied().collect()
        })
    }
}

/// Makes the rows orthonormal, in order (modified Gram-Schmidt, twice for rounding). Rows that
/// depend on earlier ones become zero.
pub(super) fn orthonormalise(rows: &mut [Vec<f64>]) {
    for i in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(i);
        let row = &mut rest[0];
        let length = dot(row, row).sqrt();
        for _ in 0..2 {
            for earlier in before.iter() {
                let along = dot(row, earlier);
                add(row, -along, earlier);
            }
        }
        let left = dot(row, row).sqrt();
        let factor = if left > 1e-10 * length.max(1e-300) { 1.0 / left } else { 0.0 };
        row.iter_mut().for_each(|x| *x *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_come_largest_first_with_their_sign_settled() {
        let mut matrix = Symmetric::new(3).unwrap();
        for _ in 0..4 {
            matrix.add_product(&[0.0, -1.0, 1.0]);
        }
        matrix.add_product(&[1.0, 0.0, 0.0]);
        let pairs = matrix.eigen(2);
        assert!((pairs[0].0 - 8.0).abs() < 1e-12 && (pairs[1].0 - 1.0).abs() < 1e-12);
        assert!((pairs[0].1[1] * pairs[0].1[2] + 0.5).abs() < 1e-12);
        assert!((pairs[1].1[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn systems_are_solved_or_refused() {
        let mut matrix = Symmetric::new(2).unwrap();
        matrix.add_product(&[1.0, 2.0]);
        assert!(matrix.solver(0.0).is_err());
        matrix.add_product(&[0.0, 1.0]);
        let x = matrix.solver(0.0).unwrap()(&[1.0, 3.0]);
        assert!((x[0] + 1.0).abs() < 1e-12 && (x[1] - 1.0).abs() < 1e-12, "{x:?}");
        assert!(Symmetric::new(MAX_ELEMENTS + 1).unwrap_err().is_limit());
    }

    #[test]
    fn rows_become_orthonormal_and_dependent_ones_zero() {
        let mut rows = vec![vec![2.0, 0.0, 0.0], vec![1.0, 1.0, 0.0], vec![5.0, -3.0, 0.0]];
        orthonormalise(&mut rows);
        assert_eq!(rows, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]);
    }
}
