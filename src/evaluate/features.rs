//! Features of images, a row each, with the labels of the images.

use ndarray::Array2;
use rayon::prelude::*;

use crate::error::{Error, Kind, Result};

/// Rows that are summed on their own; the number is part of what sums come to.
const ROWS: usize = 1024;

/// What an encoder makes of images: `[N, D]`, and a label for each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Array2<f32>,
    labels: Vec<i64>,
}

impl Features {
    /// Features that were made elsewhere.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is not one label for each row, or no feature at all;
    /// [`Kind::Sample`] with the row if a feature is not finite.
    pub fn new(values: Array2<f32>, labels: Vec<i64>) -> Result<Self> {
        let (rows, columns) = values.dim();
        if rows != labels.len() || rows == 0 || columns == 0 {
            let message = format!("features [{rows}, {columns}] with {} labels", labels.len());
            return Err(Error::new(Kind::Argument, message));
        }
        // What is in order already is not copied: it may be most of the memory.
        let values = match values.is_standard_layout() {
            true => values,
            false => values.as_standard_layout().into_owned(),
        };
        match rows_of(&values).position(|row| row.iter().any(|x| !x.is_finite())) {
            Some(row) => {
                let message = format!("the features of row {row} are not finite");
                Err(Error::new(Kind::Sample, message))
            }
            None => Ok(Self { values, labels }),
        }
    }

    /// `[N, D]`.
    #[must_use]
    pub fn values(&self) -> &Array2<f32> {
        &self.values
    }

    pub(super) fn values_mut(&mut self) -> &mut Array2<f32> {
        &mut self.values
    }

    pub(super) fn into_values(self) -> Array2<f32> {
        self.values
    }

    /// `[N]`.
    #[must_use]
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }
}

/// The rows of a matrix in standard layout.
pub(super) fn rows_of(values: &Array2<f32>) -> std::slice::ChunksExact<'_, f32> {
    values.as_slice().expect("standard layout").chunks_exact(values.ncols())
}

/// Shifts and scales every column of both matrices so that those of the first have mean 0 and
/// deviation 1. A column that is constant there becomes 0 in both: nothing can be learnt from it.
pub(super) fn standardise(train: &mut Array2<f32>, others: &mut [&mut Array2<f32>]) {
    let n = train.nrows() as f64;
    let sums = |of: &(dyn Fn(usize, f32) -> f64 + Sync)| column_sums(train, of);
    let mean: Vec<f64> = sums(&|_, x| f64::from(x)).iter().map(|sum| sum / n).collect();
    let squares = sums(&|column, x| (f64::from(x) - mean[column]).powi(2));
    let scale: Vec<f64> = squares
        .iter()
        .zip(&mean)
        .map(|(square, mean)| {
            let deviation = (square / n).sqrt();
            // What the rounding of equal floats leaves is no deviation.
            if deviation > 1e-6 * mean.abs() { 1.0 / deviation } else { 0.0 }
        })
        .collect();
    for values in std::iter::once(train).chain(others.iter_mut().map(|other| &mut **other)) {
        let columns = values.ncols();
        let slice = values.as_slice_mut().expect("standard layout");
        slice.par_chunks_mut(ROWS * columns).for_each(|rows| {
            for row in rows.chunks_exact_mut(columns) {
                for ((x, mean), scale) in row.iter_mut().zip(&mean).zip(&scale) {
                    #[allow(clippy::cast_possible_truncation)]
                    let moved = ((f64::from(*x) - mean) * scale) as f32;
                    *x = moved;
                }
            }
        });
    }
}

/// The sum of `of` over each column, in an order that does not depend on threads.
fn column_sums(values: &Array2<f32>, of: &(dyn Fn(usize, f32) -> f64 + Sync)) -> Vec<f64> {
    let columns = values.ncols();
    let slice = values.as_slice().expect("standard layout");
    let parts: Vec<Vec<f64>> = slice
        .par_chunks(ROWS * columns)
        .map(|rows| {
            let mut sums = vec![0.0; columns];
            for row in rows.chunks_exact(columns) {
                for ((column, sum), x) in sums.iter_mut().enumerate().zip(row) {
                    *sum += of(column, *x);
                }
            }
            sums
        })
        .collect();
    let mut all = vec![0.0; columns];
    for part in parts {
        for (all, sum) in all.iter_mut().zip(part) {
            *all += sum;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_standardised_by_the_first_matrix() {
        let mut train = Array2::from_shape_fn((3000, 3), |(row, column)| match column {
            0 => row as f32,
            1 => 0.1,
            _ => 5000.0 + (row % 2) as f32,
        });
        let mut test = ndarray::arr2(&[[1499.5_f32, 7.0, 5001.0]]);
        standardise(&mut train, &mut [&mut test]);
        for column in [0, 2] {
            let column = train.column(column);
            let mean = column.mean().unwrap();
            let square = column.mapv(|x| x * x).mean().unwrap();
            assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
        }
        assert!(train.column(1).iter().all(|x| *x == 0.0));
        assert_eq!(test, ndarray::arr2(&[[0.0, 0.0, 1.0]]));
    }

    #[test]
    fn features_that_are_none_are_refused() {
        let kind = |values: Array2<f32>, labels: Vec<i64>| {
            Features::new(values, labels).unwrap_err().kind()
        };
        assert_eq!(kind(Array2::zeros((2, 3)), vec![0]), Kind::Argument);
        assert_eq!(kind(Array2::zeros((2, 0)), vec![0, 1]), Kind::Argument);
        assert_eq!(kind(ndarray::arr2(&[[0.0], [f32::NAN]]), vec![0, 1]), Kind::Sample);
    }
}
