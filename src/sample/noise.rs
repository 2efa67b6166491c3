//! Standard normal noise from a key alone, for pixels.

use rand_philox::Philox;

use super::normal;

/// Deviates that are drawn at a time, in four-word steps of the counter.
const CHUNK: usize = 64;

/// The stream of independent standard normal values that a key stands for.
#[derive(Debug)]
pub(crate) struct Noise {
    key: [u32; 2],
    counter: u128,
    drawn: [f32; CHUNK],
    used: usize,
}

impl Noise {
    /// The stream from its start.
    #[allow(clippy::cast_possible_truncation)]
    pub fn new(key: u64) -> Self {
        let key = [key as u32, (key >> 32) as u32];
        Self { key, counter: 0, drawn: [0.0; CHUNK], used: CHUNK }
    }

    /// The next values. What they are does not depend on how many are asked for at a time.
    pub fn fill(&mut self, out: &mut [f32]) {
        for x in out {
            if self.used == CHUNK {
                let mut words = [0; CHUNK];
                Philox::new(self.key, self.counter).fill_u32(&mut words);
                normal::standard(&words, &mut self.drawn);
                self.counter += CHUNK as u128 / 4;
                self.used = 0;
            }
            *x = self.drawn[self.used];
            self.used += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_depend_on_the_pieces_they_are_asked_in() {
        let mut whole = [0.0; 301];
        Noise::new(7).fill(&mut whole);
        let (mut pieces, mut noise) = ([0.0; 301], Noise::new(7));
        for piece in pieces.chunks_mut(17) {
            noise.fill(piece);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn keys_give_different_standard_normal_values() {
        let (mut a, mut b) = (vec![0.0; 40_000], vec![0.0; 40_000]);
        Noise::new(1).fill(&mut a);
        Noise::new(1 << 32).fill(&mut b);
        let mean = |x: &mut dyn Iterator<Item = f32>| x.map(f64::from).sum::<f64>() / 40_000.0;
        assert!(mean(&mut a.iter().copied()).abs() < 0.02);
        assert!((mean(&mut a.iter().map(|x| x * x)) - 1.0).abs() < 0.03);
        assert!(mean(&mut a.iter().zip(&b).map(|(a, b)| a * b)).abs() < 0.02);
    }
}
