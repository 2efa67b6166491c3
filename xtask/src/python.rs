//! What needs Python, in virtual environments that belong to the build folder.
//!
//! There is one environment for all Python tests, as PyTorch fills three gigabytes of it, and one for
//! what ONNX Runtime's training API needs. An environment's name holds a hash of its requirements and of
//! the Python, so a change of either makes a new one. A marker file is written last: an environment
//! without it was interrupted, and is made anew.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, Outcome, call, command, root, works};

/// Pinned packages, relative to the root of the repository, and what pip is told about them.
type Requirements = [(&'static str, &'static [&'static str])];
/// Those of the tests.
const TESTS: &Requirements = &[
    ("onnx/requirements.txt", &[]),
    // On top of the others, and without what its packages ask for beyond that: see its `.in`.
    ("tests/interchange/requirements.txt", &["--no-deps"]),
    ("bindings/python/requirements-tests.txt", &["--no-deps"]),
];
/// Those of `onnx/ort_training.py`.
const TRAINING: &Requirements = &[("onnx/requirements-training.txt", &["--no-deps"])];
/// Says that an environment is whole.
const MARKER: &str = "complete";

/// The tests of `onnx/`.
pub(crate) fn test() -> Outcome {
    call(&mut pytest("onnx/tests")?)
}

/// The tests that other packages read what the command `genset` writes.
pub(crate) fn interchange(genset: &Path) -> Outcome {
    call(pytest("tests/interchange")?.env("GENSET_COMMAND", genset))
}

/// The tests of the Python package, which is built and installed as its users do it; `genset` is the
/// command whose digests its bytes are held against, and `features` are what it was built with.
pub(crate) fn bindings(genset: &Path, features: &str) -> Outcome {
    let python = environment(TESTS)?;
    let mut install = command(&python);
    install.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]);
    install.args(["--no-deps", "--no-build-isolation", "--force-reinstall", "bindings/python"]);
    // Unoptimised, so that the library that was built for the steps before need not be built again.
    install.env("MATURIN_PEP517_ARGS", format!("--profile dev --features {features}"));
    let programs = python.parent().map(Path::to_owned).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(programs).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths).map_err(|error| format!("PATH: {error}"))?;
    call(install.env("PATH", path))?;
    call(pytest("bindings/python/tests")?.env("GENSET_COMMAND", genset))
}

/// Runs the tests in a folder; makes the environment if need be.
fn pytest(folder: &str) -> Result<Command, Failure> {
    let mut pytest = command(environment(TESTS)?);
    pytest.args(["-m", "pytest", folder, "-q"]);
    Ok(pytest)
}

/// A Python that makes artifacts for ONNX Runtime's training API; `None` if this machine's is of a version
/// that there are no packages for.
pub(crate) fn training() -> Result<Option<PathBuf>, Failure> {
    let is_old = "import sys; sys.exit(sys.version_info[:2] != (3, 11))";
    if works(command(find()?).args(["-c", is_old])) {
        return environment(TRAINING).map(Some);
    }
    Ok(None)
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
fn environment(requirements: &Requirements) -> Result<PathBuf, Failure> {
    let mut pinned = Vec::new();
    for (file, _) in requirements {
        let text = fs::read(root().join(file));
        pinned.push(text.map_err(|error| format!("cannot read {file}: {error}"))?);
    }
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
    for (file, options) in requirements {
        println!("installing {file}; the first time this may fetch gigabytes");
        call(
            command(&python)
                .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"])
                .args(["--progress-bar", "off", "--require-hashes"])
                .args(*options)
                .args(["-r", file]),
        )?;
    }
    fs::write(folder.join(MARKER), "")
        .map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
    Ok(python)
}

/// What an environment depends on: the requirements, and the Python that it is made of.
fn key(python: &Path, requirements: &[Vec<u8>]) -> Result<u64, Failure> {
    let output = command(python)
        .args(["-c", "import sys; print(sys.version, sys.base_prefix)"])
        .output()
        .map_err(|error| format!("cannot run {}: {error}", python.display()))?;
    let mut hasher = DefaultHasher::new();
    (requirements, output.stdout).hash(&mut hasher);
    Ok(hasher.finish())
}

/// The build folder.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}
