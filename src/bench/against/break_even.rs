//! From which epoch on storing images costs less than generating them each time.

use serde::Serialize;

/// What an image costs, in seconds on the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// To be generated, encoded and written, once.
    pub store: f64,
    /// To be read, in every epoch.
    pub read: f64,
    /// To be generated, in every epoch.
    pub generate: f64,
}

/// In how many epochs generating each time costs less than storing once and reading each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "generating_is_cheaper", content = "epoch", rename_all = "snake_case")]
pub enum BreakEven {
    /// However many: to read an image takes as long as to generate it, or longer.
    Always,
    /// Up to that epoch. At its end storing has cost as much as generating, or less.
    BeforeEpoch(u64),
    /// Not even in one: storing and reading once costs no more than generating once.
    Never,
}

impl Costs {
    /// The first number of epochs *e* for which store + *e* · read ≤ *e* · generate.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub fn break_even(&self) -> BreakEven {
        let saved = self.generate - self.read;
        // Costs that are no numbers prove nothing against generating.
        if saved.is_nan() || saved <= 0.0 {
            return BreakEven::Always;
        }
        match (self.store / saved).ceil() as u64 {
            0 | 1 => BreakEven::Never,
            epoch => BreakEven::BeforeEpoch(epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(store: f64, read: f64, generate: f64) -> BreakEven {
        Costs { store, read, generate }.break_even()
    }

    #[test]
    fn storing_has_paid_when_the_sums_are_equal() {
        // 3 + 3 · 1 = 3 · 2, while 3 + 2 · 1 > 2 · 2.
        assert_eq!(of(3.0, 1.0, 2.0), BreakEven::BeforeEpoch(3));
        // 2.5 + 3 · 1 < 3 · 2, while 2.5 + 2 · 1 > 2 · 2.
        assert_eq!(of(2.5, 1.0, 2.0), BreakEven::BeforeEpoch(3));
        assert_eq!(of(4.0, 0.0, 2.0), BreakEven::BeforeEpoch(2));
    }

    #[test]
    fn what_is_no_slower_than_reading_is_cheaper_for_ever() {
        assert_eq!(of(3.0, 2.0, 2.0), BreakEven::Always);
        assert_eq!(of(3.0, 2.0, 1.0), BreakEven::Always);
        assert_eq!(of(0.0, 2.0, 1.0), BreakEven::Always);
    }

    #[test]
    fn what_is_there_already_is_cheaper_at_once() {
        assert_eq!(of(0.0, 1.0, 2.0), BreakEven::Never);
        assert_eq!(of(1.0, 1.0, 2.0), BreakEven::Never);
    }

    #[test]
    fn every_answer_agrees_with_the_sums() {
        for store in [0.0, 0.5, 1.0, 7.25, 1000.0] {
            for read in [0.125, 1.0, 3.5] {
                for generate in [0.25, 1.0, 1.25, 4.0] {
                    let stored = |epochs: u32| store + f64::from(epochs) * read;
                    let generated = |epochs: u32| f64::from(epochs) * generate;
                    let first = (1..=10_000).find(|&e| stored(e) <= generated(e));
                    let wanted = match first {
                        // With nothing to write, equal costs are a tie for ever.
                        _ if generate <= read => BreakEven::Always,
                        Some(1) => BreakEven::Never,
                        Some(epoch) => BreakEven::BeforeEpoch(epoch.into()),
                        None => panic!("{store} {read} {generate}"),
                    };
                    assert_eq!(of(store, read, generate), wanted, "{store} {read} {generate}");
                }
            }
        }
    }
}
