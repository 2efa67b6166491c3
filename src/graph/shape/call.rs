//! One node with what is known of its inputs: what every operator's rule starts from.

use super::fact::{Fact, Values};
use crate::error::{Error, Kind, Result};
use crate::graph::constant::{attribute, int_attribute};
use crate::graph::proto::NodeProto;
use crate::graph::value::Element;

/// The dimensions of an output, if they can be told.
pub(super) type Dims = Result<Option<Vec<usize>>>;

/// A node and its inputs.
pub(super) struct Call<'a> {
    pub node: &'a NodeProto,
    /// `None` where an optional input is left out.
    pub inputs: Vec<Option<&'a Fact>>,
    /// The version of the standard operators.
    pub opset: i64,
}

/// A list that was an attribute in earlier operator sets and is an input in later ones.
pub(super) enum Listed<'a> {
    Absent,
    Unknown,
    Known(&'a [i64]),
}

impl<'a> Call<'a> {
    /// Whether the input is there at all.
    pub fn has(&self, input: usize) -> bool {
        self.fact(input).is_some()
    }

    fn fact(&self, input: usize) -> Option<&'a Fact> {
        self.inputs.get(input).copied().flatten()
    }

    pub fn element(&self, input: usize) -> Option<Element> {
        self.fact(input)?.element
    }

    pub fn dims(&self, input: usize) -> Option<&'a [usize]> {
        self.fact(input)?.dims.as_deref()
    }

    pub fn values(&self, input: usize) -> Option<&'a Values> {
        self.fact(input)?.values.as_ref()
    }

    /// The known whole numbers of an input.
    pub fn ints(&self, input: usize) -> Option<&'a [i64]> {
        match self.values(input)? {
            Values::Ints(values) => Some(values),
            Values::Floats(_) => None,
        }
    }

    /// The known `f32`s of an input.
    pub fn floats(&self, input: usize) -> Option<&'a [f32]> {
        match self.values(input)? {
            Values::Floats(values) => Some(values),
            Values::Ints(_) => None,
        }
    }

    /// The attribute `name`, a whole number.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        int_attribute(self.node, name).unwrap_or(default)
    }

    /// The attribute `name`, a list of whole numbers; `None` if left out or empty.
    pub fn list(&self, name: &str) -> Option<&'a [i64]> {
        let list = attribute(self.node, name).map(|attribute| attribute.ints.as_slice());
        list.filter(|list| !list.is_empty())
    }

    /// The attribute `name`, a text; empty if left out.
    pub fn text(&self, name: &str) -> &'a [u8] {
        attribute(self.node, name).and_then(|attribute| attribute.s.as_deref()).unwrap_or_default()
    }

    /// The attribute `name`, or else the input at `position`.
    pub fn listed(&self, name: &str, position: usize) -> Listed<'a> {
        match attribute(self.node, name) {
            Some(attribute) => Listed::Known(&attribute.ints),
            None if !self.has(position) => Listed::Absent,
            None => self.ints(position).map_or(Listed::Unknown, Listed::Known),
        }
    }

    /// An output of the element type of `input`.
    pub fn like(&self, input: usize, dims: Option<Vec<usize>>) -> Vec<Fact> {
        vec![Fact::of(self.element(input), dims)]
    }

    /// An input for a message: its name and its shape.
    pub fn show(&self, input: usize) -> String {
        let name = self.node.input.get(input).map_or("", String::as_str);
        match self.dims(input) {
            Some(dims) => format!("`{name}` {dims:?}"),
            None => format!("`{name}`"),
        }
    }
}

/// The error of a node whose inputs and attributes do not fit each other.
pub(super) fn contradiction(message: impl Into<String>) -> Error {
    Error::new(Kind::Model, message).help("no runtime can run this: export the model again")
}

/// An axis of a shape of `rank` dimensions, which ONNX may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    let found = usize::try_from(from_start).ok().filter(|axis| *axis < rank);
    found.ok_or_else(|| contradiction(format!("axis {axis} of {rank} dimensions")))
}

/// Several axes, each at most once.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<bool>> {
    let mut chosen = vec![false; rank];
    for &number in list {
        if std::mem::replace(&mut chosen[axis(number, rank)?], true) {
            return Err(contradiction(format!("axes {list:?} name one twice")));
        }
    }
    Ok(chosen)
}

/// The number of elements of a shape; it was checked when it was made, or is about to be.
pub(super) fn count(dims: &[usize]) -> Result<usize> {
    let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
    count.ok_or_else(|| {
        Error::new(Kind::Limit, format!("shape {dims:?} has more elements than can be counted"))
    })
}

/// A computed size as a dimension.
pub(super) fn size(computed: i128) -> Result<usize> {
    usize::try_from(computed)
        .map_err(|_| contradiction(format!("a dimension would be {computed} long")))
}
