//! Attributes regressed on the latent, as InterFaceGAN (Shen et al., 2020) does with classifiers.
//!
//! For a standard normal latent the coefficients are the mean gradient of the attribute (Stein's
//! lemma), so the direction is the one along which it rises fastest on average, however
//! non-linear the generator is. Latents and attributes are centred within each class first: what
//! a class has of an attribute by itself must not leak into the direction.

use std::collections::BTreeMap;

use super::algebra::{Symmetric, add, dot, unit};
use crate::error::{Error, Kind, Result};

/// Of a direction that is made independent of the others, at least this much must be left.
const MIN_LEFT: f64 = 0.02;

/// Nothing is fitted to fewer samples.
const MIN_SAMPLES: usize = 16;

/// Latents with the class and the attributes of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Elements of a latent.
    pub elements: usize,
    /// `[samples, elements]`.
    pub latents: Vec<f32>,
    /// One a sample; empty without classes.
    pub labels: Vec<i64>,
    /// Attributes of a sample.
    pub attributes: usize,
    /// `[samples, attributes]`; NaN where an image has none.
    pub values: Vec<f64>,
}

/// The linear model of one attribute.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// Change of the attribute for each element of the latent.
    pub coefficients: Vec<f64>,
    /// Means of latent and attribute in each class.
    centres: BTreeMap<i64, (Vec<f64>, f64)>,
}

impl Table {
    fn samples(&self) -> usize {
        self.latents.len() / self.elements.max(1)
    }

    fn latent(&self, sample: usize) -> Vec<f64> {
        let row = &self.latents[sample * self.elements..][..self.elements];
        row.iter().map(|x| f64::from(*x)).collect()
    }

    fn label(&self, sample: usize) -> i64 {
        self.labels.get(sample).copied().unwrap_or(0)
    }

    /// The samples that have `attribute`, with its values.
    fn with(&self, attribute: usize) -> impl Iterator<Item = (usize, f64)> {
        let values = self.values.iter().skip(attribute).step_by(self.attributes.max(1));
        values.copied().enumerate().filter(|(_, value)| !value.is_nan())
    }
}

/// Ridge regression of every attribute, or why there is none.
///
/// # Errors
/// [`Kind::Argument`] if there are too few samples for any attribute.
pub(super) fn fit(table: &Table, ridge: f64) -> Result<Vec<Result<Fit>>> {
    let least = table.elements.max(MIN_SAMPLES);
    if table.samples() < least {
        let message = format!(
            "{} samples are too few for {} elements of the latent",
            table.samples(),
            table.elements
        );
        return Err(Error::new(Kind::Argument, message)
            .help(format!("use at least {least}, better ten times as many")));
    }
    // Mostly every image has the attribute, and then one matrix serves all of them.
    let mut shared = None;
    let mut one = |attribute: usize| {
        let used: Vec<(usize, f64)> = table.with(attribute).collect();
        if used.len() < least {
            let message = format!("only {} of {} images have it", used.len(), table.samples());
            return Err(Error::new(Kind::Argument, message));
        }
        let centres = centres(table, &used);
        let centred = |sample: usize| {
            let (x, y) = &centres[&table.label(sample)];
            let mut latent = table.latent(sample);
            add(&mut latent, -1.0, x);
            (latent, *y)
        };
        let mut moments = vec![0.0; table.elements];
        for (sample, value) in &used {
            let (latent, mean) = centred(*sample);
            add(&mut moments, value - mean, &latent);
        }
        let whole = used.len() == table.samples();
        let solve = match shared.take() {
            Some(solve) if whole => solve,
            kept => {
                shared = kept;
                let mut products = Symmetric::new(table.elements)?;
                used.iter().for_each(|(sample, _)| products.add_product(&centred(*sample).0));
                products.solver(ridge)?
            }
        };
        let coefficients = solve(&moments);
        if whole {
            shared = Some(solve);
        }
        if unit(&coefficients).is_none() {
            return Err(Error::new(Kind::Argument, "it does not depend on the latent"));
        }
        Ok(Fit { coefficients, centres })
    };
    Ok((0..table.attributes).map(&mut one).collect())
}

fn centres(table: &Table, used: &[(usize, f64)]) -> BTreeMap<i64, (Vec<f64>, f64)> {
    let mut sums: BTreeMap<i64, (f64, Vec<f64>, f64)> = BTreeMap::new();
    for (sample, value) in used {
        let empty = || (0.0, vec![0.0; table.elements], 0.0);
        let (count, x, y) = sums.entry(table.label(*sample)).or_insert_with(empty);
        *count += 1.0;
        add(x, 1.0, &table.latent(*sample));
        *y += value;
    }
    let mean = |(count, x, y): (f64, Vec<f64>, f64)| {
        (x.into_iter().map(|x| x / count).collect(), y / count)
    };
    sums.into_iter().map(|(label, sum)| (label, mean(sum))).collect()
}

impl Fit {
    /// The share of the variance of `attribute` within classes that the model explains on other
    /// samples: 1 all of it, 0 none, less than 0 harm.
    pub fn r2(&self, table: &Table, attribute: usize) -> f64 {
        let (mut residual, mut total) = (0.0, 0.0);
        for (sample, value) in table.with(attribute) {
            let Some((x, y)) = self.centres.get(&table.label(sample)) else { continue };
            let mut latent = table.latent(sample);
            add(&mut latent, -1.0, x);
            residual += (value - y - dot(&latent, &self.coefficients)).powi(2);
            total += (value - y).powi(2);
        }
        1.0 - residual / total
    }
}

