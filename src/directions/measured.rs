//! Images of samples with what is measured on them, for whoever compares datasets.

use std::ops::Range;

use super::explorer::Explorer;
use super::meter::Meter;
use crate::error::{Error, Kind, Result};
use crate::load::Stop;

/// Images of some samples as the generator makes them, one a sample, with labels and attributes.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// The names of the attributes.
    pub names: Vec<String>,
    /// What each is, for people.
    pub formulas: Vec<String>,
    /// `[channels, height, width]`.
    pub image: [usize; 3],
    /// `[samples, C, H, W]`, in `[0, 1]`.
    pub images: Vec<f32>,
    /// One a sample; empty without classes.
    pub labels: Vec<i64>,
    /// `[samples, attributes]`; NaN where an image has none.
    pub values: Vec<f64>,
}

impl Explorer {
    /// Makes and measures `samples`, whose images may take `memory` bytes.
    ///
    /// # Errors
    /// [`Kind::Argument`] for an attribute that does not exist, [`Kind::Limit`] for more images
    /// than fit, and those of making images.
    pub(crate) fn measure(
        &mut self,
        samples: Range<u64>,
        attributes: &[String],
        memory: u64,
        stop: &Stop,
        done: &mut dyn FnMut(u64),
    ) -> Result<Measured> {
        let mut meter = Meter::new(attributes, None, self.image())?;
        let image_len = self.image().iter().product::<usize>();
        let count = samples.end - samples.start;
        if count.checked_mul(4 * image_len as u64).is_none_or(|bytes| bytes > memory) {
            let mib = memory >> 20;
            let message = format!("the images of {count} samples take more than {mib} MiB");
            return Err(Error::new(Kind::Limit, message).help("use fewer samples"));
        }
        let mut measured = Measured {
            names: meter.names().to_vec(),
            formulas: meter.formulas(),
            image: self.image(),
            images: Vec::new(),
            labels: Vec::new(),
            values: Vec::new(),
        };
        for (first, inputs) in self.calls(samples) {
            stop.check()?;
            let images = self.images(first, &inputs)?;
            measured.values.extend(meter.measure(&images)?);
            measured.images.extend(images);
            measured.labels.extend(&inputs.labels);
            done(inputs.rows as u64);
        }
        Ok(measured)
    }
}
