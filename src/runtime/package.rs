//! What can be installed: a name, and for each machine one pinned wheel.
//!
//! A wheel is pinned by version, platform and SHA-256, so an installation is the same bytes for
//! everyone, whichever index or mirror pip was told to use. The wheels themselves are listed in
//! [`pins`](super::pins).

use std::env::consts;
use std::fmt;

use super::pins::{self, Pin};
use super::processor;
use crate::{Error, Kind, Result};

/// Something that `genset runtime install` can fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Package {
    /// ONNX Runtime with its CPU provider.
    #[default]
    OnnxRuntime,
    /// A whole ONNX Runtime with the OpenVINO provider inside, for processors of other makers.
    OpenVino,
    /// The OpenVINO provider as a plugin, which offers devices by Intel alone.
    OpenVinoPlugin,
    /// A whole ONNX Runtime with the CUDA and TensorRT providers.
    Cuda,
    /// The TensorRT-RTX provider as a plugin.
    TensorRtRtx,
}

/// What is known about a package.
struct Row {
    package: Package,
    /// What `genset runtime install` calls it; two packages share one where the machine decides.
    asked: &'static str,
    /// What pip calls it.
    name: &'static str,
    version: &'static str,
    about: &'static str,
    pins: &'static [Pin],
    /// The folder of the wheel that holds the libraries.
    libraries: &'static str,
    /// How the names of wanted libraries begin, after `lib`; empty for all of the folder.
    wanted: &'static [&'static str],
    /// Copies of a library under another name, which nothing loads.
    copies: &'static [&'static str],
    /// The plugin's main library; `None` for a whole ONNX Runtime.
    plugin: Option<&'static str>,
}

const CAPI: &str = "onnxruntime/capi/";

const ROWS: [Row; 5] = [
    Row {
        package: Package::OnnxRuntime,
        asked: "onnxruntime",
        name: "onnxruntime",
        version: pins::ONNXRUNTIME_VERSION,
        about: "ONNX Runtime with its CPU provider",
        pins: &pins::ONNXRUNTIME,
        libraries: CAPI,
        wanted: &["onnxruntime"],
        copies: &[],
        plugin: None,
    },
    Row {
        package: Package::OpenVino,
        asked: "openvino",
        name: "onnxruntime-openvino",
        version: pins::OPENVINO_VERSION,
        about: "ONNX Runtime with the OpenVINO provider",
        pins: &pins::OPENVINO,
        libraries: CAPI,
        wanted: &["onnxruntime", "openvino", "tbb"],
        copies: &[
            "libopenvino.so",
            "libopenvino.so.2025.4.1",
            "libopenvino_c.so",
            "libopenvino_c.so.2025.4.1",
            "libopenvino_c.so.2541",
            "libopenvino_onnx_frontend.so",
            "libopenvino_onnx_frontend.so.2025.4.1",
            "libtbb.so",
        ],
        plugin: None,
    },
    Row {
        package: Package::OpenVinoPlugin,
        asked: "openvino",
        name: "onnxruntime-ep-openvino",
        version: pins::OPENVINO_PLUGIN_VERSION,
        about: "the OpenVINO provider as a plugin of ONNX Runtime",
        pins: &pins::OPENVINO_PLUGIN,
        libraries: "onnxruntime_ep_openvino/",
        wanted: &[""],
        copies: &[
            "libonnxruntime_providers_openvino_plugin.so.1",
            "libonnxruntime_providers_openvino_plugin.so.1.8.1",
        ],
        plugin: Some("onnxruntime_providers_openvino_plugin"),
    },
    Row {
        package: Package::Cuda,
        asked: "cuda",
        name: "onnxruntime-gpu",
        version: pins::ONNXRUNTIME_VERSION,
        about: "ONNX Runtime with the CUDA and TensorRT providers",
        pins: &pins::CUDA,
        libraries: CAPI,
        wanted: &["onnxruntime"],
        copies: &[],
        plugin: None,
    },
    Row {
        package: Package::TensorRtRtx,
        asked: "tensorrt-rtx",
        name: "onnxruntime-ep-nv-tensorrt-rtx-cu13",
        version: pins::TENSORRT_RTX_VERSION,
        about: "the TensorRT-RTX provider as a plugin of ONNX Runtime",
        pins: &pins::TENSORRT_RTX,
        libraries: "onnxruntime_ep_nv_tensorrt_rtx/",
        wanted: &[""],
        copies: &[],
        plugin: Some("onnxruntime_providers_nv_tensorrt_rtx"),
    },
];

