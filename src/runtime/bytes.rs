//! Tensors as plain bytes, to be kept and looked at again.

use half::{bf16, f16};

use super::tensor::{Tensor, TensorView};
use crate::error::Result;
use crate::graph::Element;

impl<'a> TensorView<'a> {
    /// The elements' bytes, in the machine's order.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::F32(x) => bytemuck::cast_slice(x),
            Self::F16(x) => bytemuck::cast_slice(x),
            Self::Bf16(x) => bytemuck::cast_slice(x),
            Self::F64(x) => bytemuck::cast_slice(x),
            Self::U8(x) => x,
            Self::I32(x) => bytemuck::cast_slice(x),
            Self::I64(x) => bytemuck::cast_slice(x),
        }
    }

    /// Bytes that [`TensorView::as_bytes`] gave for elements of this type; `None` for a type that
    /// images do not come in, and for bytes that are not aligned or not whole elements.
    #[must_use]
    pub fn of_bytes(element: Element, bytes: &'a [u8]) -> Option<Self> {
        fn cast<T: bytemuck::Pod>(bytes: &[u8]) -> Option<&[T]> {
            bytemuck::try_cast_slice(bytes).ok()
        }
        match element {
            Element::F32 => cast(bytes).map(Self::F32),
            Element::F16 => cast(bytes).map(Self::F16),
            Element::Bf16 => cast(bytes).map(Self::Bf16),
            Element::F64 => cast(bytes).map(Self::F64),
            Element::U8 => Some(Self::U8(bytes)),
            Element::I32 => cast(bytes).map(Self::I32),
            Element::I64 => cast(bytes).map(Self::I64),
            _ => None,
        }
    }
}

impl Tensor {
    /// The elements' bytes, in the machine's order, to write.
    ///
    /// # Errors
    /// As [`Tensor::view`].
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        Ok(match self.element() {
            Element::F16 => bytemuck::cast_slice_mut(self.slice::<f16>()?),
            Element::Bf16 => bytemuck::cast_slice_mut(self.slice::<bf16>()?),
            Element::F64 => bytemuck::cast_slice_mut(self.slice::<f64>()?),
            Element::U8 => self.slice::<u8>()?,
            Element::I32 => bytemuck::cast_slice_mut(self.slice::<i32>()?),
            Element::I64 => bytemuck::cast_slice_mut(self.slice::<i64>()?),
            _ => bytemuck::cast_slice_mut(self.slice::<f32>()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_bytes_comes_back() {
        let values = [1.5_f32, f32::NAN, -0.0];
        let bytes = TensorView::F32(&values).as_bytes();
        let Some(TensorView::F32(again)) = TensorView::of_bytes(Element::F32, bytes) else {
            panic!("floats")
        };
        assert_eq!(again.as_ptr(), values.as_ptr(), "no copy");
        assert_eq!(again.len(), 3);
        assert!(TensorView::of_bytes(Element::I64, bytes).is_none(), "12 bytes");
        assert!(TensorView::of_bytes(Element::F32, &bytes[1..5]).is_none(), "not aligned");
        assert!(TensorView::of_bytes(Element::Other(0), bytes).is_none());
    }
}
