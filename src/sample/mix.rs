//! Which samples of a mixed dataset are real: a pure function of seed and index.
//!
//! Of every block the same number is real, at places drawn for the block; so the generator is asked
//! for equally many images a block, and none that are not delivered. Real images come in an order
//! that is shuffled anew each time all of them have come.

use super::order::Order;
use super::random::Stream;
use crate::error::{Error, Kind, Result};
use crate::recipe::{Mix, Recipe};

/// The places of real images in a generated dataset. Cheap to clone, free of state.
#[derive(Debug, Clone)]
pub struct Mixture {
    /// Samples a block, and how many of them are real.
    block: u64,
    real: u64,
    /// How many real images there are.
    images: u64,
    /// What the orders of real images are drawn from.
    orders: Stream,
    places: Stream,
}

impl Mixture {
    /// For a recipe with `[mix]` and so many real images.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if the ratio leaves a block without real or without generated samples.
    pub fn new(recipe: &Recipe, mix: &Mix, images: u64) -> Result<Self> {
        let block = u64::from(recipe.generator.block);
        let real = u64::from(Self::share(mix, recipe.generator.block));
        if real == 0 || real >= block {
            let kind = if real == 0 { "real" } else { "generated" };
            return Err(Error::new(
                Kind::Recipe,
                format!("a ratio of {} leaves no {kind} sample in a block of {block}", mix.ratio),
            )
            .at("mix.ratio")
            .help("make generator.block larger, or the ratio less extreme"));
        }
        let places = Stream::new(recipe.seed, "mix places");
        let orders = Order::stream(recipe.seed);
        Ok(Self { block, real, images, orders, places })
    }

    /// Real samples in every block of so many.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `block`")]
    pub fn share(mix: &Mix, block: u32) -> u32 {
        (mix.ratio * f64::from(block)).round() as u32
    }

    /// The number of the real image that is sample `index`, if it is one.
    #[must_use]
    pub fn real(&self, index: u64) -> Option<u64> {
        let block = index / self.block;
        let rank = self.rank(block, index % self.block)?;
        // The index fits 63 bits and there are fewer real samples than samples.
        let count = block * self.real + rank;
        Some(Order::of(&self.orders, count / self.images, self.images).get(count % self.images))
    }

    /// Samples of the block that begins at `first` which are generated, counted in the block.
    pub fn generated(&self, first: u64) -> impl Iterator<Item = u64> + use<> {
        let order = self.order(first / self.block);
        let (block, real) = (self.block, self.real);
        (0..block).filter(move |at| order.get(*at) >= real)
    }

    /// The how-manieth real sample of its block a place is; `None` for a generated one.
    fn rank(&self, block: u64, at: u64) -> Option<u64> {
        let rank = self.order(block).get(at);
        (rank < self.real).then_some(rank)
    }

    fn order(&self, block: u64) -> Order {
        Order::new(self.places.word(block), 0, self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn mixture(block: u32, ratio: f64, images: u64) -> Result<Mixture> {
        let text = format!(
            "seed = 3\n[generator]\nmodel = \"g\"\nblock = {block}\n\
             [mix]\nsource = \"photos\"\nratio = {ratio}"
        );
        let recipe = Recipe::parse(&text, "r", Path::new(".")).unwrap();
        Mixture::new(&recipe, recipe.mix.as_ref().unwrap(), images)
    }

    #[test]
    fn every_block_has_the_same_share() {
        let mixture = mixture(32, 0.25, 1000).unwrap();
        assert_eq!(mixture.real, 8);
        for block in [0, 1, 77, 1 << 40] {
            let first = block * 32;
            let generated: Vec<u64> = mixture.generated(first).collect();
            assert_eq!(generated.len(), 24);
            for at in 0..32 {
                assert_eq!(mixture.real(first + at).is_none(), generated.contains(&at));
            }
        }
    }

    #[test]
    fn every_real_image_comes_once_before_any_comes_again() {
        let mixture = mixture(8, 0.5, 100).unwrap();
        let real: Vec<u64> = (0..400).filter_map(|index| mixture.real(index)).collect();
        for pass in real.chunks(100) {
            let mut pass = pass.to_vec();
            pass.sort_unstable();
            assert!(pass.into_iter().eq(0..100));
        }
        assert_ne!(real[..100], real[100..]);
    }

    #[test]
    fn places_differ_from_block_to_block() {
        let mixture = mixture(32, 0.25, 1000).unwrap();
        let of = |block: u64| mixture.generated(block * 32).collect::<Vec<_>>();
        assert_ne!(of(0), of(1));
    }

    #[test]
    fn a_ratio_that_leaves_nothing_is_refused() {
        for (ratio, kind) in [(0.01, "no real sample"), (0.99, "no generated sample")] {
            let error = mixture(4, ratio, 9).unwrap_err().to_string();
            assert!(error.contains(kind) && error.contains("mix.ratio"), "{error}");
        }
    }
}
