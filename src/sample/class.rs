//! Class labels: one uniform 64-bit word in, one label out.

use super::random::Stream;
use crate::recipe::{Balance, Class};

/// Draws labels in the proportions that a recipe asks for.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    stream: Stream,
    table: Table,
}

/// How a word chooses a number.
#[derive(Debug, Clone)]
pub(super) enum Table {
    /// Every label below this alike.
    Uniform(u32),
    /// These labels alike.
    Only(Vec<u32>),
    /// Label `k` for words below `thresholds[k]` that earlier labels did not take. Rising; a label
    /// of weight 0 repeats the threshold before it.
    Thresholds(Vec<u64>),
}

impl Labels {
    pub fn new(seed: u64, purpose: &str, class: &Class) -> Self {
        let table = match &class.balance {
            Balance::Uniform => Table::Uniform(class.classes),
            Balance::Only(only) => Table::Only(only.clone()),
            Balance::Weights(weights) => Table::weighted(weights),
        };
        Self { stream: Stream::new(seed, purpose), table }
    }

    /// The label of sample `index`.
    pub fn label(&self, index: u64) -> u32 {
        self.table.pick(self.stream.word(index))
    }
}

impl Table {
    /// Numbers in proportion to these.
    pub fn weighted(weights: &[f64]) -> Self {
        Self::Thresholds(thresholds(weights))
    }

    /// The number that a uniform word stands for.
    pub fn pick(&self, word: u64) -> u32 {
        #[allow(clippy::cast_possible_truncation)]
        let below = |n: usize| ((u128::from(word) * n as u128) >> 64) as usize;
        #[allow(clippy::cast_possible_truncation)]
        match self {
            Self::Uniform(classes) => below(*classes as usize) as u32,
            Self::Only(only) => only[below(only.len())],
            Self::Thresholds(thresholds) => {
                // The last threshold stands for 2^64, which does not fit.
                let word = word.min(u64::MAX - 1);
                thresholds.partition_point(|t| *t <= word) as u32
            }
        }
    }
}

/// Cumulative weights scaled to 2^64; the last label that has weight takes what rounding left.
fn thresholds(weights: &[f64]) -> Vec<u64> {
    let total: f64 = weights.iter().sum();
    let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
    let mut sum = 0.0;
    let mut rising = Vec::with_capacity(weights.len());
    for (label, weight) in weights.iter().enumerate() {
        sum += weight;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let threshold = (sum / total * 18_446_744_073_709_551_616.0) as u64;
        rising.push(if label >= last { u64::MAX } else { threshold });
    }
    rising
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Encoding;

    fn counts(balance: Balance, classes: u32) -> Vec<usize> {
        let class = Class { encoding: Encoding::Index, classes, balance, names: Vec::new() };
        let labels = Labels::new(1, "class y", &class);
        let mut counts = vec![0; classes as usize];
        for index in 0..10_000 {
            counts[labels.label(index) as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_classes_pass_a_chi_square_test() {
        let counts = counts(Balance::Uniform, 10);
        let chi: f64 = counts.iter().map(|n| (*n as f64 - 1000.0).powi(2) / 1000.0).sum();
        // 0.999 quantile at 9 degrees of freedom.
        assert!(chi < 27.9, "{counts:?}");
    }

    #[test]
    fn weights_are_proportions_and_zero_means_never() {
        let counts = counts(Balance::Weights(vec![0.0, 3.0, 0.0, 1.0, 0.0]), 5);
        assert_eq!((counts[0], counts[2], counts[4]), (0, 0, 0));
        assert!((7300..7700).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn only_some_classes_are_drawn_alike() {
        let counts = counts(Balance::Only(vec![2, 7]), 10);
        assert_eq!(counts[2] + counts[7], 10_000);
        assert!((4800..5200).contains(&counts[2]));
    }

    #[test]
    fn the_largest_word_stays_in_range() {
        for table in [
            Table::Uniform(10),
            Table::Only(vec![9]),
            Table::Thresholds(thresholds(&[1.0, 1.0, 0.0])),
        ] {
            assert!(table.pick(u64::MAX - 1) < 10);
        }
        let thresholds = Table::Thresholds(thresholds(&[1.0, 0.0]));
        assert_eq!(thresholds.pick(u64::MAX), 0, "the last label with weight takes the rest");
    }
}
