//! The native part of the Python package `genset`: datasets, loaders and what verbs do, for Python.
//!
//! Data flows as in the library: settings from Python become a dataset, a loader hands out batches, and
//! their memory goes to array libraries by DLPack. Everything that Python users see around it, and what is
//! of PyTorch, is in `python/genset`.

mod batch;
mod dataset;
mod error;
mod loader;
mod per_process;
mod settings;
mod shared_blocks;
mod signals;
mod tensor;
mod verbs;

use pyo3::prelude::*;

/// The native part of `genset`.
#[pymodule]
mod _genset {
    use super::*;

    #[pymodule_export]
    use batch::Batch;
    #[pymodule_export]
    use dataset::Dataset;
    #[pymodule_export]
    use loader::Loader;
    #[pymodule_export]
    use tensor::Tensor;
    #[pymodule_export]
    use verbs::{
        audit, audit_attributes, benchmark, export, inspect, inspect_precision, inspect_providers,
        inspect_rewrites, install, make_encoder, probe, train, verify,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
