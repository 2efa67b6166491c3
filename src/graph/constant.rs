//! The numbers in a model's constants: sizes of tensors, and the values of small ones.

use super::MAX_RANK;
use super::proto::{AttributeProto, EXTERNAL, NodeProto, TensorProto};
use super::value::Element;
use crate::error::{Error, Kind, Result};

/// Constants with more elements than this are weights, and their values are never looked at.
const MAX_VALUES: u64 = 65_536;

/// The number of elements of a tensor with these dimensions; 1 if there are none.
///
/// # Errors
/// [`Kind::Model`] for a negative dimension, [`Kind::Limit`] for more than [`MAX_RANK`]
/// dimensions or a product past `u64`.
pub(super) fn elements(dims: &[i64]) -> Result<u64> {
    if dims.len() > MAX_RANK {
        let message = format!("{} dimensions, more than {MAX_RANK}", dims.len());
        return Err(Error::new(Kind::Limit, message));
    }
    let mut product = 1_u64;
    for &dim in dims {
        let size = u64::try_from(dim).map_err(|_| {
            Error::new(Kind::Model, format!("shape {dims:?} has a negative dimension"))
        })?;
        // An empty dimension must not hide an overflow of the others.
        product = product.checked_mul(size.max(1)).ok_or_else(|| {
            Error::new(Kind::Limit, format!("shape {dims:?} has more elements than can be counted"))
        })?;
    }
    Ok(if dims.contains(&0) { 0 } else { product })
}

/// A value known before the model runs.
#[derive(Clone, Copy)]
pub(super) enum Constant<'a> {
    /// An initializer, or a `Constant` node's tensor.
    Tensor(&'a TensorProto),
    Float(f32),
    Floats(&'a [f32]),
    Int(i64),
    Ints(&'a [i64]),
}

impl<'a> Constant<'a> {
    /// What a `Constant` node holds; `None` for other nodes, texts and sparse tensors.
    pub(super) fn of_node(node: &'a NodeProto) -> Option<Self> {
        if node.op_type != "Constant" || !is_standard(&node.domain) {
            return None;
        }
        node.attribute.iter().find_map(|attribute| match attribute.name.as_str() {
            "value" => attribute.t.as_ref().map(Self::Tensor),
            "value_float" => attribute.f.map(Self::Float),
            "value_floats" => Some(Self::Floats(&attribute.floats)),
            "value_int" => attribute.i.map(Self::Int),
            "value_ints" => Some(Self::Ints(&attribute.ints)),
            _ => None,
        })
    }

    /// The size of the outermost axis; `None` for a scalar.
    pub(super) fn rows(self) -> Option<u64> {
        match self {
            Self::Tensor(tensor) => tensor.dims.first().and_then(|&rows| u64::try_from(rows).ok()),
            Self::Floats(values) => Some(values.len() as u64),
            Self::Ints(values) => Some(values.len() as u64),
            Self::Float(_) | Self::Int(_) => None,
        }
    }

    /// Its whole numbers, exactly; `None` if it holds others, or too many, or elsewhere.
    pub(super) fn integers(self) -> Option<Vec<i64>> {
        match self {
            Self::Int(value) => Some(vec![value]),
            Self::Ints(values) => Some(values.to_vec()),
            Self::Float(_) | Self::Floats(_) => None,
            Self::Tensor(tensor) => tensor_integers(tensor),
        }
    }

    /// Its smallest and largest value; `None` if unknown, empty, or any is no finite number.
    pub(super) fn hull(self) -> Option<(f64, f64)> {
        let values: Vec<f64> = match self {
            Self::Float(value) => vec![f64::from(value)],
            Self::Floats(values) => values.iter().copied().map(f64::from).collect(),
            Self::Tensor(tensor) => match tensor_floats(tensor) {
                Some(values) => values,
                None => tensor_integers(tensor)?.into_iter().map(|value| value as f64).collect(),
            },
            Self::Int(_) | Self::Ints(_) => {
                self.integers()?.into_iter().map(|value| value as f64).collect()
            }
        };
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let low = values.iter().copied().reduce(f64::min)?;
        Some((low, values.iter().copied().reduce(f64::max)?))
    }

    /// How many values it has; 0 if its shape makes no sense.
    pub(super) fn count(self) -> u64 {
        match self {
            Self::Tensor(tensor) => elements(&tensor.dims).unwrap_or(0),
            Self::Float(_) | Self::Int(_) => 1,
            Self::Floats(_) | Self::Ints(_) => self.rows().unwrap_or(0),
        }
    }

    /// Its only value; `None` if there are several.
    pub(super) fn scalar(self) -> Option<f64> {
        // Asked of many nodes, so that a long constant must not be read for each.
        if self.count() != 1 {
            return None;
        }
        self.hull().map(|(value, _)| value)
    }
}

/// Whether this is the domain of the standard operators.
pub(super) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The attribute of `node` with this name.
pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// The whole number that `node` has under `name`.
pub(super) fn int_attribute(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name)?.i
}

/// The number that `node` has under `name`.
pub(super) fn float_attribute(node: &NodeProto, name: &str) -> Option<f32> {
    attribute(node, name)?.f
}

/// Whether the values of `tensor` are here and few.
fn is_readable(tensor: &TensorProto) -> bool {
    tensor.data_location != EXTERNAL && elements(&tensor.dims).is_ok_and(|n| n <= MAX_VALUES)
}

/// The bytes of `tensor` cut into elements of `N`; `None` if they lie in a typed field.
fn raw<const N: usize>(tensor: &TensorProto) -> Option<impl Iterator<Item = [u8; N]>> {
    let bytes = tensor.raw_data.as_ref()?;
    Some(bytes.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok()))
}

