//! Sums of products of rows, in an order of their own.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, Axis, s};

/// Rows of a product that is summed in `f64` with others.
const ROWS: usize = 1024;

/// `XᵀX`, `[width, width]`, of a matrix of `rows` rows of which `write` writes one; they are asked for
/// in order.
pub(super) fn gram(rows: usize, width: usize, write: &dyn Fn(usize, &mut [f64])) -> Array2<f64> {
    let mut sum = Array2::zeros((width, width));
    let mut block = Array2::zeros((ROWS.min(rows), width));
    for first in (0..rows).step_by(ROWS) {
        let count = ROWS.min(rows - first);
        let mut part = block.slice_mut(s![..count, ..]);
        for (row, mut out) in (first..).zip(part.axis_iter_mut(Axis(0))) {
            write(row, out.as_slice_mut().expect("standard layout"));
        }
        general_mat_mul(1.0, &part.t(), &part, 1.0, &mut sum);
    }
    sum
}
