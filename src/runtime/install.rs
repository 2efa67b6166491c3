//! Installs a pinned wheel's libraries into the cache.
//!
//! pip fetches the wheel, so proxies, mirrors and credentials are those that the user has set up
//! for pip. We verify its SHA-256 once more, unpack the libraries and licence texts alone, and
//! give the folder its name only when everything is on disk. An installation that was interrupted
//! leaves nothing that is taken for a whole one, and two at a time do not disturb each other.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::package::Package;
use super::pins::{PYTHON_ABI, PYTHON_VERSION, Pin};
use super::python::{interpreters, of_environment};
use super::{cache, child, library};
use crate::error::ResultExt;
use crate::{Error, Kind, Result};

/// One unpacked file; the largest real one has 284 MB.
const FILE_LIMIT: u64 = 512 << 20;
/// All unpacked files together.
const TOTAL_LIMIT: u64 = 1 << 30;
/// pip has its own, shorter time-outs for a connection that hangs.
const PIP_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Making a virtual environment with its own pip takes several seconds.
const VENV_LIMIT: Duration = Duration::from_secs(120);
const START_LIMIT: Duration = Duration::from_secs(20);
/// The prefix of folders that are not finished.
const UNFINISHED: &str = ".installing-";
/// An unfinished folder of this age belongs to nobody any more.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Puts the libraries of `package` into the cache and gives the path of the main one.
///
/// `say` is told what happens, a line at a time. If the package is there already and looks sound,
/// nothing is fetched; if it is damaged, it is replaced. A plugin brings the ONNX Runtime that it
/// is for along.
///
/// # Errors
/// [`Kind::Runtime`] if there is no Python or pip, pip fails, or the wheel is not the pinned one;
/// [`Kind::Io`] if the cache cannot be written to.
pub fn install(package: Package, say: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    if package.plugin().is_some() {
        install(Package::OnnxRuntime, say)?;
    }
    let folder = cache::folder(package)?;
    match sound(package, &folder) {
        Ok(library) => {
            say(&format!("{package} is installed already: {}", library.display()));
            return Ok(library);
        }
        Err(error) if folder.exists() => say(&format!("replacing: {}", error.summary())),
        Err(_) => {}
    }
    let pin = package.pin()?;
    let root = cache::root()?;
    fs::create_dir_all(&root).map_err(|error| in_cache(&root, "create", error))?;
    remove_abandoned(&root);
    let work = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(&root)
        .map_err(|error| in_cache(&root, "write to", error))?;

    say(&format!("installing {package} with pip into {}", folder.display()));
    let wheel = download(package, pin, work.path())?;
    verify(&wheel, pin.sha256)?;
    let unpacked = work.path().join("unpacked");
    unpack(package, &wheel, &unpacked).at(|| pin.wheel)?;
    sound(package, &unpacked)?;
    publish(package, &unpacked, &folder, work.path())?;
    let library = sound(package, &folder)?;
    say(&format!("installed {package}: {}", library.display()));
    Ok(library)
}

/// The main library of `package`, if it is installed and looks sound.
#[must_use]
pub fn installed(package: Package) -> Option<PathBuf> {
    sound(package, &cache::folder(package).ok()?).ok()
}

/// The main library of `package` in `folder`, if it looks as if it would load.
pub(super) fn sound(package: Package, folder: &Path) -> Result<PathBuf> {
    let nothing = || library::bad(format!("{} holds no library", folder.display()));
    let path = match package.plugin() {
        None => library::inside(folder).ok_or_else(nothing)?,
        Some(name) => {
            let path = folder.join(library::file_name(name));
            if !path.exists() {
                return Err(nothing());
            }
            library::check_plugin(&path)?;
            return Ok(path);
        }
    };
    library::check(&path)?;
    Ok(path)
}

