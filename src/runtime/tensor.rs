//! Tensors that ONNX Runtime reads from or writes to in place.

use half::{bf16, f16};
use ort::memory::Allocator;

use ort::value::{DynTensor, TensorElementType};

use super::failed;
use crate::error::{Error, Kind, Result};
use crate::graph::Element;

/// One allocation that stays where it is while a session is bound to it.
#[derive(Debug)]
pub struct Tensor {
    pub(super) value: DynTensor,
    element: Element,
    shape: Vec<usize>,
}

/// The elements of a tensor, by type.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum TensorView<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Half-precision floats.
    F16(&'a [f16]),
    /// bfloat16.
    Bf16(&'a [bf16]),
    /// 64-bit floats.
    F64(&'a [f64]),
    /// Bytes.
    U8(&'a [u8]),
    /// 32-bit integers.
    I32(&'a [i32]),
    /// 64-bit integers.
    I64(&'a [i64]),
}

/// Element types that sessions can be fed and read in.
const TYPES: [(Element, TensorElementType); 7] = [
    (Element::F32, TensorElementType::Float32),
    (Element::F16, TensorElementType::Float16),
    (Element::Bf16, TensorElementType::Bfloat16),
    (Element::F64, TensorElementType::Float64),
    (Element::U8, TensorElementType::Uint8),
    (Element::I32, TensorElementType::Int32),
    (Element::I64, TensorElementType::Int64),
];

fn runtime_type(element: Element) -> Result<TensorElementType> {
    TYPES.iter().find(|(ours, _)| *ours == element).map(|(_, theirs)| *theirs).ok_or_else(|| {
        Error::new(Kind::Model, format!("element type {element} is not supported"))
            .help("export the model with float or integer inputs and a float or u8 output")
    })
}

pub(super) fn element_of(theirs: TensorElementType) -> Element {
    TYPES.iter().find(|(_, t)| *t == theirs).map_or(Element::Other(0), |(ours, _)| *ours)
}

impl Tensor {
    /// A zeroed tensor in CPU memory.
    ///
    /// # Errors
    /// [`Kind::Model`] for element types that images and latents do not come in,
    /// [`Kind::Runtime`] if memory is short.
    pub fn new(element: Element, shape: &[usize]) -> Result<Self> {
        Self::new_in(&Allocator::default(), element, shape)
    }

    /// A tensor in memory that `allocator` gives and the CPU can read and write.
    pub(super) fn new_in(allocator: &Allocator, element: Element, shape: &[usize]) -> Result<Self> {
        let dims: Vec<i64> = shape.iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect();
        let value = DynTensor::new(allocator, runtime_type(element)?, dims)
            .map_err(|e| failed(&e, format!("cannot allocate {element} {shape:?}")))?;
        Ok(Self { value, element, shape: shape.to_vec() })
    }

    pub(super) fn from_value(value: DynTensor) -> Self {
        let shape = value.shape().iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect();
        let element = element_of(*value.data_type());
        Self { value, element, shape }
    }

    /// Its element type.
    #[must_use]
    pub fn element(&self) -> Element {
        self.element
    }

    /// Its dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements.
    ///
    /// # Errors
    /// [`Kind::Model`] for an element type that images do not come in.
    pub fn view(&self) -> Result<TensorView<'_>> {
        fn get<T: ort::value::PrimitiveTensorElementType>(value: &DynTensor) -> Result<&[T]> {
            let tensor = value.try_extract_tensor::<T>();
            tensor.map(|(_, data)| data).map_err(|e| failed(&e, "cannot read a tensor"))
        }
        Ok(match self.element {
            Element::F32 => TensorView::F32(get(&self.value)?),
            Element::F16 => TensorView::F16(get(&self.value)?),
            Element::Bf16 => TensorView::Bf16(get(&self.value)?),
            Element::F64 => TensorView::F64(get(&self.value)?),
            Element::U8 => TensorView::U8(get(&self.value)?),
            Element::I32 => TensorView::I32(get(&self.value)?),
            Element::I64 => TensorView::I64(get(&self.value)?),
            other => return Err(runtime_type(other).err().unwrap_or_else(unreadable)),
        })
    }

    /// Writes floats, converted to the element type, from element `offset` on.
    ///
    /// # Errors
    /// As [`Tensor::view`].
    ///
    /// # Panics
    /// If the values do not fit.
    #[allow(clippy::cast_possible_truncation)]
    pub fn write_floats(&mut self, offset: usize, values: &[f32]) -> Result<()> {
        let len = values.len();
        match self.element {
            Element::F32 => self.slice::<f32>()?[offset..][..len].copy_from_slice(values),
            Element::F16 => fill(&mut self.slice()?[offset..][..len], values, f16::from_f32),
            Element::Bf16 => fill(&mut self.slice()?[offset..][..len], values, bf16::from_f32),
            Element::F64 => fill(&mut self.slice()?[offset..][..len], values, f64::from),
            Element::U8 => fill(&mut self.slice()?[offset..][..len], values, |x| x as u8),
            Element::I32 => fill(&mut self.slice()?[offset..][..len], values, |x| x as i32),
            Element::I64 => fill(&mut self.slice()?[offset..][..len], values, |x| x as i64),
            other => return Err(runtime_type(other).err().unwrap_or_else(unreadable)),
        }
        Ok(())
    }

    /// Writes floats of double precision, converted to the element type, from element `offset` on.
    ///
    /// # Errors
    /// As [`Tensor::view`].
    ///
    /// # Panics
    /// If the values do not fit.
    #[allow(clippy::cast_possible_truncation)]
    pub fn write_doubles(&mut self, offset: usize, values: &[f64]) -> Result<()> {
        if self.element == Element::F64 {
            self.slice::<f64>()?[offset..][..values.len()].copy_from_slice(values);
            return Ok(());
        }
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        self.write_floats(offset, &values)
    }

    /// Writes integers, converted to the element type, from element `offset` on.
    ///
    /// # Errors
    /// As [`Tensor::view`].
    ///
    /// # Panics
    /// If the values do not fit.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn write_integers(&mut self, offset: usize, values: &[i64]) -> Result<()> {
        let len = values.len();
        match self.element {
            Element::I64 => self.slice::<i64>()?[offset..][..len].copy_from_slice(values),
            Element::I32 => fill(&mut self.slice()?[offset..][..len], values, |x| x as i32),
            _ => {
                let floats: Vec<f32> = values.iter().map(|x| *x as f32).collect();
                self.write_floats(offset, &floats)?;
            }
        }
        Ok(())
    }

    pub(super) fn slice<T: ort::value::PrimitiveTensorElementType>(&mut self) -> Result<&mut [T]> {
        let tensor = self.value.try_extract_tensor_mut::<T>();
        tensor.map(|(_, data)| data).map_err(|e| failed(&e, "cannot write a tensor"))
    }
}

fn unreadable() -> Error {
    Error::new(Kind::Model, "element type is not supported")
}

fn fill<T, U: Copy>(out: &mut [T], values: &[U], convert: impl Fn(U) -> T) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = convert(*value);
    }
}

impl<'a> TensorView<'a> {
    /// Some of the elements.
    ///
    /// # Panics
    /// If they are not all there.
    #[must_use]
    pub fn slice(self, range: std::ops::Range<usize>) -> TensorView<'a> {
        match self {
            Self::F32(x) => Self::F32(&x[range]),
            Self::F16(x) => Self::F16(&x[range]),
            Self::Bf16(x) => Self::Bf16(&x[range]),
            Self::F64(x) => Self::F64(&x[range]),
            Self::U8(x) => Self::U8(&x[range]),
            Self::I32(x) => Self::I32(&x[range]),
            Self::I64(x) => Self::I64(&x[range]),
        }
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::Bf16(x) => x.len(),
            Self::F64(x) => x.len(),
            Self::U8(x) => x.len(),
            Self::I32(x) => x.len(),
            Self::I64(x) => x.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as floats; for measuring, not for the hot path.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::F32(x) => x.to_vec(),
            Self::F16(x) => x.iter().map(|v| v.to_f32()).collect(),
            Self::Bf16(x) => x.iter().map(|v| v.to_f32()).collect(),
            Self::F64(x) => x.iter().map(|v| *v as f32).collect(),
            Self::U8(x) => x.iter().map(|v| f32::from(*v)).collect(),
            Self::I32(x) => x.iter().map(|v| *v as f32).collect(),
            Self::I64(x) => x.iter().map(|v| *v as f32).collect(),
        }
    }
}
