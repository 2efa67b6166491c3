//! Principal components of an activation, brought back to the latent: GANSpace (Härkönen et al.,
//! 2020).
//!
//! The components of the activation's values give each sample its scores; the direction of a
//! component is the regression of the latents on its scores. Both are centred within each class,
//! so that the differences between classes are no components.

use std::collections::BTreeMap;

use super::algebra::{Symmetric, add, dot, orthonormalise, settle_sign, unit};
use crate::error::{Error, Kind, Result};

/// Up to this many values an activation's covariance is computed whole; beyond that by subspace
/// iteration.
const EXACT: usize = 768;

/// Subspace iteration keeps this many vectors more than are wanted, and goes on this long.
const SPARE: usize = 12;
const ITERATIONS: usize = 12;

/// Values of all samples that are held at a time.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// Values of all samples, row by row.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub width: usize,
    pub values: Vec<f32>,
}

/// A component: its variance, its share of the whole, and each sample's score.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub variance: f64,
    pub share: f64,
    pub scores: Vec<f64>,
}

impl Rows {
    pub fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.width..][..self.width]
    }

    fn row_f64(&self, at: usize) -> Vec<f64> {
        self.row(at).iter().map(|x| f64::from(*x)).collect()
    }

    /// Takes the mean of each class out of its rows.
    pub fn centre(&mut self, labels: &[i64]) {
        let label = |at: usize| labels.get(at).copied().unwrap_or(0);
        let mut sums: BTreeMap<i64, (f64, Vec<f64>)> = BTreeMap::new();
        for at in 0..self.count() {
            let row = self.row_f64(at);
            let (count, sum) =
                sums.entry(label(at)).or_insert_with(|| (0.0, vec![0.0; self.width]));
            *count += 1.0;
            add(sum, 1.0, &row);
        }
        for (at, row) in self.values.chunks_exact_mut(self.width.max(1)).enumerate() {
            let (count, sum) = &sums[&label(at)];
            for (x, sum) in row.iter_mut().zip(sum) {
                #[allow(clippy::cast_possible_truncation)]
                let centred = (f64::from(*x) - sum / count) as f32;
                *x = centred;
            }
        }
    }

    /// The sum of squares.
    fn energy(&self) -> f64 {
        self.values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()
    }
}

/// The `count` components of most variance of centred rows.
///
/// # Errors
/// [`Kind::Model`] if the rows do not vary or are not finite.
pub(super) fn components(rows: &Rows, count: usize) -> Result<Vec<Component>> {
    let energy = rows.energy();
    if energy <= 0.0 || !energy.is_finite() {
        return Err(Error::new(Kind::Model, "the activation does not vary, or is not finite"));
    }
    let axes = if rows.width <= EXACT {
        let mut products = Symmetric::new(rows.width)?;
        for at in 0..rows.count() {
            products.add_product(&rows.row_f64(at));
        }
        products.eigen(count).into_iter().map(|(_, axis)| axis).collect()
    } else {
        subspace(rows, count)?
    };
    let samples = rows.count() as f64;
    Ok(axes
        .iter()
        .map(|axis| {
            let scores: Vec<f64> =
                (0..rows.count()).map(|at| dot(&rows.row_f64(at), axis)).collect();
            let squares = dot(&scores, &scores);
            Component { variance: squares / samples, share: squares / energy, scores }
        })
        .collect())
}

/// Subspace iteration (Halko, Martinsson and Tropp, 2011, algorithm 4.4), started from rows of the
/// data instead of random vectors.
fn subspace(rows: &Rows, count: usize) -> Result<Vec<Vec<f64>>> {
    let size = (count + SPARE).min(rows.count()).min(rows.width);
    let mut basis: Vec<Vec<f64>> =
        (0..size).map(|i| rows.row_f64(i * rows.count() / size)).collect();
    for _ in 0..ITERATIONS {
        orthonormalise(&mut basis);
        let mut next = vec![vec![0.0; rows.width]; size];
        for at in 0..rows.count() {
            let row = rows.row_f64(at);
            for (vector, sum) in basis.iter().zip(&mut next) {
                add(sum, dot(&row, vector), &row);
            }
        }
        basis = next;
    }
    orthonormalise(&mut basis);
    let mut products = Symmetric::new(size)?;
    for at in 0..rows.count() {
        let row = rows.row_f64(at);
        products.add_product(&basis.iter().map(|vector| dot(&row, vector)).collect::<Vec<_>>());
    }
    let turned = products.eigen(count).into_iter().map(|(_, mix)| {
        let mut axis = vec![0.0; rows.width];
        for (factor, vector) in mix.iter().zip(&basis) {
            add(&mut axis, *factor, vector);
        }
        axis
    });
    Ok(turned.collect())
}

