//! How an attribute is distributed over images, before and after.

use serde::Serialize;

use crate::directions::Mean;

/// The quantiles that are reported.
pub const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Bars of a histogram.
pub const BINS: usize = 24;

/// An attribute over some images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// Images that have it.
    pub images: usize,
    /// Images that have none.
    pub undefined: usize,
    /// Its mean.
    pub mean: f64,
    /// The mean's 95 % confidence interval (Student).
    pub interval: [f64; 2],
    /// Its standard deviation.
    pub std: f64,
    /// Its [`QUANTILES`], between the two nearest images.
    pub quantiles: [f64; 5],
    /// Images in each of [`BINS`] intervals of equal width; those beyond the ends count for the
    /// first and the last.
    pub histogram: Vec<usize>,
}

impl Distribution {
    /// Of values of which NaN are none, with bars from `from` to `to`. `None` if there are fewer than
    /// two.
    pub(super) fn of(values: &[f64], [from, to]: [f64; 2]) -> Option<Self> {
        let sorted = sorted(values);
        if sorted.len() < 2 {
            return None;
        }
        let mean = Mean::of(&sorted);
        let mut histogram = vec![0; BINS];
        for value in &sorted {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let bin = ((value - from) / (to - from) * BINS as f64).clamp(0.0, BINS as f64 - 1.0);
            histogram[bin as usize] += 1;
        }
        Some(Self {
            images: sorted.len(),
            undefined: values.len() - sorted.len(),
            mean: mean.mean,
            interval: mean.interval(),
            std: mean.deviation,
            quantiles: QUANTILES.map(|p| quantile(&sorted, p)),
            histogram,
        })
    }
}

/// Those that are defined, in rising order.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Between the two nearest of values in rising order, in proportion (Hyndman and Fan, 1996, type 7).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_few_values_is_what_can_be_counted() {
        let values = [3.0, f64::NAN, 1.0, 2.0, 5.0, 4.0];
        let found = Distribution::of(&values, [1.0, 4.0]).unwrap();
        assert_eq!((found.images, found.undefined, found.mean), (5, 1, 3.0));
        assert!((found.std - 2.5f64.sqrt()).abs() < 1e-12);
        let expected = [1.2, 2.0, 3.0, 4.0, 4.8];
        for (found, expected) in found.quantiles.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(found.histogram.iter().sum::<usize>(), 5);
        // 4 is the end, and 5 beyond it.
        assert_eq!((found.histogram[0], found.histogram[BINS - 1]), (1, 2));
        assert!(found.interval[0] < 3.0 && found.interval[1] > 3.0);
        assert_eq!(Distribution::of(&[1.0, f64::NAN], [0.0, 1.0]), None);
    }
}
