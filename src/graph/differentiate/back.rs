//! One node on the way back: what every rule starts from.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use crate::error::{Error, Kind, Result};
use crate::graph::compose::{BATCH_NORM, Composer, Tensor};
use crate::graph::constant::{attribute, float_attribute, int_attribute};
use crate::graph::proto::NodeProto;

/// The gradients of a node's inputs, in their order; further inputs have none.
pub(super) type Gradients = Result<Vec<Option<Tensor>>>;

/// A node, the gradients of its outputs, and the graph that rules add to.
pub(super) struct Back<'a> {
    pub composer: &'a mut Composer,
    pub node: &'a NodeProto,
    /// Of the outputs, of their sizes; `None` where the loss does not depend on one.
    pub given: Vec<Option<Tensor>>,
    /// Whether anybody asks for the gradient of an input.
    pub needs: Vec<bool>,
    /// By what goes into a `Relu` that alone reads it: what comes out. For the node that made it.
    pub rectified: &'a mut HashMap<String, Tensor>,
}

impl Back<'_> {
    /// The input at `position`.
    ///
    /// # Errors
    /// [`Kind::Model`] if it was left out.
    pub fn input(&self, position: usize) -> Result<Tensor> {
        self.optional(position).ok_or_else(|| {
            Error::new(Kind::Model, format!("its input {position} is not there"))
                .help("export the encoder again")
        })
    }

    /// The input at `position`, if it was not left out.
    pub fn optional(&self, position: usize) -> Option<Tensor> {
        let name = self.node.input.get(position).filter(|name| !name.is_empty())?;
        self.composer.tensor(name)
    }

    /// The output at `position`.
    pub fn made(&self, position: usize) -> Result<Tensor> {
        let name = self.node.output.get(position).map_or("", String::as_str);
        self.composer
            .tensor(name)
            .ok_or_else(|| Error::new(Kind::Model, format!("its output {position} is not there")))
    }

    /// The gradient of the first output.
    pub fn gradient(&self) -> Result<Tensor> {
        self.given.first().cloned().flatten().ok_or_else(|| {
            Error::new(Kind::Model, "the loss depends on another output than its first alone")
                .help("only the first output of this operator can be differentiated")
        })
    }

    /// Whether the gradient of the input at `position` is asked for.
    pub fn needs(&self, position: usize) -> bool {
        self.needs.get(position).copied().unwrap_or(false)
    }

    /// The attribute `name`, a whole number.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        int_attribute(self.node, name).unwrap_or(default)
    }

    /// The attribute `name`, a number.
    pub fn float(&self, name: &str, default: f32) -> f64 {
        f64::from(float_attribute(self.node, name).unwrap_or(default))
    }

    /// The attribute `name`, whole numbers; empty if left out.
    pub fn list(&self, name: &str) -> &[i64] {
        attribute(self.node, name).map(|attribute| &attribute.ints[..]).unwrap_or_default()
    }

    /// The attribute `name`, a text.
    pub fn text(&self, name: &str, default: &'static str) -> String {
        let text = attribute(self.node, name).and_then(|attribute| attribute.s.clone());
        text.map_or_else(|| default.to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    /// The sizes of a tensor, to keep.
    pub fn dims_of(&self, tensor: &Tensor) -> Vec<usize> {
        self.composer.dims(tensor).to_vec()
    }

    /// The whole numbers of an input that nothing changes.
    ///
    /// # Errors
    /// [`Kind::Model`] if they are computed when the graph runs.
    pub fn known(&self, position: usize) -> Result<Vec<i64>> {
        let input = self.input(position)?;
        let known = self.composer.known_ints(&input).map(<[_]>::to_vec);
        known.ok_or_else(|| {
            Error::new(Kind::Model, format!("its input {position} is computed as it runs"))
                .help("export the encoder for images of a fixed size")
        })
    }

    /// Whether `x` is what genset's own batch normalisation makes, and only this node reads it.
    pub fn is_normalised_for_this_alone(&self, x: &Tensor) -> bool {
        let nodes = self.composer.nodes();
        let is = |name: &String| name == x.name();
        nodes.iter().any(|node| node.op_type == BATCH_NORM && node.output.first().is_some_and(is))
            && nodes.iter().flat_map(|node| &node.input).filter(|name| is(name)).count() == 1
    }

    /// The only error of a node whose form has no rule.
    pub fn unable<T>(&self, what: &str) -> Result<T> {
        let message = format!("`{}` {what} cannot be differentiated", self.node.op_type);
        Err(Error::new(Kind::Model, message).help("export the encoder without it"))
    }
}

impl Deref for Back<'_> {
    type Target = Composer;

    fn deref(&self) -> &Composer {
        self.composer
    }
}

impl DerefMut for Back<'_> {
    fn deref_mut(&mut self) -> &mut Composer {
        self.composer
    }
}

/// All axes of a tensor of `rank` but its channels': what is summed into one number a channel.
pub(super) fn beside_channels(rank: usize) -> Vec<usize> {
    (0..rank).filter(|&axis| axis != 1).collect()
}

/// The gradient of a node's only input.
pub(super) fn only(gradient: Tensor) -> Gradients {
    Ok(vec![Some(gradient)])
}