/// Has pip fetch the wheel into `work`.
fn download(package: Package, pin: &Pin, work: &Path) -> Result<PathBuf> {
    let python = python_with_pip(work)?;
    let requirements = work.join("requirements.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", package.name(), package.version(), pin.sha256);
    fs::write(&requirements, line).map_err(|error| in_cache(&requirements, "write", error))?;
    let ended = child::run_known(
        pip(&python, work)
            .args(["download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:"])
            .args(["--require-hashes", "--progress-bar", "off", "--implementation", "cp"])
            .args(["--platform", pin.platform, "--abi", PYTHON_ABI])
            .args(["--python-version", PYTHON_VERSION, "--dest", "."])
            .arg("--requirement")
            .arg(&requirements),
        PIP_LIMIT,
    )?;
    if !ended.success() {
        let reason = if ended.status.is_none() {
            format!("did not end within {} minutes", PIP_LIMIT.as_secs() / 60)
        } else {
            format!("said:\n{}", ended.last_lines(8))
        };
        let message = format!("pip could not download {package}; {} {reason}", python.display());
        return Err(Error::new(Kind::Runtime, message).help(
            "check the network and pip's settings (proxy, index, cache) and try again, or set \
             GENSET_ORT to a libonnxruntime that you have",
        ));
    }
    let wheel = work.join(pin.wheel);
    if !wheel.is_file() {
        return Err(Error::new(Kind::Runtime, format!("pip did not leave a file {}", pin.wheel))
            .help("upgrade pip, or set GENSET_ORT to a libonnxruntime that you have"));
    }
    Ok(wheel)
}

/// `python -m pip`, in a folder where no file can be taken for a module.
fn pip(python: &Path, work: &Path) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "--disable-pip-version-check"])
        .env("PIP_REQUIRE_VIRTUALENV", "false")
        .current_dir(work);
    command
}

/// The first Python whose pip works. If there is only Python, a virtual environment brings pip.
fn python_with_pip(work: &Path) -> Result<PathBuf> {
    let mut started = Vec::new();
    for python in interpreters() {
        // A relative path would be looked up from the working folder of the child.
        let python = match python.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                std::path::absolute(&python).unwrap_or(python)
            }
            _ => python,
        };
        let version = child::run(pip(&python, work).arg("--version"), START_LIMIT);
        match version {
            Ok(ended) if ended.success() => return Ok(python),
            Ok(_) => started.push(python),
            Err(_) => {}
        }
    }
    for python in &started {
        let environment = work.join("venv");
        let mut command = Command::new(python);
        command.args(["-m", "venv"]).arg(&environment).current_dir(work);
        let made = child::run(&mut command, VENV_LIMIT);
        if made.is_ok_and(|ended| ended.success()) {
            return Ok(of_environment(&environment));
        }
    }
    let problem = match started.first() {
        None => match cache::variable("GENSET_PYTHON") {
            Some(python) => format!("GENSET_PYTHON is {}, which does not start", python.display()),
            None => "there is no Python here".to_owned(),
        },
        Some(python) => format!("{} has no pip, and no venv to make one", python.display()),
    };
    Err(Error::new(Kind::Runtime, format!("{problem}, and pip is what fetches ONNX Runtime")).help(
        "install Python with pip (Debian: apt install python3 python3-pip, or python3-venv), or \
         set GENSET_ORT to a libonnxruntime that you have",
    ))
}

/// Compares the SHA-256 of a file with the pinned one.
fn verify(wheel: &Path, pinned: &str) -> Result<()> {
    let mut file = File::open(wheel).map_err(|error| in_cache(wheel, "open", error))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(in_cache(wheel, "read", error)),
        }
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == pinned {
        return Ok(());
    }
    let message = format!("{} has SHA-256 {found}, but {pinned} is pinned", wheel.display());
    Err(Error::new(Kind::Runtime, message)
        .help("clear pip's cache and check which index pip uses; this file was not used"))
}