/// One direction of length 1 for each fit; with `conditional`, each with the others' taken out of
/// it, so that to first order it leaves their attributes alone.
///
/// # Errors
/// [`Kind::Argument`] naming an attribute of whose direction the others leave nothing.
pub(super) fn directions(
    fits: &[Fit],
    names: &[String],
    conditional: bool,
) -> Result<Vec<Vec<f64>>> {
    let units: Vec<Vec<f64>> = fits.iter().filter_map(|fit| unit(&fit.coefficients)).collect();
    if !conditional {
        return Ok(units);
    }
    (0..units.len())
        .map(|own| {
            let others = units.iter().enumerate().filter(|(at, _)| *at != own);
            let mut basis: Vec<Vec<f64>> = others.map(|(_, unit)| unit.clone()).collect();
            super::algebra::orthonormalise(&mut basis);
            let mut left = units[own].clone();
            for other in &basis {
                let along = dot(&left, other);
                add(&mut left, -along, other);
            }
            if dot(&left, &left).sqrt() < MIN_LEFT {
                let message = format!(
                    "nothing is left of the direction of `{}` once the others are taken out",
                    names[own]
                );
                return Err(Error::new(Kind::Argument, message)
                    .help("name fewer attributes, or leave out --conditional"));
            }
            Ok(unit(&left).expect("longer than the least that must be left"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Distribution, Recipe, Role};
    use crate::sample::{BlockInputs, Column, Sampler};

    /// Normal latents of four elements.
    fn latents(samples: u32) -> Vec<f32> {
        let text = "generator.model = \"g\"\ngenerator.inputs.z = { role = \"latent\" }";
        let recipe = Recipe::parse(text, "r", std::path::Path::new(".")).unwrap();
        let normal = Role::Latent(Distribution::Normal { truncation: None });
        assert_eq!(recipe.generator.inputs[0].1, normal);
        let mut block = BlockInputs::default();
        Sampler::new(&recipe, &[vec![4]]).unwrap().fill(0, samples, 0, &mut block);
        let Some(Column::Float(values)) = block.columns.pop() else { panic!("floats") };
        values
    }

    /// Two attributes: a plane that differs by class, and one that some samples do not have.
    fn table(first: usize, samples: usize) -> Table {
        let latents = latents(2000)[first * 4..][..samples * 4].to_vec();
        let labels: Vec<i64> = (0..samples as i64).map(|i| i % 3).collect();
        let values = latents.chunks(4).zip(&labels).flat_map(|(z, label)| {
            let z: Vec<f64> = z.iter().map(|x| f64::from(*x)).collect();
            let plane = 3.0 * z[0] - 4.0 * z[2] + 100.0 * *label as f64;
            let some = if *label == 2 { f64::NAN } else { z[1].tanh() };
            [plane, some]
        });
        let values = values.collect();
        Table { elements: 4, latents, labels, attributes: 2, values }
    }

    #[test]
    fn planted_coefficients_are_recovered_within_classes() {
        let fits = fit(&table(0, 1500), 1e-9).unwrap();
        let fits: Vec<Fit> = fits.into_iter().map(Result::unwrap).collect();
        for (coefficient, planted) in fits[0].coefficients.iter().zip([3.0, 0.0, -4.0, 0.0]) {
            assert!((coefficient - planted).abs() < 1e-4, "{:?}", fits[0].coefficients);
        }
        assert_eq!((fits[0].centres.len(), fits[1].centres.len()), (3, 2));
        let held_out = table(1500, 500);
        assert!(fits[0].r2(&held_out, 0) > 0.9999);
        assert!((0.8..0.99).contains(&fits[1].r2(&held_out, 1)));
        let names = ["plane".into(), "some".into()];
        let found = directions(&fits, &names, false).unwrap();
        assert!((found[0][0] - 0.6).abs() < 1e-3 && (found[0][2] + 0.8).abs() < 1e-3);
        assert!(found[1][1] > 0.99);
    }

    #[test]
    fn conditional_directions_leave_the_others_alone() {
        let with = |coefficients: &[f64]| Fit {
            coefficients: coefficients.to_vec(),
            centres: BTreeMap::new(),
        };
        let fits = [with(&[1.0, 0.0, 0.0]), with(&[1.0, 1.0, 0.0]), with(&[0.0, 0.0, 2.0])];
        let names: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let found = directions(&fits, &names, true).unwrap();
        for (i, direction) in found.iter().enumerate() {
            for (j, fit) in fits.iter().enumerate() {
                assert_eq!(dot(direction, &fit.coefficients).abs() > 1e-9, i == j);
            }
        }
        let error = directions(&[with(&[1.0, 0.0]), with(&[2.0, 0.0])], &names, true).unwrap_err();
        assert!(error.to_string().contains("nothing is left of the direction of `a`"), "{error}");
    }

    #[test]
    fn an_attribute_that_never_changes_is_no_direction_and_spoils_no_other() {
        let mut table = table(0, 500);
        table.values.iter_mut().skip(1).step_by(2).for_each(|value| *value = 0.25);
        let fits = fit(&table, 1e-3).unwrap();
        assert!(fits[0].is_ok());
        let error = fits[1].as_ref().unwrap_err().to_string();
        assert!(error.contains("does not depend on the latent"), "{error}");
        table.values.iter_mut().skip(1).step_by(2).for_each(|value| *value = f64::NAN);
        let error = fit(&table, 1e-3).unwrap().pop().unwrap().unwrap_err().to_string();
        assert!(error.contains("only 0 of 500 images have it"), "{error}");
    }

    #[test]
    fn too_few_samples_are_refused() {
        assert!(
            fit(&table(0, 3), 1e-3).unwrap_err().to_string().contains("too few for 4 elements")
        );
    }
}
