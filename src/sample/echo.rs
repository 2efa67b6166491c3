//! The order of echoed samples: which generated sample is delivered at an index.
//!
//! The stream is made of *rounds*. Round r delivers the generated block r for the first time, and
//! after it the echoes of the blocks r - D, r - 2D, … r - (E - 1)D, as far as there are such, for an
//! echo factor E (Choi, Passos, Shallue and Dahl, 2019) and a spread of D blocks. So the generator is
//! asked for one block in every E, evenly; a block comes E times, D rounds apart; and in between,
//! (E - 1)D + 1 blocks have to be kept.
//!
//! The first D rounds have one block each, the next D two, and so on up to E: a *phase* of rounds of
//! equal length begins at a block that a formula gives, so the place of any index is found without
//! its predecessors. Promises hold: an index is delivered from one sample alone, whatever the loader.

use serde::Serialize;

use crate::recipe::{EchoAt, Recipe};

/// Which generated sample is delivered at an index. Pure, and cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Samples a block.
    block: u64,
    /// How often each block is delivered: E.
    echo: u64,
    /// Rounds from one delivery of a block to its next: D.
    spread: u64,
    at: EchoAt,
}

/// A generated sample, and the how-manieth delivery of it this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Source {
    /// Its index among the generated samples: what its latents and its label are drawn for.
    pub index: u64,
    /// 0 for the first delivery.
    pub echo: u32,
}

impl Echo {
    /// The order that a recipe asks for. Without `[cache]` every sample is its own source.
    #[must_use]
    pub fn of(recipe: &Recipe) -> Self {
        let block = recipe.generator.block;
        let (echo, spread, at) = match &recipe.cache {
            Some(cache) => (cache.echo, cache.spread_blocks(block), cache.echo_at),
            None => (1, 1, EchoAt::Pixels),
        };
        Self { block: block.into(), echo: echo.into(), spread, at }
    }

    /// Every sample is its own source.
    #[must_use]
    pub fn none(block: u32) -> Self {
        Self { block: block.into(), echo: 1, spread: 1, at: EchoAt::Pixels }
    }

    /// How often each sample is delivered; 1: nothing comes again.
    #[must_use]
    pub fn factor(self) -> u64 {
        self.echo
    }

    /// What is delivered at `index`.
    #[must_use]
    pub fn source(self, index: u64) -> Source {
        let (round, echo) = self.place(index / self.block);
        let block = round - echo * self.spread;
        let index = block * self.block + index % self.block;
        Source { index, echo: u32::try_from(echo).unwrap_or(u32::MAX) }
    }

    /// The index that the pixel operations of `index` are drawn for.
    #[must_use]
    pub fn pixels_of(self, index: u64) -> u64 {
        match self.at {
            EchoAt::Pixels => index,
            EchoAt::Views => self.source(index).index,
        }
    }

    /// Whether there is no further delivery of a sample after this one.
    #[must_use]
    pub fn is_last(self, source: Source) -> bool {
        u64::from(source.echo) + 1 >= self.echo
    }

    /// How many different samples the first `samples` of the stream are.
    #[must_use]
    pub fn unique(self, samples: u64) -> u64 {
        let (blocks, rest) = (samples / self.block, samples % self.block);
        let (round, echo) = self.place(blocks);
        // The blocks before round `round`, and its own if that is delivered already.
        if echo == 0 { round * self.block + rest } else { (round + 1) * self.block }
    }

    /// Blocks that have to be kept at once so that none is generated twice.
    #[must_use]
    pub fn blocks_kept(self) -> u64 {
        if self.echo == 1 { 0 } else { (self.echo - 1) * self.spread + 1 }
    }

    /// The index from which on every round has all of its echoes.
    #[must_use]
    pub fn steady(self) -> u64 {
        self.phase(self.echo - 1).saturating_mul(self.block)
    }

    /// Round and echo of a delivered block.
    fn place(self, block: u64) -> (u64, u64) {
        // The last phase that has begun: at most 1000 of them, and the last has no end.
        let (mut phase, mut beyond) = (0, self.echo);
        while beyond - phase > 1 {
            let middle = u64::midpoint(phase, beyond);
            if self.phase(middle) <= block { phase = middle } else { beyond = middle }
        }
        let (blocks, long) = (block - self.phase(phase), phase + 1);
        (phase * self.spread + blocks / long, blocks % long)
    }

