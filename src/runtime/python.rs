//! The active Python: where pip is run, and where an `onnxruntime` package may already be.
//!
//! Nothing of a package is imported, and never anything from the working folder: Python puts that
//! folder first on its path, and a folder that happens to be called `pip` is data to us.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cache::variable;
use super::child;

/// Prints the folder of the `onnxruntime` package without importing it.
const FIND: &str = "\
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import importlib.util
spec = importlib.util.find_spec('onnxruntime')
if spec is not None and spec.submodule_search_locations:
    sys.stdout.reconfigure(encoding='utf-8', errors='surrogateescape')
    print(list(spec.submodule_search_locations)[0])
";

/// A Python starts in a tenth of a second; a network home may need more.
const START_LIMIT: Duration = Duration::from_secs(5);

/// What the active Python said about its `onnxruntime` package.
#[derive(Debug)]
pub(super) enum Found {
    /// The package's folder, and the Python that named it.
    Package { folder: PathBuf, python: PathBuf },
    /// Why there is none.
    Nothing(String),
}

/// The Pythons to try, best first. `GENSET_PYTHON` is the only one if it is set.
pub(super) fn interpreters() -> Vec<PathBuf> {
    if let Some(python) = variable("GENSET_PYTHON") {
        return vec![python.into()];
    }
    let mut found = Vec::new();
    if let Some(environment) = variable("VIRTUAL_ENV") {
        found.push(of_environment(Path::new(&environment)));
    }
    found.extend(["python3", "python"].map(PathBuf::from));
    found
}

/// The interpreter of a virtual environment.
pub(super) fn of_environment(environment: &Path) -> PathBuf {
    if cfg!(windows) {
        environment.join("Scripts").join("python.exe")
    } else {
        environment.join("bin").join("python")
    }
}

/// Asks the first Python that starts where its `onnxruntime` package is.
pub(super) fn find_package() -> Found {
    for python in interpreters() {
        let Ok(ended) = child::run(Command::new(&python).args(["-c", FIND]), START_LIMIT) else {
            continue;
        };
        let python_name = python.display();
        if ended.status.is_none() {
            return Found::Nothing(format!("{python_name} did not answer within 5 s"));
        }
        if !ended.success() {
            // A launcher without a Python behind it starts, and fails.
            continue;
        }
        return match ended.stdout.lines().next() {
            Some(folder) => Found::Package { folder: folder.into(), python },
            None => Found::Nothing(format!("{python_name} has no onnxruntime package")),
        };
    }
    Found::Nothing("no Python was found".into())
}
