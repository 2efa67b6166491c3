//! Candidates measured in turn until one is clearly ahead or the time is over.
//!
//! Machines drift, so candidates are never measured one after the other but round by round, and
//! compared by medians. Those that fall far behind leave early, so that the time goes to the close
//! ones: successive halving (Karnin, Koren and Somekh 2013) with a margin for noise.

use std::time::Duration;

use super::super::report::median;
use crate::error::Result;

/// Rounds before anybody leaves.
const LEAST_ROUNDS: usize = 3;

/// Rounds after which more would not tell.
const MOST_ROUNDS: usize = 15;

/// Who is slower than this share of the fastest leaves.
const STAYS: f64 = 0.85;

/// What one candidate reached.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Times {
    /// Its rate in each round that it was in.
    pub rates: Vec<f64>,
}

impl Times {
    /// The median rate; 0 if it was never measured.
    pub fn rate(&self) -> f64 {
        median(&mut self.rates.clone())
    }
}

/// Measures `candidates` in turn with `measure` (a rate, over about the time given), for about
/// `budget` in all, but three rounds at least.
pub(super) fn race(
    candidates: usize,
    budget: Duration,
    measure: &mut dyn FnMut(usize, Duration) -> Result<f64>,
) -> Result<Vec<Times>> {
    let mut times = vec![Times { rates: Vec::new() }; candidates];
    let mut running: Vec<usize> = (0..candidates).collect();
    // Early rounds are short, since they measure everybody.
    let shortest = Duration::from_millis(40);
    let mut left = budget;
    for round in 0..MOST_ROUNDS {
        let rounds_left = if round < LEAST_ROUNDS { 2 * LEAST_ROUNDS - round } else { 3 };
        let slice = (left / u32::try_from(rounds_left * running.len()).unwrap_or(u32::MAX))
            .clamp(shortest, Duration::from_secs(1));
        for place in 0..running.len() {
            // Everybody follows everybody else at some time.
            let number = running[(place + round) % running.len()];
            times[number].rates.push(measure(number, slice)?);
            left = left.saturating_sub(slice);
        }
        if round + 1 >= LEAST_ROUNDS {
            let best = running.iter().map(|number| times[*number].rate()).fold(0.0, f64::max);
            running.retain(|number| times[*number].rate() >= STAYS * best);
            if running.len() < 2 || left.is_zero() {
                break;
            }
        }
    }
    Ok(times)
}

/// The winner: the fastest, but the first candidate unless it is beaten by more than `margin`.
pub(super) fn winner(times: &[Times], margin: f64) -> usize {
    let fastest = (0..times.len()).max_by(|a, b| times[*a].rate().total_cmp(&times[*b].rate()));
    match fastest {
        Some(fastest) if times[fastest].rate() > times[0].rate() * (1.0 + margin) => fastest,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_candidates_leave_early_and_the_time_is_kept() {
        let rates = [100.0, 50.0, 104.0, 99.0];
        let mut spent = Duration::ZERO;
        let budget = Duration::from_secs(6);
        let times = race(4, budget, &mut |number, slice| {
            spent += slice;
            Ok(rates[number])
        })
        .unwrap();
        assert_eq!(times[1].rates.len(), LEAST_ROUNDS);
        assert!(times[2].rates.len() > LEAST_ROUNDS);
        assert!(spent <= budget + Duration::from_secs(3), "{spent:?}");
        // Four per cent are within the margin: what is there by default stays.
        assert_eq!(winner(&times, 0.05), 0);
        assert_eq!(winner(&times, 0.03), 2);
    }

    #[test]
    fn noise_of_single_rounds_does_not_decide() {
        let mut round = [0; 2];
        let times = race(2, Duration::from_secs(3), &mut |number, _| {
            round[number] += 1;
            // The first has one lucky round.
            Ok(if number == 0 && round[0] == 2 { 1000.0 } else { 100.0 + 20.0 * number as f64 })
        })
        .unwrap();
        assert_eq!(winner(&times, 0.03), 1);
    }

    #[test]
    fn an_error_ends_the_race() {
        let failed = || crate::Error::new(crate::Kind::Interrupted, "stopped");
        assert!(race(2, Duration::from_secs(1), &mut |_, _| Err(failed())).is_err());
        assert_eq!(winner(&[], 0.0), 0);
    }
}
