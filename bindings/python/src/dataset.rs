//! Random access from Python.

use std::path::PathBuf;

use genset::load::GroupForm;
use genset::recipe::Notes;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::batch::Batch;
use crate::error::Raise;
use crate::loader::{Loader, LoaderSettings, of_part};
use crate::per_process::PerProcess;
use crate::settings::{Engine, Spec};
use crate::shared_blocks::{SharedBlocks, SharedMemory};
use crate::signals::interruptible;

/// A dataset in the memory of this process: what `genset.Dataset` is made of.
#[pyclass(frozen, module = "genset._genset", name = "Dataset")]
#[derive(Debug)]
pub(crate) struct Dataset {
    spec: Spec,
    opened: PerProcess<genset::Dataset>,
}

impl Dataset {
    /// The dataset of this process.
    pub(crate) fn opened(&self) -> genset::Result<&genset::Dataset> {
        self.opened.get_or_make(|| self.spec.open())
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }
}

#[pymethods]
impl Dataset {
    #[new]
    fn new(
        py: Python<'_>,
        recipe: &Bound<'_, PyAny>,
        settings: &Bound<'_, PyDict>,
        folder: PathBuf,
        engine: Engine,
    ) -> PyResult<Self> {
        let options = engine.options().raise(py)?;
        let spec = Spec::new(recipe, settings, folder, options)?;
        let opened = interruptible(py, |_| spec.open())?;
        Ok(Self { spec, opened: PerProcess::new(opened) })
    }

    /// Its name, for people.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.opened().raise(py)?.name().to_owned())
    }

    /// Its identity: BLAKE3 of recipe and model, as 64 hexadecimal digits.
    #[getter]
    fn digest(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.opened().raise(py)?.digest().to_string())
    }

    /// How many samples it has; `None` if there is no end.
    #[getter]
    fn samples(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        Ok(self.opened().raise(py)?.len())
    }

    /// The first index. 0 unless shards of a part were opened.
    #[getter]
    fn first(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.opened().raise(py)?.range().start)
    }

    /// The name and shape of the images of a sample, for each group of views: `[V, C, H, W]`, or
    /// `[V, H, W, C]` if the recipe delivers that layout.
    #[getter]
    fn shapes(&self, py: Python<'_>) -> PyResult<Vec<(String, [usize; 4])>> {
        let forms = self.opened().raise(py)?.forms();
        Ok(forms
            .into_iter()
            .map(|group| {
                let [a, b, c] = group.form.axes();
                (group.name, [group.views, a, b, c])
            })
            .collect())
    }

    /// Names of the classes, in the order of labels; empty if they have none.
    #[getter]
    fn classes(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.opened().raise(py)?.classes().to_vec())
    }

    /// Whether samples have labels.
    #[getter]
    fn has_labels(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.opened().raise(py)?.has_labels())
    }

    /// Whether its images are read, not generated.
    #[getter]
    fn is_stored(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.opened().raise(py)?.is_stored())
    }

    /// The recipe as TOML, with everything filled in; `None` for stored images.
    #[getter]
    fn recipe(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let dataset = self.opened().raise(py)?;
        let generated = dataset.generated().ok();
        Ok(generated.map(|generated| generated.recipe().to_toml(&Notes::default())))
    }

    /// Everything that is drawn for sample `index` in `epoch`, without making its images.
    fn plan<'py>(&self, py: Python<'py>, index: u64, epoch: u64) -> PyResult<Bound<'py, PyAny>> {
        let plan = self.opened().raise(py)?.plan_in_epoch(index, epoch).raise(py)?;
        Ok(pythonize::pythonize(py, &plan)?)
    }

    /// The samples `indices` in `epoch`, as one batch, out of memory that processes share if there is any.
    #[pyo3(signature = (indices, epoch, shared=None))]
    fn gather(
        &self,
        py: Python<'_>,
        indices: Vec<u64>,
        epoch: u64,
        shared: Option<SharedMemory>,
    ) -> PyResult<Batch> {
        let gather = || {
            let dataset = self.opened()?;
            let blocks = shared.as_ref().map(|memory| SharedBlocks::new(memory, dataset));
            let blocks = blocks.transpose()?;
            dataset.gather_with(&indices, epoch, blocks.as_ref().map(|blocks| blocks as _))
        };
        let batch = py.detach(gather).raise(py)?;
        Batch::new(py, batch)
    }

    /// Samples of a block, and bytes of a sample in each group of views.
    fn block(&self, py: Python<'_>) -> PyResult<(u32, Vec<usize>)> {
        let dataset = self.opened().raise(py)?;
        let bytes = |form: GroupForm| Ok(form.views * form.form.image_bytes()?);
        let bytes: genset::Result<_> = dataset.forms().into_iter().map(bytes).collect();
        Ok((dataset.block(), bytes.raise(py)?))
    }

    /// Batches, and samples in all, of a whole pass of a loader, for its part of its rank.
    fn count(
        &self,
        py: Python<'_>,
        batch: usize,
        drop_last: bool,
        rank: Option<(u64, u64)>,
        part: (u64, u64),
        range: Option<(u64, u64)>,
    ) -> PyResult<(u64, u64)> {
        let builder = self.opened().raise(py)?.loader().batch(batch).drop_last(drop_last);
        let builder = of_part(builder, rank, part, range);
        Ok((builder.batches().raise(py)?, builder.samples().raise(py)?))
    }

    /// A loader over it.
    fn loader(slf: &Bound<'_, Self>, settings: LoaderSettings) -> PyResult<Loader> {
        Loader::new(slf.py(), slf.clone().unbind(), settings)
    }
}
