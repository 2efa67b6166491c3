//! Shapes before a run: the dimensions and element type of every tensor of the main graph.
//!
//! Given how large the inputs are, `walk` goes through the nodes once, in their order; the rule of
//! each operator says what its outputs are, one file a family. Short tensors of numbers, from which
//! exporters compute shapes, are computed too (`values`). What no rule tells stays unknown, unless
//! the file declares it. What contradicts itself is an error.
//!
//! Nothing of a tensor's size is ever allocated.

mod call;
mod elementwise;
mod fact;
mod layout;
mod linear;
mod parts;
mod reduce;
mod resize;
mod source;
#[cfg(test)]
mod tests;
mod values;
mod walk;
mod window;

use std::collections::HashMap;

use self::call::Call;
pub(super) use self::fact::{Fact, Values};
use super::Model;
use super::proto::NodeProto;
use super::value::Element;
use crate::error::{Result, ResultExt};

/// What is known of the tensors of a main graph, for inputs of given sizes.
#[derive(Debug, Clone)]
pub struct Shapes {
    facts: HashMap<String, Fact>,
}

impl Shapes {
    /// The dimensions of a tensor; `None` if they are not known.
    #[must_use]
    pub fn dims(&self, tensor: &str) -> Option<&[usize]> {
        self.facts.get(tensor)?.dims.as_deref()
    }

    /// The element type of a tensor; `None` if it is not known.
    #[must_use]
    pub fn element(&self, tensor: &str) -> Option<Element> {
        self.facts.get(tensor)?.element
    }

    /// The elements of a short tensor of whole numbers or bools, row by row, where no input
    /// changes them; `None` if they are not known.
    #[must_use]
    pub fn integers(&self, tensor: &str) -> Option<&[i64]> {
        match self.facts.get(tensor)?.values.as_ref()? {
            Values::Ints(values) => Some(values),
            Values::Floats(_) => None,
        }
    }
}

/// What `node` of operator set `opset` makes of inputs of which this is known.
///
/// # Errors
/// As [`Model::shapes`], with the node.
pub(super) fn of_node(
    node: &NodeProto,
    inputs: Vec<Option<&Fact>>,
    opset: i64,
) -> Result<Vec<Fact>> {
    walk::made(&Call { node, inputs, opset })
}

impl Model {
    /// What every tensor of the main graph is, if the inputs have the dimensions `inputs`.
    ///
    /// An input that is not named has the dimensions that the file declares; a symbol in them is
    /// as long as where it stands in another input. Outputs of operators that are not known here,
    /// of local functions, and of `If`, `Loop` and `Scan` are what the file declares them to be,
    /// and unknown if it does not.
    ///
    /// # Errors
    /// [`Kind::Argument`](crate::Kind::Argument) if there is no such input or it has another
    /// shape; [`Kind::Model`](crate::Kind::Model) with the node and the shapes that do not fit
    /// each other; [`Kind::Limit`](crate::Kind::Limit) with the node that makes more than
    /// [`MAX_TENSOR_BYTES`](super::MAX_TENSOR_BYTES).
    pub fn shapes(&self, inputs: &[(&str, Vec<usize>)]) -> Result<Shapes> {
        let facts = walk::walk(self, inputs).at(|| self.name().to_owned())?;
        Ok(Shapes { facts })
    }
}
