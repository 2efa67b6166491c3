//! Steering: along the walks of a file.

use std::mem::swap;

use super::block::Column;
use super::drawn::Drawn;
use super::geometry::dot;
use super::moves::{Setting, Target};
use super::place::{Amount, Place, Scratch, space};
use super::walk::{Layer, Walk, WalkFile};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::recipe::Span;

/// `z + s d` along each of some walks, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Steer {
    target: Target,
    walks: Vec<(String, Amount, Walk)>,
}

impl Steer {
    /// `inputs` are those that the recipe allows, and whether it leaves the choice to the file.
    pub fn new(
        setting: &Setting<'_>,
        key: &str,
        purpose: &str,
        inputs: (Vec<usize>, bool),
        file: &WalkFile,
        directions: &[String],
        strength: Span,
    ) -> Result<Self> {
        let name = |input: usize| setting.recipe.generator.inputs[input].0.as_str();
        let input = choose_input(&inputs.0, inputs.1, file, name)
            .at(|| file.path().display().to_string())
            .at(|| format!("{key}.inputs"))?;
        let target = Target::new(input, &setting.shapes[input]);
        let place = if directions.is_empty() { "file" } else { "directions" };
        let names = if directions.is_empty() { file.names() } else { directions.to_vec() };
        if names.is_empty() {
            return Err(Error::new(Kind::Recipe, "there is no direction in it"))
                .at(|| file.path().display().to_string())
                .at(|| format!("{key}.{place}"));
        }
        let walk = |direction: String| {
            let walk = file.walk(&direction, target.elements, name(input))?;
            // By name: what is drawn for one direction does not depend on which others there are.
            let purpose = format!("{purpose} strength {direction}");
            let strength = Amount::new(strength, setting.recipe.seed, &purpose);
            Ok((direction, strength, walk))
        };
        let walks = names.into_iter().map(walk).collect::<Result<Vec<_>>>();
        let walks = walks.at(|| file.path().display().to_string()).at(|| format!("{key}.{place}"));
        Ok(Self { target, walks: walks? })
    }

    pub fn apply(&self, place: Place, row: usize, columns: &mut [Column], scratch: &mut Scratch) {
        let latent = self.target.of_row(columns, row);
        for (_, strength, walk) in &self.walks {
            let strength = strength.draw(place);
            match walk {
                Walk::Linear(direction) => {
                    for (z, d) in latent.iter_mut().zip(direction.iter()) {
                        *z += strength * *d;
                    }
                }
                Walk::Steps { steps, layers } => {
                    #[allow(clippy::cast_precision_loss)]
                    let part = strength / *steps as f32;
                    for _ in 0..*steps {
                        step(layers, part, latent, &mut scratch.layers);
                    }
                }
            }
        }
    }

    /// The number of the input that it moves.
    pub fn input(&self) -> usize {
        self.target.input
    }

    /// The names and vectors of the walks that are straight.
    pub fn linear(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.walks.iter().filter_map(|(name, _, walk)| match walk {
            Walk::Linear(direction) => Some((&name[..], &direction[..])),
            Walk::Steps { .. } => None,
        })
    }

    pub fn drawn(&self, place: Place) -> Drawn {
        let one =
            |(name, strength, _): &(String, Amount, Walk)| (name.clone(), strength.draw(place));
        Drawn::Steer { strength: self.walks.iter().map(one).collect() }
    }
}

/// Walks are for one input: the one that the recipe names, that the file names, or the only one.
pub(super) fn choose_input<'n>(
    allowed: &[usize],
    free: bool,
    file: &WalkFile,
    name: impl Fn(usize) -> &'n str,
) -> Result<usize> {
    let names = || allowed.iter().map(|i| format!("`{}`", name(*i))).collect::<Vec<_>>().join(", ");
    let bad = |message: String| Error::new(Kind::Recipe, message);
    match (&file.input, allowed) {
        (_, [_, _, ..]) if !free => {
            Err(bad(format!("walks are for one input, not for {}", names())))
        }
        (Some(wanted), _) => {
            allowed.iter().copied().find(|i| name(*i) == wanted).ok_or_else(|| {
                bad(format!("its walks are for input `{wanted}`, not for {}", names()))
            })
        }
        (None, [one]) => Ok(*one),
        (None, _) => Err(bad(format!("it does not say which of the inputs {} it is for", names()))
            .help("add inputs = [ … ] with one of them")),
    }
}

/// `z ← z + part f(z)`.
fn step(layers: &[Layer], part: f32, latent: &mut [f32], memory: &mut [Vec<f32>; 2]) {
    let [x, y] = memory;
    space(x, latent.len()).copy_from_slice(latent);
    let mut inputs = latent.len();
    for (number, layer) in layers.iter().enumerate() {
        let outputs = layer.bias.len();
        let values = space(y, outputs);
        let rows = layer.weight.chunks_exact(inputs.max(1));
        for ((value, weights), bias) in values.iter_mut().zip(rows).zip(layer.bias.iter()) {
            #[allow(clippy::cast_possible_truncation)]
            let sum = (dot(weights, &x[..inputs]) + f64::from(*bias)) as f32;
            *value = if number + 1 < layers.len() { sum.max(0.0) } else { sum };
        }
        swap(x, y);
        inputs = outputs;
    }
    for (z, f) in latent.iter_mut().zip(&x[..inputs]) {
        *z += part * *f;
    }
}

#[cfg(test)]
mod tests;
