//! Where a random choice is made, and the numbers that are chosen there.

use std::collections::HashMap;

use super::random::Stream;
use crate::recipe::Span;

/// All that a choice about a view may depend on, besides the stream's purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The sample.
    pub index: u64,
    /// The epoch; 0 for the neighbours of a pool, which are the same in all.
    pub epoch: u64,
    /// The moved view within its group, or the neighbour's number in the pool.
    pub view: u32,
}

impl Place {
    /// What is drawn once for a sample and shared by its views.
    pub fn of_anchor(index: u64) -> Self {
        Self { index, epoch: 0, view: 0 }
    }

    /// Words of `stream` for this place.
    pub fn words(self, stream: &Stream, words: &mut [u32]) {
        stream.in_epoch(self.epoch).fill(self.index, self.view, words);
    }

    /// One 64-bit word of `stream` for this place.
    pub fn word(self, stream: &Stream) -> u64 {
        let mut words = [0; 2];
        self.words(stream, &mut words);
        u64::from(words[0]) | u64::from(words[1]) << 32
    }
}

/// A number that is fixed, or uniform at every place.
#[derive(Debug, Clone)]
pub(super) struct Amount {
    span: Span,
    stream: Stream,
}

impl Amount {
    pub fn new(span: Span, seed: u64, purpose: &str) -> Self {
        Self { span, stream: Stream::new(seed, purpose) }
    }

    /// The number at `place`, in `[low, high)`.
    #[allow(clippy::cast_possible_truncation)]
    pub fn draw(&self, place: Place) -> f32 {
        if self.span.is_fixed() {
            return self.span.low as f32;
        }
        let mut word = [0];
        place.words(&self.stream, &mut word);
        let u = f64::from(word[0]) / 4_294_967_296.0;
        (self.span.low + (self.span.high - self.span.low) * u) as f32
    }
}

/// A number below `n` from a uniform word, with a bias of at most n / 2^64.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn below(word: u64, n: u32) -> u32 {
    ((u128::from(word) * u128::from(n)) >> 64) as u32
}

/// Memory that draws work in, so that nothing is allocated a view.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Random words.
    pub words: Vec<u32>,
    /// A latent beside the one that is moved.
    pub values: Vec<f32>,
    /// By how much an edit changes a latent.
    pub change: Vec<f64>,
    /// The activations of a walk: what a layer reads, and what it writes.
    pub layers: [Vec<f32>; 2],
    /// The neighbours of the views of one sample.
    pub neighbours: Vec<u32>,
    /// Places of a pool whose neighbour is no longer the one of that number.
    pub swapped: HashMap<u32, u32>,
}

/// The first `n` of `memory`, which grows if it must.
pub(super) fn space<T: Copy + Default>(memory: &mut Vec<T>, n: usize) -> &mut [T] {
    if memory.len() < n {
        memory.resize(n, T::default());
    }
    &mut memory[..n]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_fill_their_interval_evenly_and_fixed_ones_stay() {
        let amount = Amount::new(Span { low: -1.0, high: 3.0 }, 1, "test");
        let place = |index| Place { index, epoch: 2, view: 1 };
        let mut drawn: Vec<f32> = (0..10_000).map(|i| amount.draw(place(i))).collect();
        drawn.sort_by(f32::total_cmp);
        assert!(drawn[0] >= -1.0 && drawn[9_999] <= 3.0);
        // Kolmogorov and Smirnov; 1.95 / √n is the 0.999 quantile.
        for (i, x) in drawn.iter().enumerate() {
            let (expected, found) = (f64::from(x + 1.0) / 4.0, (i as f64 + 0.5) / 10_000.0);
            assert!((expected - found).abs() < 0.0195, "{i}: {x}");
        }
        let fixed = Amount::new(Span::fixed(0.5), 1, "test");
        assert!((0..9).all(|i| fixed.draw(place(i)) == 0.5));
    }

    #[test]
    fn numbers_below_n_are_below_n() {
        assert_eq!((below(0, 7), below(u64::MAX, 7), below(u64::MAX, 1)), (0, 6, 0));
    }
}
