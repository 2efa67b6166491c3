//! Memory of a batch as any array library takes it: by DLPack, without a copy.

use std::ffi::c_void;
use std::sync::Arc;

use dlpark::ffi::{DLDataType, DLDevice, DLDeviceType, DLManagedTensor, DLManagedTensorVersioned};
use dlpark::python::{DlpackExporter, ExportRequest, export_dlpack};
use dlpark::{DlpackFlags, Managed, ManagedTensorBase, metadata};
use genset::load::Images;
use genset::recipe::Dtype;
use ndarray::Array3;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// What the memory is part of, and is given back with when nobody has it any more.
#[derive(Debug)]
enum Owner {
    /// A buffer of a loader's pool.
    Images(Images),
    /// `[B]`.
    Numbers(Vec<i64>),
    /// `[B, V, Z]`.
    Latents(Array3<f32>),
}

/// An array in the memory of genset, on the CPU, contiguous.
///
/// Any library that speaks DLPack takes it without a copy: `numpy.from_dlpack(tensor)`,
/// `torch.from_dlpack(tensor)`, `jax.dlpack.from_dlpack(tensor)`. The memory lives as long as the array
/// made of it.
#[pyclass(frozen, module = "genset")]
#[derive(Debug)]
pub(crate) struct Tensor {
    owner: Arc<Owner>,
    dtype: DLDataType,
    shape: Vec<i64>,
}

impl Tensor {
    pub(crate) fn images(images: Images) -> Self {
        let dtype = match images.dtype() {
            Dtype::U8 => DLDataType::U8,
            Dtype::F16 => DLDataType::F16,
            Dtype::F32 => DLDataType::F32,
        };
        let shape = images.shape().map(dimension).to_vec();
        Self { owner: Arc::new(Owner::Images(images)), dtype, shape }
    }

    pub(crate) fn numbers(numbers: Vec<i64>) -> Self {
        let shape = vec![dimension(numbers.len())];
        Self { owner: Arc::new(Owner::Numbers(numbers)), dtype: DLDataType::I64, shape }
    }

    pub(crate) fn latents(latents: Array3<f32>) -> Self {
        let shape = latents.shape().iter().copied().map(dimension).collect();
        Self { owner: Arc::new(Owner::Latents(latents)), dtype: DLDataType::F32, shape }
    }

    fn data(&self) -> *mut c_void {
        let data = match &*self.owner {
            Owner::Images(images) => images.bytes().as_ptr().cast(),
            Owner::Numbers(numbers) => numbers.as_ptr().cast(),
            Owner::Latents(latents) => latents.as_ptr().cast::<c_void>(),
        };
        data.cast_mut()
    }

    fn exported<M: ManagedTensorBase>(&self) -> PyResult<Managed<M>> {
        let wrong = |error: &dyn std::fmt::Display| PyValueError::new_err(error.to_string());
        let prepared = metadata::Dynamic::compact(&self.shape[..])
            .prepare_as::<M>()
            .map_err(|error| wrong(&error))?;
        let mut tensor = prepared.initialize(Box::new(Arc::clone(&self.owner)));
        tensor.set_data(self.data()).set_dtype(self.dtype).set_device(DLDevice::CPU);
        tensor.set_flags(self.flags()).map_err(|error| wrong(&error))?;
        // SAFETY: the memory belongs to `owner`, which the tensor keeps, is as large as its shape says,
        // and does not move. Where it may not be written to, the flags say so.
        Ok(unsafe { tensor.finish() })
    }
}

fn dimension(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

impl DlpackExporter for Tensor {
    fn device(&self) -> DLDevice {
        DLDevice::CPU
    }

    fn flags(&self) -> DlpackFlags {
        match &*self.owner {
            Owner::Images(images) if images.is_mapped() => DlpackFlags::READ_ONLY,
            _ => DlpackFlags::empty(),
        }
    }

    fn prepare_export(&self, _: Python<'_>, _: &ExportRequest<'_>) -> PyResult<()> {
        Ok(())
    }

    fn export_legacy(&self, _: Python<'_>) -> PyResult<Managed<DLManagedTensor>> {
        self.exported()
    }

    fn export_versioned(&self, _: Python<'_>) -> PyResult<Managed<DLManagedTensorVersioned>> {
        self.exported()
    }
}

#[pymethods]
impl Tensor {
    /// The DLPack capsule.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(u32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        let request = ExportRequest::parse(stream.as_ref(), max_version, dl_device, copy)?;
        export_dlpack(self, py, request)
    }

    /// The device type and number, as DLPack numbers them.
    fn __dlpack_device__(&self) -> (u32, i32) {
        (DLDeviceType::CPU.0, 0)
    }

    /// The size of each dimension.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// The address of the first element.
    #[getter]
    fn data_ptr(&self) -> usize {
        self.data().addr()
    }

    fn __repr__(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(i64::to_string).collect();
        format!("genset.Tensor([{}])", sizes.join(", "))
    }
}
