//! Arithmetic on tensors, as one would write it down.

use half::{bf16, f16};

use super::{Attribute, Composer, Tensor};
use crate::error::Result;
use crate::graph::Element;

impl Composer {
    /// The number `value`, of the type of `like`.
    pub fn scalar(&mut self, like: &Tensor, value: f64) -> Tensor {
        let element = self.element(like);
        self.floats(element, &[], &[value])
    }

    /// A constant of the sizes `dims`, row by row.
    #[allow(clippy::cast_possible_truncation)]
    pub fn floats(&mut self, element: Element, dims: &[usize], values: &[f64]) -> Tensor {
        let raw = match element {
            Element::F64 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Element::F16 => {
                values.iter().flat_map(|value| f16::from_f64(*value).to_le_bytes()).collect()
            }
            Element::Bf16 => {
                values.iter().flat_map(|value| bf16::from_f64(*value).to_le_bytes()).collect()
            }
            _ => values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
        };
        self.constant(element, dims, raw)
    }

    /// A list of whole numbers.
    pub fn ints(&mut self, values: &[i64]) -> Tensor {
        self.int_tensor(&[values.len()], values)
    }

    /// Whole numbers of the sizes `dims`, row by row.
    pub fn int_tensor(&mut self, dims: &[usize], values: &[i64]) -> Tensor {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(Element::I64, dims, raw)
    }

    /// A + B, stretched to fit.
    pub fn add2(&mut self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.op("Add", &[a, b], &[])
    }

    /// A - B, stretched to fit.
    pub fn sub(&mut self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.op("Sub", &[a, b], &[])
    }

    /// A * B element by element, stretched to fit.
    pub fn mul(&mut self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.op("Mul", &[a, b], &[])
    }

    /// A / B element by element, stretched to fit.
    pub fn div(&mut self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.op("Div", &[a, b], &[])
    }

    /// A with every element multiplied by `by`.
    pub fn scale(&mut self, a: &Tensor, by: f64) -> Result<Tensor> {
        let by = self.scalar(a, by);
        self.mul(a, &by)
    }

    /// A with `by` added to every element.
    pub fn shift(&mut self, a: &Tensor, by: f64) -> Result<Tensor> {
        let by = self.scalar(a, by);
        self.add2(a, &by)
    }

    /// A * A.
    pub fn square(&mut self, a: &Tensor) -> Result<Tensor> {
        self.mul(a, a)
    }

    /// An operator of one input and no attributes: `Exp`, `Sqrt`, `Neg`, …
    pub fn unary(&mut self, operator: &str, a: &Tensor) -> Result<Tensor> {
        self.op(operator, &[a], &[])
    }

    /// The matrix product over the last two axes.
    pub fn matmul(&mut self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.op("MatMul", &[a, b], &[])
    }

    /// `yes` where the condition holds and `no` elsewhere.
    pub fn choose(&mut self, condition: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
        self.op("Where", &[condition, yes, no], &[])
    }

    /// The sum over `axes`, which stay with size 1 if `keep`. No axes: the tensor itself.
    pub fn sum(&mut self, a: &Tensor, axes: &[usize], keep: bool) -> Result<Tensor> {
        self.reduce("ReduceSum", a, axes, keep)
    }

    /// The mean over `axes`, which stay with size 1 if `keep`. No axes: the tensor itself.
    pub fn mean(&mut self, a: &Tensor, axes: &[usize], keep: bool) -> Result<Tensor> {
        self.reduce("ReduceMean", a, axes, keep)
    }

    /// Any of the `Reduce…` operators.
    pub fn reduce(
        &mut self,
        operator: &str,
        a: &Tensor,
        axes: &[usize],
        keep: bool,
    ) -> Result<Tensor> {
        if axes.is_empty() {
            return Ok(a.clone());
        }
        let axes = self.sizes(axes);
        self.op(operator, &[a, &axes], &[Attribute::Int("keepdims", keep.into())])
    }

    /// The sum of all elements, a scalar.
    pub fn sum_all(&mut self, a: &Tensor) -> Result<Tensor> {
        let axes: Vec<usize> = (0..self.dims(a).len()).collect();
        self.sum(a, &axes, false)
    }

    /// The mean of all elements, a scalar.
    pub fn mean_all(&mut self, a: &Tensor) -> Result<Tensor> {
        let axes: Vec<usize> = (0..self.dims(a).len()).collect();
        self.mean(a, &axes, false)
    }

    /// A in another element type; A itself if it has that type.
    pub fn cast(&mut self, a: &Tensor, to: Element) -> Result<Tensor> {
        if self.element(a) == to {
            return Ok(a.clone());
        }
        self.op("Cast", &[a], &[Attribute::Int("to", to.to_onnx().into())])
    }
}
