//! Samples that are drawn anew, as the recipe excludes what they were.

use std::sync::Arc;

/// How often each sample is drawn anew. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Redraws(Arc<[(u64, u32)]>);

impl Redraws {
    /// Of samples in rising order, each as often as it is drawn anew.
    pub fn new(excluded: &[u64]) -> Self {
        let runs = excluded.chunk_by(|a, b| a == b);
        Self(runs.map(|run| (run[0], u32::try_from(run.len()).unwrap_or(u32::MAX))).collect())
    }

    /// The draw that counts for sample `index`; 0 is the first.
    pub fn of(&self, index: u64) -> u32 {
        match self.0.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.0[at].1,
            Err(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_drawn_anew_as_often_as_they_are_named() {
        let redraws = Redraws::new(&[3, 7, 7, 7, 9]);
        assert_eq!([0, 3, 7, 8, 9].map(|index| redraws.of(index)), [0, 1, 3, 0, 1]);
        assert_eq!(Redraws::default().of(3), 0);
    }
}
