//! The classes that two datasets share, numbered from 0.

use std::collections::BTreeMap;

use super::report::Class;
use crate::error::{Error, Kind, Result};

/// How many classes an error lists.
const LISTED: usize = 8;

/// Labels of the training images, in rising order, and where each is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classes(BTreeMap<i64, u32>);

impl Classes {
    /// Those of `labels`.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is only one.
    pub fn of(labels: &[i64]) -> Result<Self> {
        let mut all: BTreeMap<i64, u32> = labels.iter().map(|label| (*label, 0)).collect();
        all.values_mut().zip(0..).for_each(|(place, at)| *place = at);
        if all.len() < 2 {
            let label = all.keys().next().copied().unwrap_or_default();
            let message = format!("all training images have the label {label}");
            return Err(Error::new(Kind::Argument, message)
                .help("a probe tells classes apart: it needs two, or more images (--limit)"));
        }
        Ok(Self(all))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of each label.
    ///
    /// # Errors
    /// [`Kind::Argument`] for labels that are none of these.
    pub fn numbers(&self, labels: &[i64]) -> Result<Vec<u32>> {
        let mut unknown: Vec<i64> =
            labels.iter().copied().filter(|label| !self.0.contains_key(label)).collect();
        if unknown.is_empty() {
            return Ok(labels.iter().map(|label| self.0[label]).collect());
        }
        let images = unknown.len();
        unknown.sort_unstable();
        unknown.dedup();
        let listed: Vec<String> = unknown.iter().take(LISTED).map(ToString::to_string).collect();
        let more = if unknown.len() > LISTED { ", …" } else { "" };
        let message = format!(
            "{images} test images have labels that no training image has: {}{more}",
            listed.join(", ")
        );
        Err(Error::new(Kind::Argument, message)
            .help("train on more images (--limit), or test on the classes that are trained"))
    }

    /// With the names that a dataset has for its labels.
    pub fn named(&self, names: &[String]) -> Vec<Class> {
        let name = |label: i64| usize::try_from(label).ok().and_then(|label| names.get(label));
        let named = |&label: &i64| Class {
            label,
            name: name(label).cloned().unwrap_or_else(|| label.to_string()),
        };
        self.0.keys().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_numbered_in_rising_order() {
        let classes = Classes::of(&[7, 3, 3, 11]).unwrap();
        assert_eq!(classes.numbers(&[3, 7, 11, 3]).unwrap(), [0, 1, 2, 0]);
        let names: Vec<String> = (0..8).map(|name| format!("n{name}")).collect();
        let named: Vec<String> = classes.named(&names).into_iter().map(|c| c.name).collect();
        assert_eq!(named, ["n3", "n7", "11"]);
    }

    #[test]
    fn what_cannot_be_told_apart_or_was_not_learnt_is_refused() {
        let error = Classes::of(&[4, 4]).unwrap_err().to_string();
        assert!(error.contains("all training images have the label 4"), "{error}");
        let error = Classes::of(&[0, 1]).unwrap().numbers(&[0, 5, 2, 5]).unwrap_err().to_string();
        assert!(
            error.contains("3 test images have labels that no training image has: 2, 5"),
            "{error}"
        );
    }
}