impl Package {
    /// Everything that can be installed, on this machine or another.
    pub const ALL: [Self; 5] = {
        let mut all = [Self::OnnxRuntime; ROWS.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = ROWS[i].package;
            i += 1;
        }
        all
    };

    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.package == self).unwrap_or(&ROWS[0])
    }

    /// The name by which `genset runtime install` is asked for it.
    #[must_use]
    pub fn asked(self) -> &'static str {
        self.row().asked
    }

    /// What pip calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The pinned version.
    #[must_use]
    pub fn version(self) -> &'static str {
        self.row().version
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.row().about
    }

    /// What can be asked for here, each name once.
    #[must_use]
    pub fn choices() -> Vec<Self> {
        Self::ALL.into_iter().filter(|package| package.is_for_here()).collect()
    }

    /// The package called `name`, as it is for this machine.
    ///
    /// # Errors
    /// [`Kind::Argument`] for an unknown name; the message lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        let choices = Self::choices();
        choices.iter().copied().find(|package| package.asked() == name).ok_or_else(|| {
            let known: Vec<_> = choices.iter().map(|package| package.asked()).collect();
            Error::new(Kind::Argument, format!("there is no runtime package `{name}`"))
                .help(format!("what can be installed: {}", known.join(", ")))
        })
    }

    /// The package with the OpenVINO provider for this machine.
    ///
    /// The plugin offers devices by Intel alone, processors included; the whole build runs on any
    /// x86-64 processor.
    pub(super) fn openvino() -> Self {
        if processor::is_intel() { Self::OpenVinoPlugin } else { Self::OpenVino }
    }

    fn is_for_here(self) -> bool {
        match self {
            Self::OpenVino | Self::OpenVinoPlugin => self == Self::openvino(),
            _ => true,
        }
    }

    /// The main library of a plugin, without `lib` and suffix; `None` for a whole ONNX Runtime.
    pub(super) fn plugin(self) -> Option<&'static str> {
        self.row().plugin
    }

    /// The wheel for this machine.
    pub(super) fn pin(self) -> Result<&'static Pin> {
        let pins = self.row().pins;
        let here = |pin: &&Pin| {
            pin.os == consts::OS && pin.arch == consts::ARCH && !cfg!(target_env = "musl")
        };
        pins.iter().find(here).ok_or_else(|| {
            let machine = format!("{} on {}", consts::OS, consts::ARCH);
            let libc = if cfg!(target_env = "musl") { " with musl" } else { "" };
            Error::new(Kind::Runtime, format!("no {self} is pinned for {machine}{libc}"))
                .help("build or fetch one, and set GENSET_ORT to its libonnxruntime")
        })
    }

    /// Whether there is a wheel for this machine.
    #[must_use]
    pub fn is_pinned(self) -> bool {
        self.pin().is_ok()
    }

    /// The name of its folder in the cache.
    pub(super) fn folder(self) -> String {
        format!("{}-{}-{}-{}", self.name(), self.version(), consts::ARCH, consts::OS)
    }

    /// Under which name a member of the wheel is unpacked; `None` if it is not wanted.
    pub(super) fn wanted(self, member: &str) -> Option<&str> {
        let row = self.row();
        let name = match member.strip_prefix(row.libraries) {
            Some(name) if is_library(name) => {
                let bare = name.strip_prefix("lib").unwrap_or(name);
                let is_wanted = row.wanted.iter().any(|wanted| bare.starts_with(wanted));
                // The Python binding is a library too, of no use without Python.
                let is_binding = name.contains("pybind");
                let is_copy = row.copies.contains(&name);
                (is_wanted && !is_binding && !is_copy).then_some(name)?
            }
            _ => {
                let (folder, name) = member.split_once('/')?;
                let beside = row.libraries.starts_with(&format!("{folder}/"));
                // Newer wheels keep licences with their own description.
                let name = match name.strip_prefix("licenses/") {
                    Some(name) if folder.ends_with(".dist-info") => name,
                    None if beside => name,
                    _ => return None,
                };
                is_licence(name).then_some(name)?
            }
        };
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            .then_some(name)
    }
}

