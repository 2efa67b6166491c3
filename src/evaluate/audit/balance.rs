//! How often each class came.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::report::Share;
use crate::recipe::{Balance, Class};

/// How often each class came, and whether that is what the recipe says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassBalance {
    /// Share of the samples with each label.
    pub classes: Vec<Share>,
    /// The share that the recipe gives it.
    pub expected: Vec<f64>,
    /// Pearson's χ² of the two.
    pub chi_square: f64,
    /// The probability of so much or more.
    pub p: f64,
    /// The effective number of classes: the exponential of the entropy of their shares.
    pub effective: f64,
}

/// Of labels that were drawn as `class` says; `None` where some are none of its classes.
pub(super) fn balance(labels: &[i64], class: &Class) -> Option<ClassBalance> {
    let mut counts = vec![0_usize; class.classes as usize];
    for label in labels {
        *counts.get_mut(usize::try_from(*label).ok()?)? += 1;
    }
    let expected = expected(class);
    let n = labels.len() as f64;
    let cells = || counts.iter().zip(&expected).filter(|(_, expected)| **expected > 0.0);
    let chi_square: f64 =
        cells().map(|(count, share)| (*count as f64 - n * share).powi(2) / (n * share)).sum();
    let freedom = (cells().count() - 1) as f64;
    // A class that should never come has no cell, and one that does come has no probability.
    let never = counts.iter().zip(&expected).any(|(count, share)| *share == 0.0 && *count > 0);
    let p = match ChiSquared::new(freedom) {
        _ if never => 0.0,
        Ok(distribution) => distribution.sf(chi_square),
        Err(_) => 1.0,
    };
    let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / n);
    let effective = shares.map(|share| -share * share.ln()).sum::<f64>().exp();
    let classes = counts.iter().map(|count| Share::new(*count, labels.len())).collect();
    Some(ClassBalance { classes, expected, chi_square, p, effective })
}

fn expected(class: &Class) -> Vec<f64> {
    let classes = class.classes as usize;
    match &class.balance {
        Balance::Uniform => vec![1.0 / classes as f64; classes],
        Balance::Weights(weights) => {
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        }
        Balance::Only(only) => {
            let mut shares = vec![0.0; classes];
            for label in only {
                shares[*label as usize] += 1.0 / only.len() as f64;
            }
            shares
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Encoding;

    fn class(balance: Balance) -> Class {
        Class { encoding: Encoding::Index, classes: 3, balance, names: Vec::new() }
    }

    #[test]
    fn counts_are_held_against_the_recipe() {
        let labels: Vec<i64> = (0..60).map(|i| [0, 0, 1, 1, 2, 0][i % 6]).collect();
        let found = balance(&labels, &class(Balance::Uniform)).unwrap();
        // 30, 20 and 10 where 20 each are expected: χ² = 10, and exp(-5) beyond it with two degrees.
        assert!((found.chi_square - 10.0).abs() < 1e-12);
        assert!((found.p - (-5.0_f64).exp()).abs() < 1e-9, "{}", found.p);
        assert!(found.effective < 3.0 && found.effective > 2.7);
        let weighted = balance(&labels, &class(Balance::Weights(vec![3.0, 2.0, 1.0]))).unwrap();
        assert!(weighted.chi_square < 1e-9 && weighted.p > 0.999);
    }

    #[test]
    fn a_class_that_should_never_come_is_impossible() {
        let only = class(Balance::Only(vec![0, 2]));
        assert_eq!(balance(&[0, 2, 1, 0], &only).unwrap().p, 0.0);
        assert!(balance(&[0, 2, 2, 0], &only).unwrap().p > 0.9);
        assert_eq!(balance(&[0, 3], &only), None);
        assert_eq!(balance(&[0, -1], &only), None);
        assert_eq!(balance(&[1, 1], &class(Balance::Only(vec![1]))).unwrap().p, 1.0);
    }
}
