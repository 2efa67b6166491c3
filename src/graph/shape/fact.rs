//! What is known about a tensor before the model runs.

use crate::error::{Error, Kind, Result};
use crate::graph::constant::{Constant, elements};
use crate::graph::proto::TensorProto;
use crate::graph::value::Element;
use crate::graph::{MAX_RANK, MAX_TENSOR_BYTES};

/// Longer tensors are data; shapes, pads and scales are shorter. A file may have many of them.
pub(super) const MAX_VALUES: usize = 64;

/// A tensor as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::graph) struct Fact {
    pub element: Option<Element>,
    pub dims: Option<Vec<usize>>,
    /// Its elements row by row, if they are few and do not depend on what the model is fed.
    pub values: Option<Values>,
}

/// Elements of a tensor that are known.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::graph) enum Values {
    /// Of any integer type, or bools as 0 and 1.
    Ints(Vec<i64>),
    /// Of `f32`.
    Floats(Vec<f32>),
}

impl Fact {
    pub fn of(element: Option<Element>, dims: Option<Vec<usize>>) -> Self {
        Self { element, dims, values: None }
    }

    /// A tensor of the file.
    pub fn of_tensor(tensor: &TensorProto) -> Self {
        let dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let element = Element::from_onnx(tensor.data_type);
        let fact = Self::of(Some(element), dims);
        let few = elements(&tensor.dims).is_ok_and(|count| count <= MAX_VALUES as u64);
        let values = if few { Values::of_tensor(tensor, element) } else { None };
        Self { values, ..fact }
    }

    /// What a `Constant` node holds beside a tensor.
    pub fn of_constant(constant: Constant<'_>) -> Self {
        let one_row = |count: usize| Some(vec![count]);
        let (element, dims, values) = match constant {
            Constant::Tensor(tensor) => return Self::of_tensor(tensor),
            Constant::Int(value) => (Element::I64, Some(vec![]), Values::Ints(vec![value])),
            Constant::Float(value) => (Element::F32, Some(vec![]), Values::Floats(vec![value])),
            Constant::Ints(values) => {
                let few = values[..values.len().min(MAX_VALUES + 1)].to_vec();
                (Element::I64, one_row(values.len()), Values::Ints(few))
            }
            Constant::Floats(values) => {
                let few = values[..values.len().min(MAX_VALUES + 1)].to_vec();
                (Element::F32, one_row(values.len()), Values::Floats(few))
            }
        };
        let values = Some(values).filter(|values| values.len() <= MAX_VALUES);
        Self { element: Some(element), dims, values }
    }

    /// Refuses a tensor that no memory could hold.
    ///
    /// # Errors
    /// [`Kind::Limit`] with its shape.
    pub fn check(&self) -> Result<()> {
        let Some(dims) = &self.dims else { return Ok(()) };
        if dims.len() > MAX_RANK {
            let message = format!("it makes {} dimensions, more than {MAX_RANK}", dims.len());
            return Err(Error::new(Kind::Limit, message));
        }
        // An empty dimension must not hide an overflow of the others.
        let count = dims.iter().try_fold(1_u64, |count, &dim| count.checked_mul(dim.max(1) as u64));
        let bits = self.element.and_then(Element::bits).unwrap_or(8) as u64;
        let bytes = count.and_then(|count| count.checked_mul(bits)).map(|bits| bits.div_ceil(8));
        if bytes.is_none_or(|bytes| bytes > MAX_TENSOR_BYTES) {
            let message = format!("it makes {dims:?}, more than {MAX_TENSOR_BYTES} bytes");
            return Err(Error::new(Kind::Limit, message)
                .help("no image is that large: check where the file is from"));
        }
        Ok(())
    }
}

impl Values {
    fn of_tensor(tensor: &TensorProto, element: Element) -> Option<Self> {
        match element {
            Element::F32 => {
                let values = crate::graph::constant::floats(tensor)?;
                Some(Self::Floats(values))
            }
            _ => Constant::Tensor(tensor).integers().map(Self::Ints),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }
}