    /// The delivered block at which the rounds of `phase` + 1 blocks begin.
    fn phase(self, phase: u64) -> u64 {
        // A recipe allows 2^32 × 1000² / 2 at most.
        self.spread * (phase * (phase + 1) / 2)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn echo(block: u64, echo: u64, spread: u64) -> Echo {
        Echo { block, echo, spread, at: EchoAt::Pixels }
    }

    /// By the definition: how many blocks are delivered before round `round`.
    fn before(order: Echo, round: u128) -> u128 {
        (0..u128::from(order.echo))
            .map(|k| round.saturating_sub(k * u128::from(order.spread)))
            .sum()
    }

    #[test]
    fn the_first_rounds_are_as_documented() {
        let order = echo(1, 3, 2);
        let sources: Vec<_> = (0..14).map(|i| order.source(i)).map(|s| (s.index, s.echo)).collect();
        let rounds: [&[(u64, u32)]; 7] = [
            &[(0, 0)],
            &[(1, 0)],
            &[(2, 0), (0, 1)],
            &[(3, 0), (1, 1)],
            &[(4, 0), (2, 1), (0, 2)],
            &[(5, 0), (3, 1), (1, 2)],
            &[(6, 0), (4, 1)],
        ];
        assert_eq!(sources, rounds.concat());
        assert_eq!((order.steady(), order.blocks_kept()), (6, 5));
    }

    #[test]
    fn without_echo_every_sample_is_its_own_source() {
        let order = echo(32, 1, 1);
        for index in [0, 31, 32, 1_000_000_000_000, (1 << 63) - 1] {
            assert_eq!(order.source(index), Source { index, echo: 0 });
            assert_eq!(order.unique(index), index);
        }
        assert_eq!((order.steady(), order.blocks_kept()), (0, 0));
    }

    /// What `docs/echo.md` says of ranks: with whole rounds in a batch, and steps that divide a
    /// spread's worth of rounds, all deliveries of a block are of one rank.
    #[test]
    fn ranks_that_fit_keep_to_their_own_sources() {
        let keeps = |block, factor, spread, batch, world| {
            let order = echo(block, factor, spread);
            let mut rank_of = HashMap::new();
            let begin = order.steady();
            (begin..begin + 4 * factor * spread * block).step_by(8).all(|index| {
                let rank = index / batch % world;
                let source = order.source(index).index;
                *rank_of.entry(source).or_insert(rank) == rank
            })
        };
        for world in [1, 2, 4, 8] {
            for batch in [128, 256, 512] {
                assert!(keeps(32, 4, 128, batch, world), "{world} × {batch}");
            }
        }
        assert!(!keeps(32, 4, 128, 96, 2), "not whole rounds");
        assert!(!keeps(32, 4, 128, 256, 3), "a step that divides nothing");
        assert!(!keeps(32, 4, 127, 128, 2), "nor this");
    }

    proptest! {
        /// Every sample is delivered exactly `echo` times, a fixed number of rounds apart, in the
        /// order of its echoes; and every block that is delivered was fresh before it is an echo.
        #[test]
        fn every_sample_comes_as_often_as_asked(block in 1_u64..5, factor in 1_u64..6, spread in 1_u64..9) {
            let order = echo(block, factor, spread);
            let rounds = 3 * factor * spread + 3;
            let end = u64::try_from(before(order, rounds.into())).unwrap() * block;
            let mut seen: HashMap<u64, u32> = HashMap::new();
            for index in 0..end {
                prop_assert_eq!(order.unique(index), seen.len() as u64);
                let source = order.source(index);
                let times = seen.entry(source.index).or_default();
                prop_assert_eq!(source.echo, *times, "in turn");
                prop_assert_eq!(order.is_last(source), u64::from(*times) + 1 == factor);
                prop_assert_eq!(source.index % block, index % block, "whole blocks");
                *times += 1;
            }
            for (source, times) in seen {
                let round = source / block;
                let echoes = (rounds - 1 - round) / spread;
                prop_assert_eq!(u64::from(times), factor.min(echoes + 1));
            }
        }

        /// Blocks that are kept are those between first and last delivery.
        #[test]
        fn no_more_blocks_are_under_way_than_is_said(factor in 2_u64..6, spread in 1_u64..9) {
            let order = echo(1, factor, spread);
            let mut open = std::collections::HashSet::new();
            let mut most = 0;
            for index in 0..order.steady() + 5 * factor * spread {
                let source = order.source(index);
                open.insert(source.index);
                most = most.max(open.len() as u64);
                if order.is_last(source) {
                    open.remove(&source.index);
                }
            }
            prop_assert_eq!(most, order.blocks_kept());
        }

        /// A source and an echo name one place, at any distance.
        #[test]
        fn far_places_are_found_again(
            block in 1_u64..70_000,
            factor in 1_u64..1001,
            spread in 1_u64..1 << 32,
            index in 0_u64..1 << 63,
        ) {
            let order = echo(block, factor, spread);
            for index in [index, index >> 20, 1_000_000_000_000_000] {
                let source = order.source(index);
                let echo = u128::from(source.echo);
                let round = u128::from(source.index / block) + echo * u128::from(spread);
                let delivered = before(order, round) + echo;
                prop_assert_eq!(
                    delivered * u128::from(block) + u128::from(source.index % block),
                    u128::from(index)
                );
                prop_assert!(echo < u128::from(factor) && delivered < before(order, round + 1));
            }
        }
    }
}
