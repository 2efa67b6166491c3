//! A batch as Python gets it.

use genset::load::{Batch as Delivered, Parts};
use pyo3::prelude::*;

use crate::tensor::Tensor;

/// Samples of a dataset with all their views, in the memory of genset.
///
/// `genset.Batch` holds one and gives its arrays in the form that was asked for.
#[pyclass(frozen, module = "genset._genset", name = "Batch", get_all)]
#[derive(Debug)]
pub(crate) struct Batch {
    /// The name and the images of each group of views: `[B, V, C, H, W]`, or `[B, V, H, W, C]` if the
    /// recipe delivers that layout.
    groups: Vec<(String, Py<Tensor>)>,
    /// The classes, `[B]`; `None` if the dataset has none.
    labels: Option<Py<Tensor>>,
    /// The latent of each view, `[B, V, Z]`, if they were asked for.
    latents: Option<Py<Tensor>>,
    /// The index of each sample, `[B]`.
    index: Py<Tensor>,
    /// The pass over the dataset.
    epoch: u64,
}

impl Batch {
    pub(crate) fn new(py: Python<'_>, batch: Delivered) -> PyResult<Self> {
        let Parts { index, epoch, groups, labels, latents } = batch.into_parts();
        // Samples are fewer than 2^63.
        let index = index.iter().map(|index| i64::try_from(index).unwrap_or(i64::MAX)).collect();
        let groups = groups
            .into_iter()
            .map(|images| Ok((images.name().to_owned(), Py::new(py, Tensor::images(images))?)));
        Ok(Self {
            groups: groups.collect::<PyResult<_>>()?,
            labels: labels.map(|labels| Py::new(py, Tensor::numbers(labels))).transpose()?,
            latents: latents.map(|latents| Py::new(py, Tensor::latents(latents))).transpose()?,
            index: Py::new(py, Tensor::numbers(index))?,
            epoch,
        })
    }
}
