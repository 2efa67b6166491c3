//! A whole model with its gradients: what inverting a generator and following a score need.

use std::collections::HashMap;

use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::Model;
use crate::graph::compose::Composer;

/// The input that says in which direction of its output a model is differentiated.
pub const DIRECTION: &str = "direction";

impl Model {
    /// A model that computes `output` and, for each input named in `of`, the output
    /// `gradient/NAME`: how the sum of `output` times [`DIRECTION`] changes with that input
    /// (the product of the direction and the Jacobian).
    ///
    /// All sizes are fixed: `inputs` are as for [`Model::shapes`]. Its inputs are those of this
    /// model and `direction`, of the sizes and type of the output.
    ///
    /// # Errors
    /// [`Kind::Argument`] for names that this model does not have; [`Kind::Model`] with the node
    /// for sizes that are not known, and operators that cannot be differentiated.
    pub fn with_gradients(
        &self,
        inputs: &[(&str, Vec<usize>)],
        output: &str,
        of: &[&str],
    ) -> Result<Self> {
        self.differentiated(inputs, output, of).at(|| self.name().to_owned())
    }

    fn differentiated(
        &self,
        inputs: &[(&str, Vec<usize>)],
        output: &str,
        of: &[&str],
    ) -> Result<Self> {
        let shapes = self.shapes(inputs)?;
        let mut composer = Composer::new();
        let mut fed = Vec::new();
        for input in self.inputs() {
            let dims = shapes.dims(&input.name).ok_or_else(|| {
                Error::new(Kind::Argument, format!("the sizes of `{input}` are not given"))
                    .help("a gradient is made for fixed sizes")
            })?;
            fed.push(composer.input(&input.name, input.element, dims)?);
        }
        let place = self.output_place(output)?;
        let imported = composer.import(self, &fed, &HashMap::new(), false)?;
        let made = imported.outputs[place].clone();
        let (element, dims) = (composer.element(&made), composer.dims(&made).to_vec());
        let direction = composer.input(DIRECTION, element, &dims)?;
        let product = composer.mul(&made, &direction)?;
        let total = composer.sum_all(&product)?;
        let chosen = of.iter().map(|name| Ok(fed[self.input_place(name)?].clone()));
        let chosen = chosen.collect::<Result<Vec<_>>>()?;
        let gradients = composer.gradients(&total, &chosen, &[])?;
        composer.output(output, &made)?;
        for (tensor, gradient) in chosen.iter().zip(gradients) {
            let gradient = match gradient {
                Some(gradient) => gradient,
                None => {
                    let zero = composer.scalar(tensor, 0.0);
                    let dims = composer.dims(tensor).to_vec();
                    composer.expand(&zero, &dims)?
                }
            };
            composer.output(&format!("gradient/{}", tensor.name()), &gradient)?;
        }
        composer.finish(self.name())
    }
}
