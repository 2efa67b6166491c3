//! An input that is always the same, as a constant of the model.
//!
//! A recipe that fixes a label, a noise or a truncation makes a branch of the graph constant; once
//! the graph says so, the runtime computes that branch once, when it loads the model, and
//! [`super::Rewrite::SplitLabel`] finds it.

use half::{bf16, f16};

use crate::error::{Error, Kind, Result};
use crate::graph::draft::Draft;
use crate::graph::proto::TensorProto;
use crate::graph::{Dim, Element, Model};

/// The values of a constant, row by row.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum InputValues<'a> {
    /// Numbers, converted to the input's type.
    Floats(&'a [f32]),
    /// Whole numbers, converted to the input's type.
    Ints(&'a [i64]),
}

impl Model {
    /// This model with its input `name` fixed to `values` of the dimensions `dims`; it is then no
    /// input any more.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such input, if `dims` contradict what the model declares
    /// or do not hold as many values, or if the input's type cannot hold them.
    pub fn with_constant_input(
        &self,
        name: &str,
        dims: &[usize],
        values: InputValues<'_>,
    ) -> Result<Self> {
        let wrong = |message: String| Error::new(Kind::Argument, message).at(self.name());
        let place = self.input_place(name).map_err(|error| error.at(self.name()))?;
        let input = &self.inputs()[place];
        let count = dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim));
        if count != Some(values.len()) {
            let len = values.len();
            return Err(wrong(format!("input `{name}`: {len} values do not fill {dims:?}")));
        }
        let fits = |(dim, size): (&Dim, &usize)| match dim {
            Dim::Fixed(fixed) => *fixed == *size as u64,
            Dim::Symbol(_) | Dim::Unknown => true,
        };
        if let Some(shape) = &input.shape
            && (shape.len() != dims.len() || !shape.iter().zip(dims).all(fits))
        {
            return Err(wrong(format!("`{input}` cannot be {dims:?}")));
        }
        let (data_type, raw) = values
            .encode(input.element)
            .ok_or_else(|| wrong(format!("`{input}` cannot hold {}", values.description())))?;
        let mut draft = Draft::of(self);
        let graph = draft.graph_mut();
        graph.input.retain(|input| input.name != name);
        graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX)).collect(),
            data_type,
            raw_data: Some(raw.into()),
            ..Default::default()
        });
        draft.finish()
    }
}

impl InputValues<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }

    fn description(&self) -> &'static str {
        match self {
            Self::Floats(_) => "numbers with fractions",
            Self::Ints(_) => "these whole numbers",
        }
    }

    /// ONNX's number for `element`, and the values as its bytes.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn encode(&self, element: Element) -> Option<(i32, Vec<u8>)> {
        let floats = || -> Vec<f32> {
            match self {
                Self::Floats(values) => values.to_vec(),
                Self::Ints(values) => values.iter().map(|value| *value as f32).collect(),
            }
        };
        let ints = || match self {
            Self::Floats(_) => None,
            Self::Ints(values) => Some(values.to_vec()),
        };
        fn bytes<T, const N: usize>(values: Vec<T>, to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
            values.into_iter().flat_map(to).collect()
        }
        Some(match element {
            Element::F32 => (1, bytes(floats(), f32::to_le_bytes)),
            Element::F64 => (11, bytes(floats(), |value| f64::from(value).to_le_bytes())),
            Element::F16 => (10, bytes(floats(), |value| f16::from_f32(value).to_le_bytes())),
            Element::Bf16 => (16, bytes(floats(), |value| bf16::from_f32(value).to_le_bytes())),
            Element::I64 => (7, bytes(ints()?, i64::to_le_bytes)),
            Element::I32 => {
                let narrow: Option<Vec<i32>> =
                    ints()?.into_iter().map(|value| i32::try_from(value).ok()).collect();
                (6, bytes(narrow?, i32::to_le_bytes))
            }
            Element::Bool => {
                let bits: Option<Vec<u8>> =
                    ints()?.into_iter().map(|v| u8::try_from(v).ok().filter(|v| *v < 2)).collect();
                (9, bits?)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build;

    #[test]
    fn a_fixed_input_is_a_constant() {
        let model = build::read(&build::small()).unwrap();
        let fixed = model.with_constant_input("z", &[2, 8], InputValues::Floats(&[0.5; 16]));
        let fixed = fixed.unwrap();
        assert_eq!((fixed.inputs().len(), fixed.parameters()), (0, 8 * 48 + 4 + 16));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = build::read(&build::small()).unwrap();
        for (name, dims, values, part) in [
            ("y", &[1, 8][..], InputValues::Floats(&[0.0; 8]), "no input is named `y`"),
            ("z", &[1, 8], InputValues::Floats(&[0.0; 7]), "7 values do not fill [1, 8]"),
            ("z", &[1, 9], InputValues::Floats(&[0.0; 9]), "z: f32 [batch, 8]` cannot be [1, 9]"),
            ("z", &[8], InputValues::Floats(&[0.0; 8]), "cannot be [8]"),
            ("z", &[usize::MAX, 8], InputValues::Floats(&[0.0; 8]), "do not fill"),
        ] {
            let error = model.with_constant_input(name, dims, values).unwrap_err();
            assert_eq!(error.kind(), Kind::Argument);
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(InputValues::Floats(&[1.0]).encode(Element::I64), None);
        assert_eq!(InputValues::Ints(&[1 << 40]).encode(Element::I32), None);
        assert_eq!(InputValues::Ints(&[1, 0]).encode(Element::Bool), Some((9, vec![1, 0])));
        assert_eq!(InputValues::Ints(&[2]).encode(Element::F16).unwrap().1, [0, 0x40]);
    }
}
