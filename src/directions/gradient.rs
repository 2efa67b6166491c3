//! The directions along which an attribute changes, up or down: active subspaces (Constantine et
//! al., 2014).
//!
//! The gradient of an attribute in the latent is taken at every sample, by central differences
//! along each element. The eigenvectors of the mean of its outer products are the directions that
//! it lies in, those that hold most of it first. One direction, as regression finds it, holds the mean
//! of the gradient; what differs from sample to sample or from class to class lies in the next ones.
//! For a normal latent, what an attribute still varies once some of them are fixed is at most the
//! sum of the eigenvalues of the others (the Poincaré inequality).

use std::ops::Range;

use super::algebra::{Symmetric, add, dot};
use super::explorer::Explorer;
use super::meter::Meter;
use crate::error::{Error, Kind, Result};
use crate::load::Stop;

/// Where the gradients of one attribute lie.
#[derive(Debug, Clone)]
pub(super) struct Subspace {
    /// Eigenvalue, its share of all of them, and the direction of length 1; largest first.
    pub axes: Vec<(f64, f64, Vec<f64>)>,
}

/// What is summed up for one attribute.
struct Sums {
    products: Symmetric,
    mean: Vec<f64>,
    count: usize,
}

impl Explorer {
    /// The `count` first directions of each attribute of the meter, or why there are none.
    ///
    /// # Errors
    /// Those of making images; [`Kind::Limit`] if the latent has too many elements.
    pub(super) fn gradients(
        &mut self,
        samples: Range<u64>,
        step: f64,
        count: usize,
        meter: &mut Meter,
        stop: &Stop,
        done: &mut dyn FnMut(u64),
    ) -> Result<Vec<Result<Subspace>>> {
        let (elements, attributes) = (self.input().elements(), meter.names().len());
        let empty = || {
            let products = Symmetric::new(elements)?;
            Ok(Sums { products, mean: vec![0.0; elements], count: 0 })
        };
        let mut sums = (0..attributes).map(|_| empty()).collect::<Result<Vec<_>>>()?;
        let mut axis = vec![0.0_f32; elements];
        for (first, inputs) in self.calls(samples) {
            // [row, attribute, element]
            let mut slopes = vec![0.0; inputs.rows * attributes * elements];
            for element in 0..elements {
                stop.check()?;
                axis[element] = 1.0;
                let mut side = |amount: f64| {
                    let moved = self.moved(&inputs, &axis, amount);
                    meter.measure(&self.images(first, &moved)?)
                };
                let (ahead, back) = (side(step)?, side(-step)?);
                axis[element] = 0.0;
                for (at, (ahead, back)) in ahead.iter().zip(&back).enumerate() {
                    slopes[at * elements + element] = (ahead - back) / (2.0 * step);
                }
                done(2 * inputs.rows as u64);
            }
            for row in slopes.chunks_exact(attributes * elements) {
                for (sums, gradient) in sums.iter_mut().zip(row.chunks_exact(elements)) {
                    sums.add(gradient);
                }
            }
        }
        Ok(sums.into_iter().map(|sums| sums.subspace(count)).collect())
    }
}

impl Sums {
    /// A gradient of which a part is not known counts for nothing.
    fn add(&mut self, gradient: &[f64]) {
        if gradient.iter().all(|slope| slope.is_finite()) {
            self.products.add_product(gradient);
            add(&mut self.mean, 1.0, gradient);
            self.count += 1;
        }
    }

    fn subspace(self, count: usize) -> Result<Subspace> {
        let bad = |message: String| Error::new(Kind::Argument, message);
        if self.count < 2 {
            return Err(bad(format!("only {} images and all beside them have it", self.count)));
        }
        let total = self.products.trace();
        if !(total > 0.0 && total.is_finite()) {
            return Err(bad("it does not depend on the latent".into()));
        }
        let axis = |(eigenvalue, mut vector): (f64, Vec<f64>)| {
            // Along a direction the attribute rises, on average.
            if dot(&vector, &self.mean) < 0.0 {
                vector.iter_mut().for_each(|x| *x = -*x);
            }
            (eigenvalue / self.count as f64, eigenvalue / total, vector)
        };
        let axes = self.products.eigen(count).into_iter().map(axis).collect();
        Ok(Subspace { axes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(gradients: &[[f64; 3]]) -> Sums {
        let products = Symmetric::new(3).unwrap();
        let mut sums = Sums { products, mean: vec![0.0; 3], count: 0 };
        gradients.iter().for_each(|gradient| sums.add(gradient));
        sums
    }

    #[test]
    fn what_changes_sign_is_found_after_what_does_not() {
        // Always down the first element, now up and now down the third.
        let gradients = [[-2.0, 0.0, 1.0], [-2.0, 0.0, -1.0], [f64::NAN, 9.0, 9.0]];
        let found = sums(&gradients).subspace(3).unwrap();
        let expected = [(4.0, 0.8, [-1.0, 0.0, 0.0]), (1.0, 0.2, [0.0, 0.0, 1.0])];
        for ((value, share, vector), (wanted, part, axis)) in found.axes.iter().zip(expected) {
            assert!((value - wanted).abs() < 1e-12 && (share - part).abs() < 1e-12);
            let along: f64 = vector.iter().zip(axis).map(|(a, b)| a * b).sum();
            assert!((along - 1.0).abs() < 1e-9, "{vector:?}");
        }
        assert!(found.axes[2].0.abs() < 1e-12);
    }

    #[test]
    fn an_attribute_without_gradient_has_no_direction() {
        let error = sums(&[[0.0; 3]; 4]).subspace(1).unwrap_err().to_string();
        assert!(error.contains("does not depend on the latent"), "{error}");
        let error = sums(&[[f64::NAN; 3]; 4]).subspace(1).unwrap_err().to_string();
        assert!(error.contains("only 0 images"), "{error}");
    }
}