/// Writes the wanted members of `wheel` into the new folder `target`, down to the disk.
fn unpack(package: Package, wheel: &Path, target: &Path) -> Result<()> {
    let broken = |error: zip::result::ZipError| {
        Error::new(Kind::Runtime, format!("this wheel cannot be unpacked: {error}"))
    };
    fs::create_dir(target).map_err(|error| in_cache(target, "create", error))?;
    let file = File::open(wheel).map_err(|error| in_cache(wheel, "open", error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let mut left = TOTAL_LIMIT;
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(broken)?;
        let full_name = member.name().map_err(broken)?;
        let Some(name) = package.wanted(&full_name).filter(|_| member.is_file()).map(str::to_owned)
        else {
            continue;
        };
        let limit = left.min(FILE_LIMIT);
        let path = target.join(&name);
        let mut out = File::create_new(&path).map_err(|error| in_cache(&path, "create", error))?;
        // The size in the header is a claim; what comes out is counted.
        let written = io::copy(&mut member.take(limit + 1), &mut out)
            .map_err(|error| in_cache(&path, "write", error))?;
        if written > limit {
            return Err(Error::new(Kind::Limit, format!("{name} unpacks to over {limit} bytes")));
        }
        left -= written;
        out.flush()
            .and_then(|()| out.sync_all())
            .map_err(|error| in_cache(&path, "write", error))?;
    }
    sync_folder(target)
}

/// Gives `unpacked` its final name. If someone else was faster, theirs is as good as ours.
fn publish(package: Package, unpacked: &Path, folder: &Path, work: &Path) -> Result<()> {
    if fs::rename(unpacked, folder).is_err() {
        if sound(package, folder).is_ok() {
            return Ok(());
        }
        if folder.exists() {
            // A damaged one is moved out of the way; it goes with the work folder.
            let aside = work.join("damaged");
            fs::rename(folder, &aside).map_err(|error| in_cache(folder, "replace", error))?;
        }
        if let Err(error) = fs::rename(unpacked, folder)
            && sound(package, folder).is_err()
        {
            return Err(in_cache(folder, "create", error));
        }
    }
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable, where the system knows such a thing.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| in_cache(folder, "write to", error))?;
    }
    Ok(())
}

/// Removes what interrupted installations left behind long ago. Nothing depends on it.
fn remove_abandoned(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let is_old = entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|time| {
            SystemTime::now().duration_since(time).is_ok_and(|age| age > ABANDONED)
        });
        if is_old && entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// An error in the cache, with the way out.
fn in_cache(path: &Path, doing: &str, error: io::Error) -> Error {
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room (up to 1 GB), or set GENSET_CACHE to a folder on another disk"
        }
        _ => "set GENSET_CACHE to a folder that can be written to",
    };
    Error::io(path, doing, error).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_that_is_not_the_pinned_one_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        verify(file.path(), abc).unwrap();
        let error = verify(file.path(), &abc.replace('b', "c")).unwrap_err();
        assert!(error.summary().contains("is pinned"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_zip_is_an_error() {
        let work = tempfile::tempdir().unwrap();
        let wheel = work.path().join("x.whl");
        fs::write(&wheel, "not a zip").unwrap();
        let error = unpack(Package::OnnxRuntime, &wheel, &work.path().join("out")).unwrap_err();
        assert!(error.summary().contains("cannot be unpacked"), "{error}");
    }

    #[test]
    fn a_damaged_folder_is_replaced_by_publishing() {
        let root = tempfile::tempdir().unwrap();
        let (work, folder) = (root.path().join("work"), root.path().join("final"));
        let unpacked = work.join("unpacked");
        fs::create_dir_all(&unpacked).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(unpacked.join("new"), "").unwrap();
        fs::write(folder.join("old"), "").unwrap();
        publish(Package::OnnxRuntime, &unpacked, &folder, &work).unwrap();
        assert!(folder.join("new").exists() && !folder.join("old").exists());
    }
}