/// The direction of centred latents that goes with each component, of length 1.
///
/// # Errors
/// [`Kind::Model`] if a component has nothing to do with the latents.
pub(super) fn directions(latents: &Rows, components: &[Component]) -> Result<Vec<Vec<f64>>> {
    components
        .iter()
        .enumerate()
        .map(|(number, component)| {
            let mut sum = vec![0.0; latents.width];
            for (at, score) in component.scores.iter().enumerate() {
                add(&mut sum, *score, &latents.row_f64(at));
            }
            let mut direction = unit(&sum).ok_or_else(|| {
                let message = format!("component {} does not vary", number + 1);
                Error::new(Kind::Model, message).help("ask for fewer directions with --count")
            })?;
            settle_sign(&mut direction);
            Ok(direction)
        })
        .collect()
}

/// Whether the first component stands out of what equal variances give by chance: by a tenth over
/// the edge of Marchenko and Pastur (1967).
pub(super) fn stands_out(component: &Component, rows: &Rows) -> bool {
    let (width, samples) = (rows.width as f64, rows.count() as f64);
    let edge = (1.0 + (width / samples).sqrt()).powi(2);
    component.share * width > 1.1 * edge
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic noise in -1..1, flat enough for a test.
    fn noise(at: usize) -> f64 {
        let mut x = (at as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn latents(samples: usize) -> Rows {
        Rows { width: 3, values: (0..samples * 3).map(|i| noise(i) as f32).collect() }
    }

    /// An activation that varies most with z1, less with z0 - z2, in orthogonal axes.
    fn activation(latents: &Rows, width: usize) -> Rows {
        let mut values = vec![0.0; latents.count() * width];
        for (row, out) in values.chunks_exact_mut(width).enumerate() {
            let z = latents.row(row);
            for (at, x) in out.iter_mut().enumerate() {
                *x = match at % 3 {
                    0 => 10.0 * z[1],
                    1 => 3.0 * (z[0] - z[2]),
                    _ => 7.0,
                };
            }
        }
        Rows { width, values }
    }

    #[test]
    fn planted_axes_are_recovered_both_ways() {
        let mut latents = latents(600);
        for width in [6, EXACT + 3] {
            let mut rows = activation(&latents, width);
            rows.centre(&[]);
            let mut centred = latents.clone();
            centred.centre(&[]);
            let found = components(&rows, 2).unwrap();
            assert!(found[0].share > found[1].share && found[0].share + found[1].share > 0.9999);
            let directions = directions(&centred, &found).unwrap();
            assert!(directions[0][1] > 0.99, "{directions:?}");
            assert!((directions[1][0] + directions[1][2]).abs() < 0.1, "{directions:?}");
            assert!(directions[1][0].abs() > 0.65, "{directions:?}");
        }
        latents.values.fill(1.0);
        latents.centre(&[]);
        assert!(components(&latents, 1).is_err());
    }

    #[test]
    fn equal_variances_do_not_stand_out() {
        let mut even = latents(500);
        even.centre(&[]);
        assert!(!stands_out(&components(&even, 1).unwrap()[0], &even));
        even.values.iter_mut().step_by(3).for_each(|x| *x *= 2.0);
        assert!(stands_out(&components(&even, 1).unwrap()[0], &even));
    }

    #[test]
    fn classes_are_no_components() {
        let mut rows = Rows { width: 1, values: vec![1.0, 11.0, 3.0, 13.0] };
        rows.centre(&[0, 1, 0, 1]);
        assert_eq!(rows.values, [-1.0, -1.0, 1.0, 1.0]);
    }
}
