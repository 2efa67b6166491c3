//! The user's own cache: in it lie installed libraries, one folder a package, and beside them the
//! engines that providers build and what was measured.
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

/// The folder that holds all packages.
pub(super) fn root() -> Result<PathBuf> {
    Ok(cache_folder()?.join("runtime"))
}

/// The folder that holds all engines.
pub(super) fn engines() -> Result<PathBuf> {
    Ok(cache_folder()?.join("engines"))
}

/// The folder for all that can be made again: `GENSET_CACHE`, or in the user's cache.
///
/// # Errors
/// [`Kind::Io`] if this user has none.
pub fn cache_folder() -> Result<PathBuf> {
    match variable("GENSET_CACHE") {
        Some(folder) => std::path::absolute(PathBuf::from(&folder))
            .map_err(|error| Error::io(folder.as_ref(), "resolve", error)),
        None => Ok(directories::ProjectDirs::from("", "", "genset")
            .ok_or_else(|| {
                Error::new(Kind::Io, "this user has no home folder to keep a cache in")
                    .help("set GENSET_CACHE to a folder that can be written to")
            })?
            .cache_dir()
            .to_path_buf()),
    }
}

/// The folder of `package`, whether or not it is there.
pub(super) fn folder(package: Package) -> Result<PathBuf> {
    Ok(root()?.join(package.folder()))
}