/// The values of a tensor of floats, however many; `None` if they lie in another file.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    if tensor.data_location == EXTERNAL {
        return None;
    }
    Some(all_floats(tensor)?.into_iter().map(|value| value as f32).collect())
}

fn tensor_floats(tensor: &TensorProto) -> Option<Vec<f64>> {
    if is_readable(tensor) { all_floats(tensor) } else { None }
}

fn all_floats(tensor: &TensorProto) -> Option<Vec<f64>> {
    let halves = || tensor.int32_data.iter().map(|&bits| bits as u16);
    Some(match Element::from_onnx(tensor.data_type) {
        Element::F32 => match raw(tensor) {
            Some(raw) => raw.map(|bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
            None => tensor.float_data.iter().copied().map(f64::from).collect(),
        },
        Element::F64 => match raw(tensor) {
            Some(raw) => raw.map(f64::from_le_bytes).collect(),
            None => tensor.double_data.clone(),
        },
        Element::F16 => match raw(tensor) {
            Some(raw) => raw.map(|bytes| half::f16::from_le_bytes(bytes).to_f64()).collect(),
            None => halves().map(|bits| half::f16::from_bits(bits).to_f64()).collect(),
        },
        Element::Bf16 => match raw(tensor) {
            Some(raw) => raw.map(|bytes| half::bf16::from_le_bytes(bytes).to_f64()).collect(),
            None => halves().map(|bits| half::bf16::from_bits(bits).to_f64()).collect(),
        },
        _ => return None,
    })
}

fn tensor_integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    if !is_readable(tensor) {
        return None;
    }
    let small = || tensor.int32_data.iter().copied().map(i64::from).collect();
    Some(match Element::from_onnx(tensor.data_type) {
        Element::I64 => match raw(tensor) {
            Some(raw) => raw.map(i64::from_le_bytes).collect(),
            None => tensor.int64_data.clone(),
        },
        Element::I32 => match raw(tensor) {
            Some(raw) => raw.map(|bytes| i64::from(i32::from_le_bytes(bytes))).collect(),
            None => small(),
        },
        Element::U8 | Element::Bool => match raw(tensor) {
            Some(raw) => raw.map(|[byte]| i64::from(byte)).collect(),
            None => small(),
        },
        Element::I8 => match raw(tensor) {
            Some(raw) => raw.map(|bytes| i64::from(i8::from_le_bytes(bytes))).collect(),
            None => small(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build;

    #[test]
    fn elements_are_counted_or_refused() {
        assert_eq!(elements(&[]).unwrap(), 1);
        assert_eq!(elements(&[2, 3, 4]).unwrap(), 24);
        assert_eq!(elements(&[0, 1 << 40]).unwrap(), 0);
        assert_eq!(elements(&[2, -1]).unwrap_err().kind(), Kind::Model);
        assert!(elements(&[i64::MAX, i64::MAX]).unwrap_err().is_limit());
        assert!(elements(&[i64::MAX, i64::MAX, 0]).unwrap_err().is_limit());
        assert!(elements(&[1; 17]).unwrap_err().is_limit());
    }

    #[test]
    fn values_are_read_from_every_field() {
        let typed = build::floats("a", &[2], &[-1.0, 2.5]);
        assert_eq!(Constant::Tensor(&typed).hull(), Some((-1.0, 2.5)));
        let raw = build::ints("b", &[3], &[3, -2, 1]);
        assert_eq!(Constant::Tensor(&raw).integers(), Some(vec![3, -2, 1]));
        assert_eq!(Constant::Tensor(&raw).hull(), Some((-2.0, 3.0)));
        let half = TensorProto { data_type: 10, int32_data: vec![0x3c00], ..Default::default() };
        assert_eq!(Constant::Tensor(&half).scalar(), Some(1.0));
        assert_eq!(Constant::Tensor(&build::external("c", &[1], "w")).hull(), None);
        assert_eq!(Constant::Float(f32::NAN).hull(), None);
        assert_eq!(Constant::Floats(&[]).hull(), None);
    }

    #[test]
    fn a_constant_node_holds_a_value() {
        let node = build::node_with("Constant", &[], &["c"], &[build::int("value_int", 4)]);
        assert_eq!(Constant::of_node(&node).unwrap().scalar(), Some(4.0));
        assert!(Constant::of_node(&build::node("Relu", &["c"], &["d"])).is_none());
    }
}
