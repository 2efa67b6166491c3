//! Latent and noise vectors of every distribution a recipe knows.

use super::normal;
use super::place::{Place, space};
use super::random::Stream;
use super::redraws::Redraws;
use crate::recipe::Distribution;

/// Draws the elements of one vector: purely from the place and the stream's key.
#[derive(Debug, Clone)]
pub(super) struct Draw {
    stream: Stream,
    distribution: Distribution,
    redraws: Redraws,
}

impl Draw {
    pub fn new(seed: u64, purpose: &str, distribution: Distribution) -> Self {
        Self { stream: Stream::new(seed, purpose), distribution, redraws: Redraws::default() }
    }

    /// Of which some samples are drawn anew.
    pub fn with(self, redraws: &Redraws) -> Self {
        Self { redraws: redraws.clone(), ..self }
    }

    /// The anchors of a latent input.
    pub fn anchor(seed: u64, input: &str, distribution: Distribution) -> Self {
        Self::new(seed, &format!("latent {input}"), distribution)
    }

    /// Fills `out`, the whole vector of the view at `place`. Works in `words`.
    pub fn fill(&self, place: Place, out: &mut [f32], words: &mut Vec<u32>) {
        match self.distribution {
            Distribution::Normal { truncation } => {
                let words = space(words, out.len());
                self.words(place, words);
                deviates(words, truncation, out);
            }
            Distribution::Uniform { low, high } => {
                let words = space(words, out.len());
                self.words(place, words);
                for (x, word) in out.iter_mut().zip(words) {
                    *x = uniform(*word, low, high);
                }
            }
            Distribution::UniformBall { radius } => self.ball(place, radius, out, words),
        }
    }

    fn words(&self, place: Place, words: &mut [u32]) {
        match self.redraws.of(place.index) {
            0 => place.words(&self.stream, words),
            draw => place.words(&self.stream.in_draw(draw), words),
        }
    }

    /// A normal direction, scaled so that the radius is distributed as u^(1/n) (Muller, 1959).
    fn ball(&self, place: Place, radius: f64, out: &mut [f32], words: &mut Vec<u32>) {
        let words = space(words, out.len() + 1);
        self.words(place, words);
        let (last, words) = words.split_last().expect("one word more than elements");
        normal::standard(words, out);
        let norm = libm::sqrt(out.iter().map(|x| f64::from(*x) * f64::from(*x)).sum());
        let u = (f64::from(*last) + 0.5) / 4_294_967_296.0;
        #[allow(clippy::cast_precision_loss)]
        let scale = radius * libm::pow(u, 1.0 / out.len() as f64) / norm;
        for x in out {
            #[allow(clippy::cast_possible_truncation)]
            let scaled = (f64::from(*x) * scale) as f32;
            *x = scaled;
        }
    }
}

fn deviates(words: &[u32], truncation: Option<f64>, out: &mut [f32]) {
    match truncation {
        None => normal::standard(words, out),
        Some(limit) => normal::truncated(words, limit, out),
    }
}

/// The interval is half open also after rounding to `f32`.
#[allow(clippy::cast_possible_truncation)]
fn uniform(word: u32, low: f64, high: f64) -> f32 {
    let x = (low + (high - low) * f64::from(word) / 4_294_967_296.0) as f32;
    let below = (high as f32).next_down();
    x.clamp(low as f32, below.max(low as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(distribution: Distribution, n: u64, z: usize) -> Vec<Vec<f32>> {
        let draw = Draw::new(3, "test", distribution);
        let one = |index| {
            let mut out = vec![0.0; z];
            draw.fill(Place { index, epoch: 0, view: 0 }, &mut out, &mut Vec::new());
            out
        };
        (0..n).map(one).collect()
    }

    fn moments(values: impl Iterator<Item = f32>) -> (f64, f64) {
        let values: Vec<f64> = values.map(f64::from).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n)
    }

    #[test]
    fn normals_have_mean_0_and_variance_1() {
        let all = draws(Distribution::Normal { truncation: None }, 2000, 100);
        let (mean, variance) = moments(all.iter().flatten().copied());
        // Standard errors at 200,000 draws: 0.0022 and 0.0032.
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.015, "{mean} {variance}");
        let lag: f64 =
            all.windows(2).map(|w| f64::from(w[0][0]) * f64::from(w[1][0])).sum::<f64>() / 1999.0;
        assert!(lag.abs() < 0.1, "neighbouring samples are independent: {lag}");
    }

    #[test]
    fn truncated_normals_have_the_variance_of_theory() {
        let all = draws(Distribution::Normal { truncation: Some(2.0) }, 2000, 100);
        let (mean, variance) = moments(all.iter().flatten().copied());
        // 1 - 4 φ(2) / (2 Φ(2) - 1)
        assert!(mean.abs() < 0.01 && (variance - 0.7737).abs() < 0.01, "{mean} {variance}");
        assert!(all.iter().flatten().all(|x| x.abs() <= 2.0));
    }

    #[test]
    fn uniforms_fill_their_half_open_interval() {
        let all = draws(Distribution::Uniform { low: -1.0, high: 3.0 }, 1000, 100);
        let (mean, variance) = moments(all.iter().flatten().copied());
        assert!((mean - 1.0).abs() < 0.02 && (variance - 16.0 / 12.0).abs() < 0.02);
        assert!(all.iter().flatten().all(|x| (-1.0..3.0).contains(x)));
        assert!((-1.0..3.0).contains(&uniform(u32::MAX, -1.0, 3.0)));
    }

    #[test]
    fn ball_radii_follow_the_volume() {
        let all = draws(Distribution::UniformBall { radius: 2.0 }, 4000, 3);
        let norms: Vec<f64> =
            all.iter().map(|v| v.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt()).collect();
        assert!(norms.iter().all(|n| *n <= 2.0 + 1e-6));
        let half = norms.iter().filter(|n| **n < 2.0 * 0.5f64.cbrt()).count();
        assert!((1900..2100).contains(&half), "half the volume holds half the draws: {half}");
    }

    #[test]
    fn long_vectors_are_the_same_stream_as_short_ones() {
        let long = draws(Distribution::Normal { truncation: None }, 1, 2000);
        let short = draws(Distribution::Normal { truncation: None }, 1, 100);
        assert_eq!(long[0][..100], short[0]);
    }
}
