//! Providers that are libraries of their own: registered once, and asked for their devices.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::device::Device;
use ort::memory::DeviceType;
use serde::{Deserialize, Serialize};

use super::package::Package;
use super::provider::Provider;
use super::session::one_line;
use super::{Runtime, cache, install};
use crate::error::{Error, Kind, Result};

/// A device that a provider can run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderDevice {
    /// The provider's name in ONNX Runtime, such as `OpenVINOExecutionProvider`.
    pub provider: String,
    /// `cpu`, `gpu` or `npu`.
    pub kind: String,
    /// Who made the device.
    pub vendor: String,
}

/// Registered in this process already: ONNX Runtime takes each library once.
static REGISTERED: Mutex<Vec<Package>> = Mutex::new(Vec::new());

/// Libraries that a plugin needs and that lie beside it, in an order in which they load. The
/// linker finds a library that is loaded already by its own name, wherever it lies.
const NEEDED: [&str; 3] =
    ["libcudart.so.", "libtensorrt_rtx.so.", "libtensorrt_onnxparser_rtx.so."];

/// The devices of its plugin that `provider` is used on; empty if it has no plugin.
///
/// # Errors
/// [`Kind::Provider`] if the plugin cannot be loaded.
pub(super) fn devices(runtime: &Runtime, provider: Provider) -> Result<Vec<Device<'_>>> {
    let mut devices = offered(runtime, provider)?;
    if provider == Provider::OpenVino {
        // What precision means has been looked at on processors alone.
        devices.retain(|device| device.hardware_device().ty() == DeviceType::CPU);
    }
    Ok(devices)
}

fn offered(runtime: &Runtime, provider: Provider) -> Result<Vec<Device<'_>>> {
    let Some(package) = provider.package().filter(|package| package.plugin().is_some()) else {
        return Ok(Vec::new());
    };
    register(runtime, package)?;
    let environment = runtime.environment();
    let is_ours = |device: &Device<'_>| {
        device.ep().is_ok_and(|name| {
            let name = name.strip_suffix("ExecutionProvider").unwrap_or(name);
            name.eq_ignore_ascii_case(provider.reported())
        })
    };
    Ok(environment.devices().filter(is_ours).collect())
}

/// Every device that installed plugins offer here.
///
/// # Errors
/// [`Kind::Provider`] if one cannot be loaded.
pub(super) fn all_devices(runtime: &Runtime) -> Result<Vec<ProviderDevice>> {
    let mut all = Vec::new();
    for (_, provider) in Provider::ALL {
        let plugin = provider.package().filter(|package| package.plugin().is_some());
        let Some(package) = plugin else { continue };
        if install::installed(package).is_some() {
            all.extend(offered(runtime, provider)?.iter().map(describe));
        }
    }
    Ok(all)
}

fn describe(device: &Device<'_>) -> ProviderDevice {
    let hardware = device.hardware_device();
    let kind = match hardware.ty() {
        DeviceType::GPU => "gpu",
        DeviceType::NPU => "npu",
        _ => "cpu",
    };
    ProviderDevice {
        provider: device.ep().unwrap_or("?").to_owned(),
        kind: kind.to_owned(),
        vendor: hardware.vendor().unwrap_or("?").to_owned(),
    }
}

fn register(runtime: &Runtime, package: Package) -> Result<()> {
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    if registered.contains(&package) {
        return Ok(());
    }
    let folder = cache::folder(package)?;
    let library = install::sound(package, &folder)?;
    load_needed(&folder)?;
    let name = format!("genset.{}", package.asked());
    runtime.environment().register_ep_library(name, &library).map_err(|error| {
        let reason = one_line(error.message());
        Error::new(Kind::Provider, format!("{package} does not load: {reason}"))
            .help(format!("`genset runtime install {}` mends it", package.asked()))
    })?;
    registered.push(package);
    Ok(())
}

fn load_needed(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, "read", error))?;
    let files: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    for start in NEEDED {
        let is_it = |file: &&std::ffi::OsString| file.to_string_lossy().starts_with(start);
        let Some(file) = files.iter().find(is_it) else { continue };
        let path = folder.join(file);
        // SAFETY: loading runs the library's initialisers. It comes from a wheel whose hash is
        // pinned, and its plugin would load it next.
        let library = unsafe { libloading::Library::new(&path) }.map_err(|error| {
            Error::new(Kind::Provider, format!("{} does not load: {error}", path.display()))
        })?;
        // The plugin needs it until the process ends.
        std::mem::forget(library);
    }
    Ok(())
}
