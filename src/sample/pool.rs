//! Pools: the views of a sample are some of N fixed neighbours (Jahanian et al., 2022, compare
//! 1, 5 and 20 neighbours of an anchor with endlessly many).
//!
//! A neighbour is a view number of the first epoch, so it is the same in all epochs. Which of them
//! are shown is drawn for each epoch, without repetition, by the first steps of a Fisher–Yates
//! shuffle whose untouched places are not stored (Knuth, TAOCP 2, 3.4.2): as much time and memory
//! as views, however large the pool.

use super::place::{Scratch, below, space};
use super::random::Stream;

/// Draws neighbours out of a pool.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    size: u32,
    stream: Stream,
}

impl Pool {
    pub fn new(size: u32, seed: u64, purpose: &str) -> Self {
        Self { size, stream: Stream::new(seed, purpose) }
    }

    /// Puts the numbers of `views` different neighbours of sample `index`, in the order of the
    /// views, into `scratch.neighbours`. `views` is at most the size of the pool.
    pub fn choose(&self, index: u64, epoch: u64, views: u32, scratch: &mut Scratch) {
        let words = space(&mut scratch.words, 2 * views as usize);
        self.stream.in_epoch(epoch).fill(index, 0, words);
        scratch.neighbours.clear();
        scratch.swapped.clear();
        for (view, word) in (0..views).zip(words.as_chunks::<2>().0) {
            let word = u64::from(word[0]) | u64::from(word[1]) << 32;
            let place = view + below(word, self.size - view);
            let at = |place: u32| *scratch.swapped.get(&place).unwrap_or(&place);
            let (chosen, left) = (at(place), at(view));
            scratch.swapped.insert(place, left);
            scratch.neighbours.push(chosen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(size: u32, index: u64, epoch: u64, views: u32) -> Vec<u32> {
        let mut scratch = Scratch::default();
        Pool::new(size, 1, "test").choose(index, epoch, views, &mut scratch);
        scratch.neighbours
    }

    #[test]
    fn all_orders_of_a_small_pool_are_alike() {
        let mut counts = std::collections::BTreeMap::new();
        for index in 0..12_000 {
            *counts.entry(choose(4, index, 3, 2)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 12, "each pair in each order: {counts:?}");
        let chi: f64 = counts.values().map(|n| (f64::from(*n) - 1e3).powi(2) / 1e3).sum();
        // 0.999 quantile at 11 degrees of freedom.
        assert!(chi < 31.3, "{counts:?}");
    }

    #[test]
    fn a_whole_pool_is_a_permutation() {
        let mut all = choose(1024, 5, 0, 1024);
        assert_ne!(all, (0..1024).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..1024).collect::<Vec<_>>());
    }

    #[test]
    fn few_of_very_many_are_different_and_far_apart() {
        let mut scratch = Scratch::default();
        let pool = Pool::new(1 << 20, 1, "test");
        let mut sum = 0.0;
        for index in 0..1000 {
            pool.choose(index, 0, 8, &mut scratch);
            let mut sorted = scratch.neighbours.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert!(sorted.len() == 8 && sorted[7] < 1 << 20);
            assert!(scratch.swapped.len() <= 8, "memory grows with views only");
            sum += sorted.iter().map(|n| f64::from(*n)).sum::<f64>();
        }
        let mean = sum / 8000.0 / f64::from(1 << 20);
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn epochs_and_samples_choose_anew() {
        assert_ne!(choose(1000, 1, 0, 4), choose(1000, 1, 1, 4));
        assert_ne!(choose(1000, 1, 0, 4), choose(1000, 2, 0, 4));
        assert_eq!(choose(1000, 1, 7, 4), choose(1000, 1, 7, 4));
    }
}
