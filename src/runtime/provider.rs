//! Execution providers by name, strictly: one that was asked for runs or is an error.

use std::fmt;
use std::str::FromStr;

use super::Runtime;
use crate::error::{Error, Kind, Result};

/// Where a generator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime's own CPU kernels. Always there.
    #[default]
    Cpu,
    /// NVIDIA GPUs through CUDA and cuDNN.
    Cuda,
    /// NVIDIA GPUs through TensorRT.
    TensorRt,
}

impl Provider {
    /// Every provider with the name it has on the command line.
    pub const ALL: [(&'static str, Self); 3] =
        [("cpu", Self::Cpu), ("cuda", Self::Cuda), ("tensorrt", Self::TensorRt)];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, other)| *other == self).map_or("?", |(name, _)| name)
    }

    /// Fails unless the loaded ONNX Runtime was built with this provider.
    pub(super) fn require(self, runtime: &Runtime) -> Result<()> {
        let there = runtime.providers()?;
        if there.iter().any(|name| name == self.name()) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Provider,
            format!(
                "provider `{self}` is not in ONNX Runtime {} ({}), which has: {}",
                runtime.version(),
                runtime.path().display(),
                there.join(", ")
            ),
        )
        .help(
            "point --ort or GENSET_ORT at a build that has it (the Python package \
             onnxruntime-gpu has cuda and tensorrt), or use --provider cpu",
        ))
    }

    /// The `ort` registration, or `None` for the CPU, which is always registered last.
    pub(super) fn dispatch(self) -> Option<ort::ep::ExecutionProviderDispatch> {
        // Without `error_on_failure` a provider that cannot start is replaced by the CPU in
        // silence.
        match self {
            Self::Cpu => None,
            Self::Cuda => Some(ort::ep::CUDA::default().build().error_on_failure()),
            Self::TensorRt => Some(ort::ep::TensorRT::default().build().error_on_failure()),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Provider {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, provider)| *provider).ok_or_else(|| {
            Error::new(Kind::Provider, format!("unknown provider `{text}`"))
                .help(format!("known: {}", Self::ALL.map(|(name, _)| name).join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_unknown_ones_list_the_known() {
        for (name, provider) in Provider::ALL {
            assert_eq!(name.parse::<Provider>().unwrap(), provider);
        }
        let error = "cdua".parse::<Provider>().unwrap_err().to_string();
        assert!(error.contains("unknown provider `cdua`") && error.contains("tensorrt"), "{error}");
    }
}
