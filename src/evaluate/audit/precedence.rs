//! Are generated images closer than held-out ones? A test that knows no distribution.

use statrs::distribution::{DiscreteCDF, Hypergeometric};

use crate::error::{Error, Kind, Result};

/// The probability that `before` or more of `generated` values are less than the `place`-th smallest
/// (from 1) of `held_out` values, if all come from one continuous distribution: the precedence test
/// (Epstein, 1954; Nelson, 1963), exact for any sizes. Equal values, which do not count as less, make
/// it only larger.
///
/// Among the first `before + place - 1` of all values in rising order, there are then fewer than
/// `place` held-out ones, and how many there are is hypergeometric.
///
/// # Errors
/// [`Kind::Argument`] if there is no such place.
pub(super) fn p_value(
    before: usize,
    place: usize,
    generated: usize,
    held_out: usize,
) -> Result<f64> {
    if before == 0 {
        return Ok(1.0);
    }
    let fits = (1..=held_out).contains(&place) && before <= generated;
    let sizes = [generated + held_out, held_out, before + place - usize::from(place > 0)];
    let [all, marked, drawn] = sizes.map(|size| size as u64);
    match Hypergeometric::new(all, marked, drawn) {
        Ok(distribution) if fits => Ok(distribution.cdf(place as u64 - 1).clamp(0.0, 1.0)),
        _ => {
            let message = format!("place {place} of {held_out} values, {before} of {generated}");
            Err(Error::new(Kind::Argument, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By counting: every order of the values is as likely as any other.
    #[test]
    fn probabilities_are_those_of_counting_all_orders() {
        let (generated, held_out) = (5, 4);
        let orders: Vec<u32> =
            (0_u32..1 << 9).filter(|order| order.count_ones() == held_out).collect();
        for place in 1..=held_out {
            for before in 0..=generated {
                let extreme = orders.iter().filter(|order| {
                    // Bits are values in rising order; ones are held out.
                    let (mut ones, mut zeros) = (0, 0);
                    for bit in 0..9 {
                        match *order >> bit & 1 {
                            1 if ones + 1 == place => break,
                            1 => ones += 1,
                            _ => zeros += 1,
                        }
                    }
                    zeros >= before
                });
                let expected = extreme.count() as f64 / orders.len() as f64;
                let found = p_value(before, place as usize, generated, held_out as usize).unwrap();
                assert!((found - expected).abs() < 1e-12, "{before} {place}: {found} {expected}");
            }
        }
    }

    #[test]
    fn large_sizes_stay_exact_enough() {
        // A tenth before the hundredth: what is expected, so neither likely nor unlikely.
        let even = p_value(1000, 1000, 10_000, 10_000).unwrap();
        assert!((0.4..0.6).contains(&even), "{even}");
        assert!(p_value(300, 100, 10_000, 10_000).unwrap() < 1e-12);
        assert!(p_value(3, 0, 5, 4).is_err() && p_value(6, 1, 5, 4).is_err());
    }
}
