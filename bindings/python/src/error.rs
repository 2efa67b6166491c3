//! Errors as Python raises them.

use genset::{Error, Kind};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// The class of `genset.errors` for a kind of error.
fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Recipe => "RecipeError",
        Kind::Model => "ModelError",
        Kind::Runtime => "OnnxRuntimeError",
        Kind::Provider => "ProviderError",
        Kind::Sample => "SampleError",
        Kind::Limit => "LimitError",
        Kind::Io => "FileError",
        Kind::Worker => "WorkerError",
        Kind::Argument => "ArgumentError",
        Kind::State => "StateError",
        _ => "Error",
    }
}

/// An error of the library as an exception of `genset.errors`.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    if error.is_interrupted() {
        return PyKeyboardInterrupt::new_err(());
    }
    exception(py, error).unwrap_or_else(|failed| failed)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || py.import("genset.errors").map(Bound::unbind))?;
    let class = module.bind(py).getattr(class(error.kind()))?.cast_into::<PyType>()?;
    let value = class.call1((error.to_string(), error.sample(), error.advice()))?;
    Ok(PyErr::from_value(value))
}

/// Turns results of the library into those of Python.
pub(crate) trait Raise<T> {
    fn raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> Raise<T> for genset::Result<T> {
    fn raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raised(py, &error))
    }
}
