//! Tries a library without risk to whoever asks.
//!
//! Loading a library runs its code, and a bad one can end the process. [`probe`] loads here;
//! [`probe_apart`] has another process do so, and survives whatever happens to it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::library::bad;
use super::locate::Search;
use super::open::Runtime;
use super::plugin::ProviderDevice;
use super::{INSTALL_HELP, child};
use crate::Result;

/// What a library says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its version, such as `1.31.1`.
    pub version: String,
    /// The execution providers it was built with, as [`Runtime::providers`] gives them.
    pub providers: Vec<String>,
    /// The devices that installed plugins offer on this machine.
    pub devices: Vec<ProviderDevice>,
    /// Why plugins could not be asked, if they could not.
    pub plugin_error: Option<String>,
}

/// How long a library may take to load: it is large, and the disk may be slow.
const LIMIT: Duration = Duration::from_secs(10);

/// Loads `path` in this process, which from then on holds it as its runtime.
///
/// # Errors
/// Those of [`Runtime::open`].
pub fn probe(path: &Path) -> Result<Probe> {
    let search = Search { explicit: Some(path.to_path_buf()), ..Search::default() };
    let runtime = Runtime::open(&search)?;
    let (devices, plugin_error) = match runtime.plugin_devices() {
        Ok(devices) => (devices, None),
        Err(error) => (Vec::new(), Some(error.summary())),
    };
    Ok(Probe {
        version: runtime.version().to_owned(),
        providers: runtime.providers()?,
        devices,
        plugin_error,
    })
}

/// Runs `command`, which must call [`probe`] and print its result as JSON, for at most 10 seconds.
///
/// # Errors
/// [`Kind::Runtime`](crate::Kind::Runtime) if it fails, crashes or takes too long.
pub fn probe_apart(command: &mut Command) -> Result<Probe> {
    let ended = child::run_known(command, LIMIT)?;
    let Some(status) = ended.status else {
        return Err(
            bad(format!("loading it takes more than {} s", LIMIT.as_secs())).help(INSTALL_HELP)
        );
    };
    if status.code().is_none_or(|code| code > 2) {
        return Err(bad(format!("loading it crashes ({status})")).help(INSTALL_HELP));
    }
    if !status.success() {
        let said = ended.last_lines(8);
        let said = said.split("\n  help: ").next().unwrap_or_default();
        return Err(bad(said.strip_prefix("error: ").unwrap_or(said)).help(INSTALL_HELP));
    }
    serde_json::from_str(&ended.stdout).map_err(|error| {
        bad(format!("loading it printed something else than a probe: {error}")).because(error)
    })
}
