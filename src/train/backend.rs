//! Which of the two ways a training makes its steps.

use std::path::PathBuf;

/// What makes the steps of a training.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// The step graph, an ordinary ONNX model, on the ONNX Runtime and the providers that everything
    /// else runs on.
    #[default]
    StepGraph,
    /// ONNX Runtime's training API, as it was until 1.19.2: on the CPU, in a Python that has it.
    OrtTraining {
        /// A Python with the packages of `onnx/requirements-training.txt`; `None`: the active one.
        python: Option<PathBuf>,
    },
}

impl Backend {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StepGraph => "step-graph",
            Self::OrtTraining { .. } => "ort-training",
        }
    }
}
