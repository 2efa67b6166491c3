//! Closed-form factorisation: Shen and Zhou (2021), *Closed-Form Factorization of Latent Semantics
//! in GANs*.
//!
//! A step `α n` of the latent changes what the first linear layer makes by `α Aᵀ n`, whatever the
//! latent was. The directions that change it most are the eigenvectors of `A Aᵀ` with the largest
//! eigenvalues. Layers that read the latent side by side (the affine layers of StyleGAN) count as
//! one whose outputs are theirs together.

use super::algebra::Symmetric;
use crate::error::{Error, Kind, Result};
use crate::graph::{LinearLayer, LinearLayers};

/// How many nodes an error names.
const NAMES: usize = 6;

/// The layers that were asked for, by number from 1 or by name; all if none is.
///
/// # Errors
/// [`Kind::Model`] if there is no linear layer, with what was met instead; [`Kind::Argument`] for
/// one that does not exist.
pub(super) fn choose(
    found: LinearLayers,
    wanted: &[String],
    input: &str,
) -> Result<Vec<LinearLayer>> {
    if found.layers.is_empty() {
        let met: Vec<String> =
            found.met.iter().take(NAMES).map(|(node, why)| format!("{node} ({why})")).collect();
        let met = if met.is_empty() { "nothing".into() } else { met.join(", ") };
        let message =
            format!("no linear layer with constant weights reads input `{input}`; met {met}");
        return Err(Error::new(Kind::Model, message)
            .help("use --method regress, or --method pca with --activation TENSOR"));
    }
    if wanted.is_empty() {
        return Ok(found.layers);
    }
    let mut keep = vec![false; found.layers.len()];
    for name in wanted {
        let number = name.parse::<usize>().ok();
        let mut any = false;
        for (at, layer) in found.layers.iter().enumerate() {
            if layer.node.name == *name || number == Some(at + 1) {
                keep[at] = true;
                any = true;
            }
        }
        if !any {
            let all = found.layers.iter().enumerate();
            let all: Vec<_> = all.map(|(at, layer)| format!("{} {}", at + 1, layer.node)).collect();
            let message = format!("there is no layer `{name}` that reads input `{input}`");
            return Err(
                Error::new(Kind::Argument, message).help(format!("there are: {}", all.join(", ")))
            );
        }
    }
    let kept = found.layers.into_iter().zip(keep);
    Ok(kept.filter_map(|(layer, keep)| keep.then_some(layer)).collect())
}

/// The `count` directions that change the layers most, with the shares of the squared change that
/// are theirs; largest first.
///
/// # Errors
/// [`Kind::Limit`] if the latent is too long, [`Kind::Model`] if all weights are 0.
pub(super) fn directions(
    layers: &[LinearLayer],
    elements: usize,
    count: usize,
) -> Result<Vec<(f64, f64, Vec<f64>)>> {
    let mut products = Symmetric::new(elements)?;
    for layer in layers {
        let rows: Vec<Vec<f64>> = layer
            .weights
            .chunks_exact(layer.outputs.max(1))
            .map(|row| row.iter().map(|weight| f64::from(*weight)).collect())
            .collect();
        for (i, a) in layer.elements.iter().enumerate() {
            for (j, b) in layer.elements.iter().enumerate().filter(|(_, b)| *b <= a) {
                products.add_at(*a, *b, super::algebra::dot(&rows[i], &rows[j]));
            }
        }
    }
    let total = products.trace();
    if total <= 0.0 || !total.is_finite() {
        return Err(Error::new(
            Kind::Model,
            "the weights that read the latent are all 0 or not finite",
        ));
    }
    let pairs = products.eigen(count).into_iter();
    Ok(pairs.map(|(value, vector)| (value, value / total, vector)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NodeName;

    fn layer(name: &str, elements: &[usize], outputs: usize, weights: &[f32]) -> LinearLayer {
        LinearLayer {
            node: NodeName { operator: "Gemm".into(), name: name.into() },
            output: "y".into(),
            elements: elements.to_vec(),
            outputs,
            weights: weights.to_vec(),
        }
    }

    #[test]
    fn the_direction_that_changes_a_layer_most_comes_first() {
        // Two outputs: 3 (z0 + z1) / √2 and z2.
        let a = 3.0 / 2f32.sqrt();
        let layer = layer("a", &[0, 1, 2], 2, &[a, 0.0, a, 0.0, 0.0, 1.0]);
        let found = directions(&[layer], 3, 2).unwrap();
        assert!((found[0].0 - 9.0).abs() < 1e-5 && (found[0].1 - 0.9).abs() < 1e-6);
        let half = 0.5f64.sqrt();
        for (x, expected) in found[0].2.iter().zip([half, half, 0.0]) {
            assert!((x - expected).abs() < 1e-6, "{found:?}");
        }
        assert!((found[1].2[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn layers_side_by_side_count_together() {
        let layers = [layer("a", &[1], 1, &[2.0]), layer("b", &[1, 0], 1, &[1.0, 0.0])];
        let found = directions(&layers, 2, 1).unwrap();
        assert!((found[0].0 - 5.0).abs() < 1e-12 && (found[0].2[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn layers_are_chosen_by_number_or_name() {
        let all = || LinearLayers {
            layers: vec![layer("a", &[0], 1, &[1.0]), layer("b", &[0], 1, &[1.0])],
            met: vec![],
        };
        for name in ["2", "b"] {
            assert_eq!(choose(all(), &[name.into()], "z").unwrap()[0].node.name, "b");
        }
        let error = choose(all(), &["c".into()], "z").unwrap_err().to_string();
        assert!(error.contains("1 Gemm `a`, 2 Gemm `b`"), "{error}");
    }
}
