//! How far the images of one way to execute a generator are from those of another.
//!
//! Two generators of one contract are fed the same blocks. Values are compared as they are
//! delivered: as intensities, clamped to [0, 1].

use serde::Serialize;

use super::{Generator, ImageFormat};
use crate::error::{Error, Kind, Result};
use crate::runtime::TensorView;
use crate::sample::BlockInputs;

/// How far some images are from their references, in intensities: 1 is from black to white.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Images that were compared.
    pub images: u64,
    /// The largest difference of a value.
    pub max: f64,
    /// The mean difference of a value, without its sign.
    pub mean: f64,
    /// Peak signal-to-noise ratio over all values, in decibels; `None` where nothing differs.
    pub psnr_db: Option<f64>,
}

/// Sums over the values that were compared.
#[derive(Debug, Default)]
struct Sums {
    values: u64,
    max: f64,
    absolute: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, a: &[f32], b: &[f32]) {
        for (a, b) in a.iter().zip(b) {
            let difference = f64::from((a - b).abs());
            // As a comparison, so that NaN is never the largest; one is an error elsewhere.
            self.max = self.max.max(difference);
            self.absolute += difference;
            self.squares += difference * difference;
        }
        self.values += a.len() as u64;
    }

    #[allow(clippy::cast_precision_loss)]
    fn difference(&self, image: usize) -> Difference {
        let values = self.values.max(1) as f64;
        let squares = self.squares / values;
        Difference {
            images: self.values / image.max(1) as u64,
            max: self.max,
            mean: self.absolute / values,
            psnr_db: (squares > 0.0).then(|| -10.0 * squares.log10()),
        }
    }
}

/// Runs both generators on `blocks` and compares what they make, up to `images` images.
///
/// # Errors
/// Those of the runtime; [`Kind::Sample`] if an image has a value that is not finite.
pub fn compare(
    reference: &mut Generator,
    other: &mut Generator,
    blocks: impl IntoIterator<Item = BlockInputs>,
    images: usize,
) -> Result<Difference> {
    let format = reference.contract().image;
    let mut sums = Sums::default();
    let mut left = images * format.len();
    for block in blocks {
        if left == 0 {
            break;
        }
        let (a, b) = (intensities(reference, &block)?, intensities(other, &block)?);
        let count = left.min(a.len());
        sums.add(&a[..count], &b[..count]);
        left -= count;
    }
    Ok(sums.difference(format.len()))
}

/// All images of a block, channels apart, as intensities.
fn intensities(generator: &mut Generator, block: &BlockInputs) -> Result<Vec<f32>> {
    let format = generator.contract().image;
    let range = format.coefficients(1.0, 0.0);
    let mut values = Vec::with_capacity(block.rows * format.len());
    generator.run(block, &mut |_, rows: TensorView<'_>| {
        let rows = rows.to_f32();
        if let Some(bad) = rows.iter().find(|value| !value.is_finite()) {
            return Err(Error::new(Kind::Sample, format!("an image has the value {bad}"))
                .help("`genset inspect` says how often this happens"));
        }
        for image in rows.chunks_exact(format.len()) {
            append(&format, image, range, &mut values);
        }
        Ok(())
    })?;
    Ok(values)
}

fn append(format: &ImageFormat, image: &[f32], (scale, bias): (f32, f32), out: &mut Vec<f32>) {
    let intensity = |x: &f32| (x * scale + bias).clamp(0.0, 1.0);
    match format.interleaved {
        false => out.extend(image.iter().map(intensity)),
        true => {
            for channel in 0..format.channels {
                let values = image[channel..].iter().step_by(format.channels);
                out.extend(values.map(intensity));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_those_of_the_textbook() {
        let mut sums = Sums::default();
        sums.add(&[0.0, 0.5, 1.0, 1.0], &[0.0, 0.25, 1.0, 0.75]);
        let difference = sums.difference(2);
        assert_eq!((difference.images, difference.max, difference.mean), (2, 0.25, 0.125));
        // The mean square is 1/32, of a peak of 1.
        assert!((difference.psnr_db.unwrap() - 15.051_499_783).abs() < 1e-6);
        assert_eq!(Sums::default().difference(2).psnr_db, None);
    }

    #[test]
    fn layouts_are_compared_channel_by_channel() {
        let format =
            ImageFormat { channels: 2, height: 1, width: 2, interleaved: true, range: [0.0, 2.0] };
        let mut out = Vec::new();
        append(&format, &[0.0, 4.0, 1.0, -1.0], format.coefficients(1.0, 0.0), &mut out);
        assert_eq!(out, [0.0, 0.5, 1.0, 0.0]);
    }
}
