//! Normal deviates by inversion: one uniform word in, one deviate out.
//!
//! Inversion keeps every element addressable (no rejection, no pairs) and gives truncated normals
//! for free. The quantile function is algorithm AS 241, PPND7 (Wichura, Applied Statistics 37,
//! 1988), relative accuracy about 1e-7, evaluated in `f64` with the basic operations and `libm`
//! only, so that it gives the same bits on every machine.

/// Half the width of the central interval, where one rational function serves.
const SPLIT: f64 = 0.425;

const A: [f64; 4] = [3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_720];
const B: [f64; 4] = [1.0, 17.895_169_469, 78.757_757_664, 67.187_563_600];
const C: [f64; 4] = [1.423_437_277_7, 2.756_815_390_0, 1.306_728_481_6, 0.170_238_211_03];
const D: [f64; 3] = [1.0, 0.737_001_642_50, 0.120_211_329_75];

fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// The centre of the interval that a word stands for, in (0, 1).
pub(super) fn unit(word: u32) -> f64 {
    (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0)
}

/// The quantile at `0.5 + q` for |q| ≤ 0.425.
fn central(q: f64) -> f64 {
    let r = 0.180_625 - q * q;
    q * polynomial(&A, r) / polynomial(&B, r)
}

/// The quantile at `0.5 + q` for |q| > 0.425 and a tail of at least e^-25.
#[cold]
fn tail(q: f64) -> f64 {
    let p = 0.5 - q.abs();
    let r = libm::sqrt(-libm::log(p)) - 1.6;
    let x = polynomial(&C, r) / polynomial(&D, r);
    if q < 0.0 { -x } else { x }
}

/// Probability that a standard normal is below `x`.
pub(super) fn cumulative(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Turns uniform words into standard normal deviates, within ±6.4.
pub(super) fn standard(words: &[u32], out: &mut [f32]) {
    transform(words, out, 0.5 - 1.0, 1.0);
}

/// Turns uniform words into standard normal deviates restricted to ±`limit`.
pub(super) fn truncated(words: &[u32], limit: f64, out: &mut [f32]) {
    let below = cumulative(-limit);
    transform(words, out, below - 0.5, 1.0 - 2.0 * below);
    #[allow(clippy::cast_possible_truncation)]
    let limit = limit as f32;
    for x in out {
        *x = x.clamp(-limit, limit);
    }
}

/// `out = quantile(0.5 + start + width · u)`. The central part runs over all elements first, as it
/// vectorises; the one in seven that lie in the tails are then done again.
#[allow(clippy::cast_possible_truncation)]
fn transform(words: &[u32], out: &mut [f32], start: f64, width: f64) {
    assert_eq!(words.len(), out.len(), "one word for each deviate");
    for (x, &word) in out.iter_mut().zip(words) {
        *x = central(start + width * unit(word)) as f32;
    }
    for (x, &word) in out.iter_mut().zip(words) {
        let q = start + width * unit(word);
        if q.abs() > SPLIT {
            *x = tail(q) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_inverts_the_distribution() {
        for word in (0..=u32::MAX).step_by(1_000_003).chain([0, 1, u32::MAX]) {
            let mut x = [0.0];
            standard(&[word], &mut x);
            let (p, back) = (unit(word), cumulative(f64::from(x[0])));
            let tail = p.min(1.0 - p);
            // The density bounds how an error in x shows in p; 2e-6 of the tail is 4e-7 of x.
            assert!((back - p).abs() <= 4e-6 * tail, "{word}: {p} {back}");
        }
    }

    #[test]
    fn deviates_have_fixed_bits() {
        let words = [0, 1, 0x1234_5678, 0x7fff_ffff, 0x8000_0000, 0xdead_beef, u32::MAX];
        let mut x = [0.0; 7];
        standard(&words, &mut x);
        assert_eq!(x.map(f32::to_bits), EXPECTED, "{x:?}");
    }

    const EXPECTED: [u32; 7] =
        [3234517132, 3234157411, 3216759089, 2946526361, 799042713, 1066407067, 1087033484];

    #[test]
    fn truncated_deviates_stay_inside_and_fill_the_interval() {
        let words: Vec<u32> = (0..1000).map(|i| i * (u32::MAX / 999)).collect();
        for limit in [0.01, 0.5, 2.0, 9.0] {
            let mut x = vec![0.0; words.len()];
            truncated(&words, limit, &mut x);
            assert!(x.iter().all(|x| f64::from(x.abs()) <= limit + 1e-6));
            assert!(x.windows(2).all(|w| w[0] <= w[1]), "the quantile rises");
            let edge = f64::from(x[999]);
            assert!(edge > 0.99 * limit.min(5.0), "{limit}: {edge}");
        }
    }
}
