//! The Python tests of `onnx/`, in a virtual environment that belongs to the build folder.
//!
//! The environment's name holds a hash of the requirements and of the Python, so a change of
//! either makes a new one. A marker file is written last: an environment without it was
//! interrupted, and is made anew.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::{Failure, Outcome, call, command, root, works};

/// The pinned packages, relative to the root of the repository.
const REQUIREMENTS: &str = "onnx/requirements.txt";
/// Says that an environment is whole.
const MARKER: &str = "complete";

/// Makes the environment if need be, and runs the tests in it.
pub(crate) fn test() -> Outcome {
    let python = environment()?;
    call(command(python).args(["-m", "pytest", "onnx/tests", "-q"]))
}

/// A Python that can make virtual environments.
pub(crate) fn find() -> Result<PathBuf, Failure> {
    let chosen = std::env::var_os("GENSET_PYTHON").filter(|python| !python.is_empty());
    let names = match chosen {
        Some(python) => vec![PathBuf::from(python)],
        None => ["python3", "python"].map(PathBuf::from).to_vec(),
    };
    let Some(python) = names.iter().find(|name| works(command(name).arg("--version"))) else {
        return Err(match names.as_slice() {
            [only] => format!("GENSET_PYTHON is {}, which does not start", only.display()),
            _ => "there is no Python (Debian: apt install python3 python3-venv)".into(),
        });
    };
    if !works(command(python).args(["-c", "import venv, ensurepip"])) {
        let name = python.display();
        return Err(format!("{name} has no venv module (Debian: apt install python3-venv)"));
    }
    Ok(python.clone())
}

/// The Python of an environment that has all requirements.
fn environment() -> Result<PathBuf, Failure> {
    let requirements = root().join(REQUIREMENTS);
    let pinned = fs::read(&requirements)
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    let base = find()?;
    let folder = target().join(format!("python-{:016x}", key(&base, &pinned)?));
    let python = if cfg!(windows) {
        folder.join("Scripts").join("python.exe")
    } else {
        folder.join("bin").join("python")
    };
    if folder.join(MARKER).is_file() {
        return Ok(python);
    }
    if folder.exists() {
        println!("{} is not complete: making it anew", folder.display());
        fs::remove_dir_all(&folder)
            .map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    }
    call(command(&base).args(["-m", "venv"]).arg(&folder))?;
    println!("installing {REQUIREMENTS}; the first time this fetches several gigabytes");
    call(
        command(&python)
            .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"])
            .args(["--progress-bar", "off", "--require-hashes", "-r", REQUIREMENTS]),
    )?;
    fs::write(folder.join(MARKER), "")
        .map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
    Ok(python)
}

/// What an environment depends on: the requirements, and the Python that it is made of.
fn key(python: &Path, requirements: &[u8]) -> Result<u64, Failure> {
    let output = command(python)
        .args(["-c", "import sys; print(sys.version, sys.base_prefix)"])
        .output()
        .map_err(|error| format!("cannot run {}: {error}", python.display()))?;
    let mut hasher = DefaultHasher::new();
    (requirements, output.stdout).hash(&mut hasher);
    Ok(hasher.finish())
}

/// The build folder.
fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}
