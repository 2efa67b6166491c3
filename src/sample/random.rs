//! Addressable random words: Philox4x32-10 (Salmon et al., SC 2011).
//!
//! Each purpose (the anchor of input `z`, the class of input `y`, the noise of op 0, …) has a key
//! of its own, derived from the recipe's seed and the purpose's name by BLAKE3. The 128-bit
//! counter holds the sample's index (64 bits), the view (32) and the place in the draw (32), so
//! streams of different samples, views and purposes cannot overlap.

use rand_philox::Philox;

/// Changes whenever equal seeds give other draws than before.
const CONTEXT: &str = "genset sample streams v1";

/// The random words of one purpose.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    key: [u32; 2],
}

impl Stream {
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&seed.to_le_bytes());
        hasher.update(purpose.as_bytes());
        let bytes = hasher.finalize();
        let word = |at: usize| {
            let b = bytes.as_bytes();
            u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
        };
        Self { key: [word(0), word(4)] }
    }

    /// The words of the same purpose in another epoch; those of epoch 0 are the stream's own. Its key
    /// is drawn from a counter that no sample has.
    pub fn in_epoch(&self, epoch: u64) -> Self {
        if epoch == 0 {
            return self.clone();
        }
        #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
        let counter = [epoch as u32, (epoch >> 32) as u32, u32::MAX, u32::MAX];
        let [a, b, ..] = rand_philox::philox4x32_10(counter, self.key);
        Self { key: [a, b] }
    }

    /// The words of the same purpose for the `draw`-th time that something is drawn anew; those of draw
    /// 0 are the stream's own. Its key, too, is drawn from a counter that no sample has.
    pub fn in_draw(&self, draw: u32) -> Self {
        if draw == 0 {
            return self.clone();
        }
        let [a, b, ..] = rand_philox::philox4x32_10([draw, 0, u32::MAX - 1, u32::MAX], self.key);
        Self { key: [a, b] }
    }

    /// Uniform words for `view` of sample `index`. A draw takes at most 2^34 words.
    pub fn fill(&self, index: u64, view: u32, words: &mut [u32]) {
        let counter = u128::from(index) << 64 | u128::from(view) << 32;
        Philox::new(self.key, counter).fill_u32(words);
    }

    /// The four words at `place` for `view` of sample `index` in `epoch`.
    ///
    /// The low 24 bits of the epoch share a counter word with the place, so that an epoch costs no
    /// key of its own; this and [`Stream::fill`] are not for the same stream.
    #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
    pub fn four(&self, index: u64, epoch: u64, view: u32, place: u8) -> [u32; 4] {
        let key = match epoch >> 24 {
            0 => self.key,
            era => self.in_epoch(era).key,
        };
        let low = (epoch as u32) << 8 | u32::from(place);
        rand_philox::philox4x32_10([low, view, index as u32, (index >> 32) as u32], key)
    }

    /// One uniform 64-bit word for sample `index`.
    pub fn word(&self, index: u64) -> u64 {
        let mut words = [0; 2];
        self.fill(index, 0, &mut words);
        u64::from(words[0]) | u64::from(words[1]) << 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The known answers published with Random123 (`kat_vectors`, philox4x32 with 10 rounds).
    #[test]
    fn philox_gives_the_published_answers() {
        let all = u32::MAX;
        for (counter, key, expected) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([all; 4], [all; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(rand_philox::philox4x32_10(counter, key), expected);
        }
    }

    #[test]
    fn a_long_draw_is_the_counter_run_that_it_says_it_is() {
        let stream = Stream::new(7, "latent z");
        let mut words = [0; 1000];
        stream.fill(0x0123_4567_89ab_cdef, 5, &mut words);
        for (block, four) in (0u32..).zip(words.chunks(4)) {
            let counter = [block, 5, 0x89ab_cdef, 0x0123_4567];
            assert_eq!(four, rand_philox::philox4x32_10(counter, stream.key));
        }
    }

    #[test]
    fn fours_of_places_epochs_views_and_samples_do_not_collide() {
        let stream = Stream::new(7, "pixel");
        let mut seen = HashSet::new();
        for epoch in [0, 1, 2, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, 1 << 60] {
            for index in [0, 1, 1 << 32, 1 << 62] {
                for (view, place) in [(0, 0), (0, 1), (1, 0), (1, 255)] {
                    assert!(seen.insert(stream.four(index, epoch, view, place)));
                }
            }
        }
    }

    #[test]
    fn seeds_purposes_epochs_samples_and_views_do_not_collide() {
        let mut seen = HashSet::new();
        for (seed, epoch) in [(0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (0, 1 << 32), (1, 1)] {
            for purpose in ["latent z", "latent w", "class y"] {
                let stream = Stream::new(seed, purpose).in_epoch(epoch);
                for index in [0, 1, 2, 1 << 32, 1 << 62] {
                    for view in 0..4 {
                        let mut words = [0; 4];
                        stream.fill(index, view, &mut words);
                        assert!(seen.insert(words));
                    }
                }
            }
        }
    }
}
