//! Samples that come again within the stream.

use std::collections::HashSet;

use ndarray::Array2;
use serde::Serialize;

use super::copies::{Closeness, Closer, count};
use super::distances::Near;
use super::report::Share;
use crate::error::Result;
use crate::evaluate::features::rows_of;

/// What was found of samples that are like another sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Duplicates {
    /// Samples whose features are those of an earlier one to the bit.
    pub exact: Share,
    /// Share of the samples that are relatively closer to another one than each quantile of real
    /// images is to another real one, among as many.
    pub closer: Vec<Closer>,
    /// Whether more of them are than chance allows: the stream falls together.
    pub alarm: bool,
}

/// Compares how near samples are to each other (`generated`) with how near real images are (`real`),
/// which should be as many; each test is at `level`.
pub(super) fn duplicates(
    rows: &Array2<f32>,
    generated: &[Vec<Near>],
    real: &[Vec<Near>],
    level: f64,
) -> Result<Duplicates> {
    let counted = count(&Closeness::of_each(generated), &Closeness::of_each(real), level)?;
    let exact = Share::new(repeated(rows), rows.nrows());
    let (closer, alarm) = (counted.closer, counted.alarm);
    Ok(Duplicates { exact, closer, alarm })
}

/// Rows that came before.
fn repeated(rows: &Array2<f32>) -> usize {
    let mut seen: HashSet<blake3::Hash> = HashSet::new();
    let hash = |row: &[f32]| blake3::hash(bytemuck::cast_slice(row));
    rows_of(rows).filter(|row| !seen.insert(hash(row))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_came_before_are_counted() {
        let rows = ndarray::arr2(&[[1.0_f32, 2.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0]]);
        assert_eq!(repeated(&rows), 2);
    }
}
