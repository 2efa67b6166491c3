//! The pinned wheels, one table a package.

/// One wheel of a package, for one machine.
#[derive(Debug)]
pub(super) struct Pin {
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
    /// What pip calls the machine.
    pub(super) platform: &'static str,
    pub(super) wheel: &'static str,
    pub(super) sha256: &'static str,
}

/// The wheels are built for one Python or for any, yet hold libraries that need none: any Python's
/// pip can fetch them when it is told these tags.
pub(super) const PYTHON_VERSION: &str = "3.11";
/// See [`PYTHON_VERSION`].
pub(super) const PYTHON_ABI: &str = "cp311";

/// Of ONNX Runtime, with and without CUDA.
pub(super) const ONNXRUNTIME_VERSION: &str = "1.31.1";

pub(super) const ONNXRUNTIME: [Pin; 4] = [
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

/// The last ONNX Runtime that was published with OpenVINO inside.
pub(super) const OPENVINO_VERSION: &str = "1.24.1";

/// The wheel for Windows leaves OpenVINO itself to another package.
pub(super) const OPENVINO: [Pin; 1] = [Pin {
    os: "linux",
    arch: "x86_64",
    platform: "manylinux_2_28_x86_64",
    wheel: "onnxruntime_openvino-1.24.1-cp311-cp311-manylinux_2_28_x86_64.whl",
    sha256: "3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8",
}];

pub(super) const OPENVINO_PLUGIN_VERSION: &str = "1.8.1";

pub(super) const OPENVINO_PLUGIN: [Pin; 2] = [
    Pin {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        wheel: "onnxruntime_ep_openvino-1.8.1-py3-none-manylinux_2_28_x86_64.whl",
        sha256: "3832643158c8c187fcab6db661cde2a8c06a2b3559d95d0f2411ac0e51c5e924",
    },
    Pin {
        os: "windows",
        arch: "x86_64",
        platform: "win_amd64",
        wheel: "onnxruntime_ep_openvino-1.8.1-py3-none-win_amd64.whl",
        sha256: "1acd878be173b02bb8b953460f2f59b121e5f6e47ebc6aad490c0590cf6718fb",
    },
];

pub(super) const CUDA: [Pin; 3] = [
    Pin {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        wheel: "onnxruntime_gpu-1.31.1-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6",
    },
    Pin {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_34_aarch64",
        wheel: "onnxruntime_gpu-1.31.1-cp311-cp311-manylinux_2_34_aarch64.whl",
        sha256: "dc878916611b8a816000ffedacc5f5988f77bb93bf9655ad20144ee3acb08e55",
    },
    Pin {
        os: "windows",
        arch: "x86_64",
        platform: "win_amd64",
        wheel: "onnxruntime_gpu-1.31.1-cp311-cp311-win_amd64.whl",
        sha256: "fd98341ba71c093153f0dcfc53eb69d57f706866fb45e94e5b0cde5d97a50dbf",
    },
];

pub(super) const TENSORRT_RTX_VERSION: &str = "0.5.0";

pub(super) const TENSORRT_RTX: [Pin; 3] = [
    Pin {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        wheel: "onnxruntime_ep_nv_tensorrt_rtx_cu13-0.5.0-py3-none-manylinux_2_28_x86_64.whl",
        sha256: "32f575c633d171b4edf4b53d3bb22b72a6c9c0a850d2982ce9a788a5d40d3298",
    },
    Pin {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_35_aarch64",
        wheel: "onnxruntime_ep_nv_tensorrt_rtx_cu13-0.5.0-py3-none-manylinux_2_35_aarch64.whl",
        sha256: "1f0bb2b89bb3dfd43096fccb8ec1f581c266c5852c4e6ba672b7bf790c8c96c2",
    },
    Pin {
        os: "windows",
        arch: "x86_64",
        platform: "win_amd64",
        wheel: "onnxruntime_ep_nv_tensorrt_rtx_cu13-0.5.0-py3-none-win_amd64.whl",
        sha256: "609b19f7236c8522ef005a9f763003a78f492e5d871afad39fe1b247760eb3c7",
    },
];
