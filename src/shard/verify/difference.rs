//! How far pictures are from those made anew.

use serde::Serialize;

use crate::recipe::Dtype;

/// How stored pictures differ from those that were made anew, over all of these.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Samples made anew.
    pub samples: u64,
    /// Their pictures.
    pub pictures: u64,
    /// Pictures that are the same bytes.
    pub equal: u64,
    /// Whether they have to be: the encoding loses nothing, and versions, providers and rewrites are
    /// those of the export.
    pub exact: bool,
    /// The largest difference of an element, in units of the intensity range.
    pub max: f64,
    /// The mean of the differences.
    pub mean: f64,
    /// The peak signal-to-noise ratio in decibels; none if there is no difference.
    pub psnr: Option<f64>,
}

/// Sums over elements.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub pictures: u64,
    pub equal: u64,
    elements: u64,
    max: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    /// Adds a picture, as it is stored and as it was made anew. Gives whether they are the same.
    pub fn add(&mut self, dtype: Dtype, stored: &[u8], made: &[u8]) -> bool {
        self.pictures += 1;
        let same = stored == made;
        self.equal += u64::from(same);
        for (a, b) in stored.chunks_exact(dtype.size()).zip(made.chunks_exact(dtype.size())) {
            let difference = (value(dtype, a) - value(dtype, b)).abs();
            self.max = self.max.max(difference);
            self.sum += difference;
            self.squares += difference * difference;
            self.elements += 1;
        }
        same
    }

    /// Of `samples` samples.
    #[allow(clippy::cast_precision_loss)]
    pub fn end(self, samples: u64, exact: bool) -> Difference {
        let Self { pictures, equal, max, .. } = self;
        let elements = self.elements.max(1) as f64;
        let squares = self.squares / elements;
        Difference {
            samples,
            pictures,
            equal,
            exact,
            max,
            mean: self.sum / elements,
            psnr: (squares > 0.0).then(|| -10.0 * libm::log10(squares)),
        }
    }
}

/// An element as an intensity, where 1 is white unless it was normalised.
fn value(dtype: Dtype, bytes: &[u8]) -> f64 {
    match (dtype, bytes) {
        (Dtype::U8, [byte]) => f64::from(*byte) / 255.0,
        (Dtype::F16, [a, b]) => half::f16::from_le_bytes([*a, *b]).to_f64(),
        (Dtype::F32, [a, b, c, d]) => f64::from(f32::from_le_bytes([*a, *b, *c, *d])),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_measured_in_units_of_the_range() {
        let mut sums = Sums::default();
        assert!(sums.add(Dtype::U8, &[1, 2, 3, 4], &[1, 2, 3, 4]));
        assert!(!sums.add(Dtype::U8, &[0, 0, 0, 0], &[51, 0, 0, 0]));
        let difference = sums.end(2, false);
        assert_eq!((difference.pictures, difference.equal), (2, 1));
        assert!((difference.max - 0.2).abs() < 1e-12 && (difference.mean - 0.025).abs() < 1e-12);
        // 10 log10 (1 / (0.04 / 8)).
        assert!((difference.psnr.unwrap() - 23.0103).abs() < 1e-4, "{difference:?}");
    }

    #[test]
    fn floats_are_taken_as_they_are_and_equal_ones_have_no_ratio() {
        let mut sums = Sums::default();
        let (a, b) = (0.5_f32.to_le_bytes(), 0.25_f32.to_le_bytes());
        sums.add(Dtype::F32, &a, &b);
        assert!((sums.end(1, true).max - 0.25).abs() < 1e-12);
        let mut sums = Sums::default();
        sums.add(Dtype::F32, &a, &a);
        assert_eq!(sums.end(1, true).psnr, None);
    }
}
