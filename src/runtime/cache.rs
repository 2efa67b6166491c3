//! Where installed libraries live: one folder a package, in the user's own cache. Engines that
//! providers build lie beside them.
//!
//! A folder appears under its name only when it is complete, so whoever finds it may use it.

use std::ffi::OsString;
use std::path::PathBuf;

use super::package::Package;
use crate::{Error, Kind, Result};

/// Reads an environment variable; an empty one counts as unset.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder that holds all packages: `runtime` in `GENSET_CACHE` or in the user's cache.
pub(super) fn root() -> Result<PathBuf> {
    Ok(base()?.join("runtime"))
}

/// The folder that holds all engines.
pub(super) fn engines() -> Result<PathBuf> {
    Ok(base()?.join("engines"))
}

fn base() -> Result<PathBuf> {
    Ok(match variable("GENSET_CACHE") {
        Some(folder) => std::path::absolute(PathBuf::from(&folder))
            .map_err(|error| Error::io(folder.as_ref(), "resolve", error))?,
        None => directories::ProjectDirs::from("", "", "genset")
            .ok_or_else(|| {
                Error::new(Kind::Io, "this user has no home folder to keep a cache in")
                    .help("set GENSET_CACHE to a folder that can be written to")
            })?
            .cache_dir()
            .to_path_buf(),
    })
}

/// The folder of `package`, whether or not it is there.
pub(super) fn folder(package: Package) -> Result<PathBuf> {
    Ok(root()?.join(package.folder()))
}
