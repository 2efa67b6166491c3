//! What goes into a graph and comes out of it: names, element types, shapes.

use std::fmt;

use super::proto::{DimensionValue, TypeValue, ValueInfoProto};

/// A graph's input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueInfo {
    /// The name by which a session binds it.
    pub name: String,
    /// The type of its elements; [`Element::Other`] with 0 if it is no tensor.
    pub element: Element,
    /// Its dimensions, outermost first; `None` if the file does not even tell the rank.
    pub shape: Option<Vec<Dim>>,
}

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Always this size.
    Fixed(u64),
    /// Any size, the same wherever the symbol stands; most often the batch.
    Symbol(String),
    /// Any size.
    Unknown,
}

/// The element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// 32-bit floating point.
    F32,
    /// 16-bit IEEE floating point.
    F16,
    /// 16-bit floating point with the exponent of `f32`.
    Bf16,
    /// 64-bit floating point.
    F64,
    /// 8-bit unsigned integer.
    U8,
    /// 8-bit signed integer.
    I8,
    /// 16-bit unsigned integer.
    U16,
    /// 16-bit signed integer.
    I16,
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit signed integer.
    I32,
    /// 64-bit unsigned integer.
    U64,
    /// 64-bit signed integer.
    I64,
    /// One byte, 0 or 1.
    Bool,
    /// Another type, by its number in `TensorProto.DataType`; no image or latent has one.
    Other(i32),
}

impl Element {
    /// The element type with this number in `TensorProto.DataType`.
    #[must_use]
    pub fn from_onnx(number: i32) -> Self {
        match number {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::U32,
            13 => Self::U64,
            16 => Self::Bf16,
            other => Self::Other(other),
        }
    }

    /// Its number in `TensorProto.DataType`.
    #[must_use]
    pub fn to_onnx(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::U16 => 4,
            Self::I16 => 5,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
            Self::U32 => 12,
            Self::U64 => 13,
            Self::Bf16 => 16,
            Self::Other(number) => number,
        }
    }

    /// Bytes an element takes; `None` if it has no whole number of them, or none that is known.
    #[must_use]
    pub fn size_of(self) -> Option<usize> {
        self.bits().filter(|bits| bits % 8 == 0).map(|bits| bits / 8)
    }

    /// Whether it counts: signed or unsigned, of any width. A bool does not.
    #[must_use]
    pub fn is_integer(self) -> bool {
        use Element::{I8, I16, I32, I64, U8, U16, U32, U64};
        matches!(self, U8 | I8 | U16 | I16 | U32 | I32 | U64 | I64)
    }

    /// Whether it is one of the floating-point types.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16 | Self::F64)
    }

    /// Bits an element takes in `raw_data`; `None` for texts and types not known here.
    pub(super) fn bits(self) -> Option<usize> {
        Some(match self {
            Self::U8 | Self::I8 | Self::Bool | Self::Other(17..=20 | 24) => 8,
            Self::F16 | Self::Bf16 | Self::U16 | Self::I16 => 16,
            Self::F32 | Self::U32 | Self::I32 => 32,
            Self::F64 | Self::U64 | Self::I64 | Self::Other(14) => 64,
            Self::Other(15) => 128,
            Self::Other(21..=23) => 4,
            Self::Other(25 | 26) => 2,
            Self::Other(_) => return None,
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F64 => "f64",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::Bool => "bool",
            Self::Other(8) => "string",
            Self::Other(14) => "complex64",
            Self::Other(15) => "complex128",
            Self::Other(number) => return write!(f, "ONNX type {number}"),
        })
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

impl fmt::Display for ValueInfo {
    /// As `z: f32 [batch, 100]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.element)?;
        let Some(shape) = &self.shape else { return f.write_str(" [..]") };
        f.write_str(" [")?;
        for (axis, dim) in shape.iter().enumerate() {
            write!(f, "{}{dim}", if axis == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

impl ValueInfo {
    /// The message in checked form. Its dimensions were checked before: a negative one can only
    /// be the -1 by which some exporters say "any size".
    pub(super) fn from_proto(proto: &ValueInfoProto) -> Self {
        let name = proto.name.clone();
        let tensor = match proto.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
            Some(TypeValue::Tensor(tensor)) => tensor,
            _ => return Self { name, element: Element::Other(0), shape: None },
        };
        let shape = tensor.shape.as_ref().map(|shape| {
            let dim = |dim: &super::proto::Dimension| match &dim.value {
                Some(DimensionValue::Value(size)) => {
                    u64::try_from(*size).map_or(Dim::Unknown, Dim::Fixed)
                }
                Some(DimensionValue::Param(symbol)) if !symbol.is_empty() => {
                    Dim::Symbol(symbol.clone())
                }
                _ => Dim::Unknown,
            };
            shape.dim.iter().map(dim).collect()
        });
        Self { name, element: Element::from_onnx(tensor.elem_type), shape }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build;

    #[test]
    fn a_value_reads_as_its_name_type_and_shape() {
        let mut proto = build::value("z", 1, &["batch", "100", "-1", ""]);
        assert_eq!(ValueInfo::from_proto(&proto).to_string(), "z: f32 [batch, 100, ?, ?]");
        proto.r#type = None;
        let info = ValueInfo::from_proto(&proto);
        assert_eq!((info.element, info.shape), (Element::Other(0), None));
    }

    #[test]
    fn sizes_are_those_of_the_format() {
        for (number, name, size) in [
            (1, "f32", Some(4)),
            (2, "u8", Some(1)),
            (7, "i64", Some(8)),
            (10, "f16", Some(2)),
            (16, "bf16", Some(2)),
            (8, "string", None),
            (22, "ONNX type 22", None),
            (-5, "ONNX type -5", None),
        ] {
            let element = Element::from_onnx(number);
            assert_eq!(element.to_onnx(), number);
            assert_eq!((element.to_string().as_str(), element.size_of()), (name, size));
        }
    }
}