fn is_library(name: &str) -> bool {
    name.contains(".so") || name.ends_with(".dylib") || name.ends_with(".dll")
}

fn is_licence(name: &str) -> bool {
    let upper = name.to_uppercase();
    !name.ends_with(".py")
        && ["LICENSE", "THIRDPARTYNOTICES", "THIRD-PARTY", "ACKNOWLEDGEMENTS"]
            .iter()
            .any(|start| upper.starts_with(start))
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_whole_and_says_its_own_version_and_platform() {
        for row in &ROWS {
            let distribution = row.name.replace('-', "_");
            for pin in row.pins {
                let start = format!("{distribution}-{}-", row.version);
                let tags = pin.wheel.strip_prefix(&start).expect(pin.wheel);
                let of_python = format!("{}-{}", pins::PYTHON_ABI, pins::PYTHON_ABI);
                let of_none = "py3-none";
                assert!(
                    tags == format!("{of_python}-{}.whl", pin.platform)
                        || tags == format!("{of_none}-{}.whl", pin.platform),
                    "{tags}"
                );
                assert_eq!(pin.sha256.len(), 64);
                assert!(pin.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(Package::named("onnxruntime").unwrap(), Package::OnnxRuntime);
        assert_eq!(Package::named("openvino").unwrap(), Package::openvino());
        let error = Package::named("onnx").unwrap_err().to_string();
        assert!(error.contains("onnxruntime, openvino, cuda, tensorrt-rtx"), "{error}");
    }

    #[test]
    fn only_libraries_and_licences_are_taken_from_a_wheel() {
        let taken = [
            ("onnxruntime/capi/libonnxruntime.so.1.31.1", "libonnxruntime.so.1.31.1"),
            ("onnxruntime/capi/libonnxruntime.1.31.1.dylib", "libonnxruntime.1.31.1.dylib"),
            ("onnxruntime/capi/onnxruntime.dll", "onnxruntime.dll"),
            (
                "onnxruntime/capi/libonnxruntime_providers_shared.so",
                "libonnxruntime_providers_shared.so",
            ),
            ("onnxruntime/LICENSE", "LICENSE"),
            ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt"),
        ];
        for (member, name) in taken {
            assert_eq!(Package::OnnxRuntime.wanted(member), Some(name));
        }
        for member in [
            "onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so",
            "onnxruntime/capi/libopenvino.so.2541",
            "onnxruntime/capi/libonnxruntime/../../../etc/x.so",
            "onnxruntime/capi/libonnxruntime\\..\\x.dll",
            "onnxruntime/../LICENSE",
            "/etc/libonnxruntime.so",
            "onnxruntime/__init__.py",
        ] {
            assert_eq!(Package::OnnxRuntime.wanted(member), None, "{member}");
        }
    }

    #[test]
    fn openvino_comes_with_its_own_libraries_once_each() {
        let whole = |name: &str| Package::OpenVino.wanted(name).map(str::to_owned);
        for name in ["libopenvino.so.2541", "libtbb.so.12", "libopenvino_intel_cpu_plugin.so"] {
            assert_eq!(whole(&format!("{CAPI}{name}")).as_deref(), Some(name));
        }
        assert_eq!(whole("onnxruntime/capi/libopenvino.so"), None);
        let plugin = |name: &str| Package::OpenVinoPlugin.wanted(name).map(str::to_owned);
        let main = "libonnxruntime_providers_openvino_plugin.so";
        assert_eq!(plugin(&format!("onnxruntime_ep_openvino/{main}")).as_deref(), Some(main));
        assert_eq!(plugin(&format!("onnxruntime_ep_openvino/{main}.1")), None);
        assert_eq!(
            plugin("onnxruntime_ep_openvino/libhwloc.so.15").as_deref(),
            Some("libhwloc.so.15")
        );
        assert_eq!(
            plugin("onnxruntime_ep_openvino/third-party-programs.txt").as_deref(),
            Some("third-party-programs.txt")
        );
        assert_eq!(plugin("onnxruntime_ep_openvino/cache.json"), None);
    }
}
