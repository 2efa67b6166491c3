//! Execution providers by name, strictly: one that was asked for runs or is an error.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::package::Package;
use super::{Runtime, install, library, nvidia, plugin};
use crate::error::{Error, Kind, Result};

/// Where a generator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime's own CPU kernels. Always there.
    #[default]
    Cpu,
    /// Processors through OpenVINO.
    OpenVino,
    /// NVIDIA GPUs through CUDA and cuDNN.
    Cuda,
    /// NVIDIA GPUs through TensorRT.
    TensorRt,
    /// NVIDIA RTX GPUs through TensorRT-RTX.
    TensorRtRtx,
    /// Arm processors through the Arm Compute Library.
    Acl,
    /// Arm processors through Arm NN.
    ArmNn,
    /// Huawei Ascend.
    Cann,
    /// Apple hardware.
    CoreMl,
    /// GPUs through DirectX 12.
    DirectMl,
    /// AMD GPUs through MIGraphX.
    MiGraphX,
    /// Android accelerators.
    Nnapi,
    /// Processors through oneDNN.
    OneDnn,
    /// Qualcomm accelerators.
    Qnn,
    /// Rockchip accelerators.
    RkNpu,
    /// AMD GPUs through ROCm.
    Rocm,
    /// Apache TVM.
    Tvm,
    /// AMD accelerators through Vitis AI.
    Vitis,
    /// VeriSilicon accelerators.
    VsiNpu,
    /// GPUs through WebGPU.
    WebGpu,
    /// Processors through XNNPACK.
    Xnnpack,
}

impl Provider {
    /// Every provider with the name it has on the command line.
    pub const ALL: [(&'static str, Self); 21] = [
        ("cpu", Self::Cpu),
        ("openvino", Self::OpenVino),
        ("cuda", Self::Cuda),
        ("tensorrt", Self::TensorRt),
        ("tensorrt-rtx", Self::TensorRtRtx),
        ("acl", Self::Acl),
        ("armnn", Self::ArmNn),
        ("cann", Self::Cann),
        ("coreml", Self::CoreMl),
        ("directml", Self::DirectMl),
        ("migraphx", Self::MiGraphX),
        ("nnapi", Self::Nnapi),
        ("onednn", Self::OneDnn),
        ("qnn", Self::Qnn),
        ("rknpu", Self::RkNpu),
        ("rocm", Self::Rocm),
        ("tvm", Self::Tvm),
        ("vitis", Self::Vitis),
        ("vsinpu", Self::VsiNpu),
        ("webgpu", Self::WebGpu),
        ("xnnpack", Self::Xnnpack),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, other)| *other == self).map_or("?", |(name, _)| name)
    }

    /// Whether it computes on the processor, so that its threads share the cores with everything
    /// else; the others compute on a device.
    #[must_use]
    pub fn is_on_cpu(self) -> bool {
        matches!(
            self,
            Self::Cpu | Self::OpenVino | Self::Acl | Self::ArmNn | Self::OneDnn | Self::Xnnpack
        )
    }

    /// The name that [`Runtime::providers`] gives it.
    pub(super) fn reported(self) -> &'static str {
        match self {
            Self::DirectMl => "dml",
            Self::OneDnn => "dnnl",
            Self::TensorRtRtx => "nvtensorrtrtx",
            Self::Vitis => "vitisai",
            other => other.name(),
        }
    }

    /// What `genset runtime install` fetches for it on this machine, if anything.
    #[must_use]
    pub fn package(self) -> Option<Package> {
        match self {
            Self::Cpu => Some(Package::OnnxRuntime),
            Self::OpenVino => Some(Package::openvino()),
            Self::Cuda | Self::TensorRt => Some(Package::Cuda),
            Self::TensorRtRtx => Some(Package::TensorRtRtx),
            _ => None,
        }
    }

    /// Whether it has a package that is more than the ONNX Runtime which everyone has.
    pub(super) fn is_packaged(self) -> bool {
        self.package().is_some_and(|package| package != Package::OnnxRuntime)
    }

    /// The whole ONNX Runtime that it comes with, if it is neither in every build nor a plugin.
    pub(super) fn build(self) -> Option<Package> {
        self.package().filter(|package| self.is_packaged() && package.plugin().is_none())
    }

    /// Whether the ONNX Runtime at `library`, which is not loaded yet, can have this provider.
    ///
    /// Those that come with a build of their own are files beside the library. The others are
    /// asked for when it is open.
    pub(super) fn may_be_in(self, library: &Path) -> bool {
        let file = library::file_name(&format!("onnxruntime_providers_{}", self.reported()));
        self.build().is_none() || library.with_file_name(file).exists()
    }

    /// Fails unless this provider is there and has a device to run on.
    pub(super) fn require(self, runtime: &Runtime) -> Result<()> {
        let there = runtime.providers()?;
        if !there.iter().any(|name| name == self.reported()) {
            self.require_plugin(runtime, &there)?;
        }
        match self {
            Self::Cuda | Self::TensorRt | Self::TensorRtRtx => nvidia::driver(self).map(drop),
            _ => Ok(()),
        }
    }

    fn require_plugin(self, runtime: &Runtime, there: &[String]) -> Result<()> {
        let plugin = self.package().filter(|package| package.plugin().is_some());
        let Some(package) = plugin else { return Err(self.absent(runtime, there)) };
        if install::installed(package).is_none() {
            return Err(self.absent(runtime, there));
        }
        if self == Self::TensorRtRtx {
            nvidia::driver(self)?;
        }
        if plugin::devices(runtime, self)?.is_empty() {
            let message = format!("provider `{self}`: {package} offers no device on this machine");
            return Err(Error::new(Kind::Provider, message).help("use --provider cpu"));
        }
        Ok(())
    }

    fn absent(self, runtime: &Runtime, there: &[String]) -> Error {
        let message = format!(
            "provider `{self}` is not in ONNX Runtime {} ({}), which has: {}",
            runtime.version(),
            runtime.path().display(),
            there.join(", ")
        );
        let help = match self.build() {
            Some(package) if install::installed(package).is_some() => {
                format!(
                    "{package} is installed and has it; one process holds one ONNX Runtime, so \
                     let it be opened first: name no other by --ort, GENSET_ORT or ORT_DYLIB_PATH"
                )
            }
            _ => self.how_to_get(),
        };
        Error::new(Kind::Provider, message).help(help)
    }

    /// The command that installs it, or what to do where there is none.
    pub(super) fn how_to_get(self) -> String {
        match self.package() {
            Some(package) => format!(
                "`genset runtime install {}` fetches it; or use --provider cpu",
                package.asked()
            ),
            None => "point --ort or GENSET_ORT at a build of ONNX Runtime that has it, or use \
                     --provider cpu"
                .into(),
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

    #[test]
    fn a_provider_with_a_build_of_its_own_is_a_file_beside_the_library() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join(library::file_name("onnxruntime"));
        assert!(Provider::Cpu.may_be_in(&library) && Provider::CoreMl.may_be_in(&library));
        assert!(!Provider::TensorRt.may_be_in(&library));
        let file = library::file_name("onnxruntime_providers_tensorrt");
        std::fs::write(folder.path().join(file), "").unwrap();
        assert!(Provider::TensorRt.may_be_in(&library));
    }
}
