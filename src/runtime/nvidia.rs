//! NVIDIA's driver and TensorRT, asked directly: whether they are here, and who they are.
//!
//! ONNX Runtime says neither before a session is made, and an engine built for one GPU by one
//! TensorRT is of no use to another.

use std::ffi::{CStr, c_char, c_int};

use libloading::Library;

use super::provider::Provider;
use crate::error::{Error, Kind, Result};

/// Names of the driver's library.
const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
/// Names of the TensorRT that ONNX Runtime 1.31 is built for.
const TENSORRT: &str = if cfg!(windows) { "nvinfer_10.dll" } else { "libnvinfer.so.10" };

/// The driver, initialised.
#[derive(Debug)]
pub(super) struct Driver {
    library: Library,
    /// Such as 13000 for CUDA 13.0.
    version: c_int,
}

/// Loads the NVIDIA driver for `provider`.
///
/// # Errors
/// [`Kind::Provider`] if there is none, or it finds no GPU.
pub(super) fn driver(provider: Provider) -> Result<Driver> {
    driver_at(provider, DRIVER)
}

fn driver_at(provider: Provider, file: &str) -> Result<Driver> {
    let missing = |why: String| {
        Error::new(Kind::Provider, format!("provider `{provider}` needs an NVIDIA GPU: {why}"))
            .help("install the GPU's driver, or use --provider cpu")
    };
    // SAFETY: loading runs the initialisers of the driver that this system installed.
    let library = unsafe { Library::new(file) }
        .map_err(|_| missing(format!("its driver ({file}) is not here")))?;
    let says = |name: &[u8], code: c_int| match code {
        0 => Ok(()),
        code => Err(missing(format!("{} gives {code}", String::from_utf8_lossy(name)))),
    };
    let (mut version, mut count) = (0, 0);
    // SAFETY: these are the signatures that CUDA's driver interface has had since 2.0; the
    // pointers are valid for one write each.
    unsafe {
        let init = library.get::<unsafe extern "C" fn(u32) -> c_int>(b"cuInit");
        let ask =
            |name: &'static [u8]| library.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(name);
        let (Ok(init), Ok(get_version), Ok(get_count)) =
            (init, ask(b"cuDriverGetVersion"), ask(b"cuDeviceGetCount"))
        else {
            return Err(missing(format!("{file} is not its driver")));
        };
        says(b"cuInit", init(0))?;
        says(b"cuDriverGetVersion", get_version(&raw mut version))?;
        says(b"cuDeviceGetCount", get_count(&raw mut count))?;
    }
    if count == 0 {
        return Err(missing("its driver finds none".into()));
    }
    Ok(Driver { library, version })
}

impl Driver {
    /// What an engine for GPU `index` depends on: the GPU's model, and the driver's version.
    ///
    /// # Errors
    /// [`Kind::Provider`] if there is no such GPU.
    pub(super) fn identity(&self, index: u32) -> Result<String> {
        let missing = || Error::new(Kind::Provider, format!("there is no NVIDIA GPU {index}"));
        let mut device: c_int = 0;
        let mut name: [c_char; 128] = [0; 128];
        // SAFETY: the signatures are the driver's; `device` takes one write, and `name` as many as
        // its length says, the last of them a zero.
        let code = unsafe {
            let get = self
                .library
                .get::<unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(b"cuDeviceGet");
            let get_name =
                self.library.get::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(
                    b"cuDeviceGetName",
                );
            let (Ok(get), Ok(get_name)) = (get, get_name) else { return Err(missing()) };
            match get(&raw mut device, c_int::try_from(index).unwrap_or(c_int::MAX)) {
                0 => get_name(name.as_mut_ptr(), 127, device),
                code => code,
            }
        };
        if code != 0 {
            return Err(missing().help("count GPUs from 0"));
        }
        // SAFETY: the array was zeroed and at most 127 of its 128 bytes were written.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        Ok(format!("{}-{}", name.to_string_lossy(), self.version))
    }
}

/// The version of TensorRT, such as 101300 for 10.13.0.
///
/// # Errors
/// [`Kind::Provider`] if it is not here.
pub(super) fn tensorrt_version() -> Result<c_int> {
    let missing = |why: String| {
        Error::new(Kind::Provider, format!("provider `tensorrt` needs TensorRT 10: {why}"))
            .help("install TensorRT 10 for CUDA 13 where the linker finds it (LD_LIBRARY_PATH)")
    };
    // SAFETY: loading runs the initialisers of a library that the provider would load next.
    let library =
        unsafe { Library::new(TENSORRT) }.map_err(|_| missing(format!("no {TENSORRT} is here")))?;
    // SAFETY: the function takes nothing and gives an int, as NvInferRuntime.h says.
    let version = unsafe {
        let ask = library.get::<unsafe extern "C" fn() -> c_int>(b"getInferLibVersion");
        ask.map_err(|_| missing(format!("{TENSORRT} does not say its version")))?()
    };
    // It stays: the provider uses it until the process ends.
    std::mem::forget(library);
    Ok(version)
}

/// The driver is played by a library made from C.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;

    fn fake(folder: &tempfile::TempDir, gpus: u32) -> String {
        let (input, output) = (folder.path().join("fake.c"), folder.path().join("libfake.so"));
        let source = format!(
            "#include <string.h>\n\
             int cuInit(unsigned flags) {{ return 0; }}\n\
             int cuDriverGetVersion(int *v) {{ *v = 13000; return 0; }}\n\
             int cuDeviceGetCount(int *n) {{ *n = {gpus}; return 0; }}\n\
             int cuDeviceGet(int *d, int i) {{ *d = i; return i < {gpus} ? 0 : 101; }}\n\
             int cuDeviceGetName(char *out, int size, int d)\n\
             {{ strncpy(out, d ? \"NVIDIA Other\" : \"NVIDIA First\", size); return 0; }}\n"
        );
        std::fs::write(&input, source).unwrap();
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&output, &input])
            .status()
            .expect("cc links every Rust program, so it is here");
        assert!(made.success());
        output.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_gpu_is_known_by_its_name_and_driver() {
        let folder = tempfile::tempdir().unwrap();
        let driver = driver_at(Provider::Cuda, &fake(&folder, 2)).unwrap();
        assert_eq!(driver.identity(0).unwrap(), "NVIDIA First-13000");
        assert_eq!(driver.identity(1).unwrap(), "NVIDIA Other-13000");
        let error = driver.identity(2).unwrap_err().to_string();
        assert!(error.contains("no NVIDIA GPU 2"), "{error}");
    }

    #[test]
    fn without_a_driver_or_a_gpu_the_provider_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = driver_at(Provider::TensorRt, &fake(&folder, 0)).unwrap_err().to_string();
        assert!(error.contains("`tensorrt` needs an NVIDIA GPU: its driver finds none"), "{error}");
        let error = driver_at(Provider::Cuda, "/no/libcuda.so.1").unwrap_err().to_string();
        assert!(error.contains("(/no/libcuda.so.1) is not here"), "{error}");
        let other = std::env::current_exe().unwrap();
        assert!(driver_at(Provider::Cuda, other.to_str().unwrap()).is_err());
    }
}
