//! What can be installed: a name, and for each machine one pinned wheel.
//!
//! A wheel is pinned by version, platform and SHA-256, so an installation is the same bytes for
//! everyone, whichever index or mirror pip was told to use.

use std::env::consts;
use std::fmt;

use crate::{Error, Kind, Result};

/// Something that `genset runtime install` can fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Package {
    /// ONNX Runtime with its CPU provider.
    #[default]
    OnnxRuntime,
}

/// One wheel of a package, for one machine.
#[derive(Debug)]
pub(super) struct Pin {
    os: &'static str,
    arch: &'static str,
    /// What pip calls the machine.
    pub(super) platform: &'static str,
    pub(super) wheel: &'static str,
    pub(super) sha256: &'static str,
}

/// The wheels are built for one Python, yet hold libraries that need none: any Python's pip can
/// fetch them when it is told these tags.
pub(super) const PYTHON_VERSION: &str = "3.11";
/// See [`PYTHON_VERSION`].
pub(super) const PYTHON_ABI: &str = "cp311";

const ONNXRUNTIME_VERSION: &str = "1.31.1";

const ONNXRUNTIME: [Pin; 4] = [
    Pin {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        wheel: "onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
    },
    Pin {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        wheel: "onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_aarch64.whl",
        sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
    },
    Pin {
        os: "macos",
        arch: "aarch64",
        platform: "macosx_14_0_arm64",
        wheel: "onnxruntime-1.31.1-cp311-cp311-macosx_14_0_arm64.whl",
        sha256: "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
    },
    Pin {
        os: "windows",
        arch: "x86_64",
        platform: "win_amd64",
        wheel: "onnxruntime-1.31.1-cp311-cp311-win_amd64.whl",
        sha256: "c3d91b5de31e2fc82d71bd65b2b22bddee8b49057a3a36338e9a868e0ea90c05",
    },
];

impl Package {
    /// Everything that can be installed.
    pub const ALL: &'static [Self] = &[Self::OnnxRuntime];

    /// The name by which it is asked for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "onnxruntime",
        }
    }

    /// The pinned version.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::OnnxRuntime => ONNXRUNTIME_VERSION,
        }
    }

    /// The package called `name`.
    ///
    /// # Errors
    /// [`Kind::Argument`] for an unknown name; the message lists the known ones.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|package| package.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|package| package.name()).collect();
            Error::new(Kind::Argument, format!("there is no runtime package `{name}`"))
                .help(format!("what can be installed: {}", known.join(", ")))
        })
    }

    /// The wheel for this machine.
    pub(super) fn pin(self) -> Result<&'static Pin> {
        let Self::OnnxRuntime = self;
        ONNXRUNTIME
            .iter()
            .find(|pin| {
                pin.os == consts::OS && pin.arch == consts::ARCH && !cfg!(target_env = "musl")
            })
            .ok_or_else(|| {
                let machine = format!("{} on {}", consts::OS, consts::ARCH);
                let libc = if cfg!(target_env = "musl") { " with musl" } else { "" };
                Error::new(Kind::Runtime, format!("no {self} is pinned for {machine}{libc}"))
                    .help("build or fetch one, and set GENSET_ORT to its libonnxruntime")
            })
    }

    /// The name of its folder in the cache.
    pub(super) fn folder(self) -> String {
        format!("{}-{}-{}-{}", self.name(), self.version(), consts::ARCH, consts::OS)
    }
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
        for pin in &ONNXRUNTIME {
            let tag = format!("onnxruntime-{ONNXRUNTIME_VERSION}-{PYTHON_ABI}-{PYTHON_ABI}-");
            assert_eq!(pin.wheel, format!("{tag}{}.whl", pin.platform));
            assert_eq!(pin.sha256.len(), 64);
            assert!(pin.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(Package::named("onnxruntime").unwrap(), Package::OnnxRuntime);
        let error = Package::named("onnx").unwrap_err();
        assert!(error.to_string().contains("onnxruntime"), "{error}");
    }
}
