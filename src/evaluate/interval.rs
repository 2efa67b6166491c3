//! How sure an accuracy is, and a difference between two that were measured on the same images.

use serde::Serialize;

/// The 97.5 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A proportion of images with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Accuracy {
    /// Images that were told right.
    pub correct: usize,
    /// Of so many.
    pub of: usize,
    /// The proportion, 0 to 1.
    pub value: f64,
    /// Wilson's score interval (Wilson, 1927) without continuity correction.
    pub interval: [f64; 2],
}

impl Accuracy {
    /// Of `correct` among `of` images, which must be more than none.
    #[must_use]
    pub fn new(correct: usize, of: usize) -> Self {
        let value = correct as f64 / of as f64;
        Self { correct, of, value, interval: wilson(correct, of) }
    }

    /// Of a list of what was told right.
    pub(super) fn of_list(right: &[bool]) -> Self {
        Self::new(right.iter().filter(|right| **right).count(), right.len())
    }
}

/// Wilson's score interval (Wilson, 1927), 95 %, without continuity correction, for a proportion of
/// `count` among `of`, which must be more than none.
pub(super) fn wilson(count: usize, of: usize) -> [f64; 2] {
    let (n, value) = (of as f64, count as f64 / of as f64);
    let z2 = Z * Z;
    let centre = (value + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt();
    // At 0 and 1 the end is exact, whatever the rounding.
    let low = if count == 0 { 0.0 } else { centre - half };
    let high = if count == of { 1.0 } else { centre + half };
    [low, high]
}

/// By how much one is right more often than another on the same images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Images that only the first told right.
    pub only_first: usize,
    /// Images that only the second told right.
    pub only_second: usize,
    /// The difference of the accuracies, -1 to 1.
    pub value: f64,
    /// Its 95 % confidence interval: Wald's for paired proportions, with half an image added to each
    /// cell of the table (Agresti and Min, 2005).
    pub interval: [f64; 2],
}

impl Difference {
    /// From McNemar's discordant counts among `of` images, which must be more than none.
    #[must_use]
    pub fn new(only_first: usize, only_second: usize, of: usize) -> Self {
        let (b, c) = (only_first as f64 + 0.5, only_second as f64 + 0.5);
        let n = of as f64 + 2.0;
        let centre = (b - c) / n;
        let half = Z * (b + c - (b - c) * (b - c) / n).sqrt() / n;
        Self {
            only_first,
            only_second,
            value: (only_first as f64 - only_second as f64) / of as f64,
            interval: [(centre - half).max(-1.0), (centre + half).min(1.0)],
        }
    }

    /// Of two lists over the same images.
    pub(super) fn of_lists(first: &[bool], second: &[bool]) -> Self {
        let only = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count();
        Self::new(only(first, second), only(second, first), first.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: [f64; 2], published: [f64; 2], tolerance: f64) {
        for (found, published) in found.into_iter().zip(published) {
            assert!((found - published).abs() < tolerance, "{found} {published}");
        }
    }

    /// Table I of Newcombe, Statistics in Medicine 17 (1998) 857-872, method 3.
    #[test]
    fn wilson_intervals_are_the_published_ones() {
        for (correct, of, published) in [
            (81, 263, [0.2553, 0.3662]),
            (15, 148, [0.0624, 0.1605]),
            (0, 20, [0.0000, 0.1611]),
            (1, 29, [0.0061, 0.1718]),
        ] {
            near(Accuracy::new(correct, of).interval, published, 5.1e-5);
        }
        assert_eq!(Accuracy::new(20, 20).interval[1], 1.0);
    }

    /// The approval ratings of Agresti, Categorical Data Analysis (2002), section 10.1: 150 and 86
    /// of 1,600 changed their minds, the difference is 0.04 with interval (0.02, 0.06). So many
    /// people make the added halves small.
    #[test]
    fn paired_differences_are_the_published_ones() {
        let difference = Difference::new(150, 86, 1600);
        assert_eq!(difference.value, 0.04);
        near(difference.interval, [0.0214, 0.0586], 2e-4);
        let none = Difference::new(0, 0, 10);
        assert_eq!(none.value, 0.0);
        assert!(none.interval[0] < 0.0 && none.interval[1] > 0.0, "nothing seen is not certainty");
    }

    #[test]
    fn lists_are_counted_place_by_place() {
        let (a, b) = ([true, true, false, false, true], [true, false, true, false, false]);
        let difference = Difference::of_lists(&a, &b);
        assert_eq!((difference.only_first, difference.only_second), (2, 1));
        assert_eq!(Accuracy::of_list(&a).correct, 3);
    }
}
