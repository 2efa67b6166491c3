//! Looks at a file before it is loaded.
//!
//! The dynamic linker trusts what it is given: a file that was cut short can end the process with
//! SIGBUS, and any library runs its own code while it loads. So a candidate is first read as plain
//! bytes: is it a shared library, for this system and processor, whole, and ONNX Runtime?

use std::env::consts;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use object::{
    Architecture, BinaryFormat, FileKind, Object, ObjectKind, ObjectSegment, ObjectSymbol,
};

use super::OLDEST_MINOR;
use crate::error::ResultExt;
use crate::{Error, Kind, Result};

/// The one function that every ONNX Runtime exports.
const ENTRY: &str = "OrtGetApiBase";
/// The function by which a plugin hands its providers over.
const PLUGIN_ENTRY: &str = "CreateEpFactories";
/// ELF builds of ONNX Runtime carry their version as a symbol: `VERS_1.31.1`.
const VERSION_SYMBOL: &str = "VERS_";

/// Checks that `path` may be handed to the dynamic linker as ONNX Runtime.
///
/// # Errors
/// [`Kind::Runtime`] that says what the file is instead.
pub(super) fn check(path: &Path) -> Result<()> {
    inspect(path, ENTRY).at(|| path.display())
}

/// Checks that `path` may be handed to ONNX Runtime as a plugin with providers.
///
/// # Errors
/// [`Kind::Runtime`] that says what the file is instead.
pub(super) fn check_plugin(path: &Path) -> Result<()> {
    inspect(path, PLUGIN_ENTRY).at(|| path.display())
}

/// The ONNX Runtime that `path` means: the file itself, or the one inside a folder.
///
/// # Errors
/// [`Kind::Runtime`] if nothing is there, or a folder without one.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(|error| Error::io(path, "resolve", error))?;
    let metadata = fs::metadata(&path).map_err(|error| {
        bad(match error.kind() {
            std::io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
            _ => format!("cannot look at {}: {error}", path.display()),
        })
    })?;
    if !metadata.is_dir() {
        return Ok(path);
    }
    // A folder of its own, an unpacked release (`lib`), or a Python package (`capi`).
    ["", "lib", "capi"].iter().find_map(|inner| inside(&path.join(inner))).ok_or_else(|| {
        let wanted = if cfg!(windows) { "onnxruntime.dll" } else { "libonnxruntime" };
        bad(format!("{} is a folder without {wanted}", path.display()))
    })
}

/// The ONNX Runtime that lies directly in `folder`; the newest name if there are several.
pub(super) fn inside(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_main_library))
        .collect();
    found.sort_by_key(|path| numbers(&path.to_string_lossy()));
    found.pop()
}

/// The file name of a library that the system's tools would call `name`.
pub(super) fn file_name(name: &str) -> String {
    format!("{}{name}{}", consts::DLL_PREFIX, consts::DLL_SUFFIX)
}

/// Whether `name` is that of ONNX Runtime itself, and not of one of its providers.
fn is_main_library(name: &str) -> bool {
    match consts::OS {
        "windows" => name.eq_ignore_ascii_case("onnxruntime.dll"),
        "macos" => name.starts_with("libonnxruntime.") && name.ends_with(".dylib"),
        _ => name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so."),
    }
}

/// The numbers in `text`, so that 1.31 sorts after 1.9.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Refuses an ONNX Runtime older than this build can use, or a version that makes no sense.
pub(super) fn check_version(version: &str) -> Result<()> {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(1), Some(minor)) if minor >= OLDEST_MINOR => Ok(()),
        (Some(1), Some(_)) => Err(bad(format!(
            "this is ONNX Runtime {version}, and genset needs 1.{OLDEST_MINOR} or newer"
        ))),
        _ => Err(bad(format!(
            "this says it is ONNX Runtime `{version}`, and genset knows only 1.x from \
             1.{OLDEST_MINOR} on"
        ))),
    }
}

fn inspect(path: &Path, entry: &str) -> Result<()> {
    let metadata =
        fs::metadata(path).map_err(|error| bad(format!("cannot look at it: {error}")))?;
    if metadata.is_dir() {
        return Err(bad("this is a folder, not a library"));
    }
    if !metadata.is_file() {
        // A pipe or a device would make us wait, or worse.
        return Err(bad("this is not a plain file"));
    }
    if metadata.len() == 0 {
        return Err(bad("this file is empty"));
    }
    let file = File::open(path).map_err(|error| bad(format!("cannot open it: {error}")))?;
    // SAFETY: the map is read only and gone when this function returns. That nobody shortens the
    // file meanwhile cannot be proved; the linker, which maps it next, needs the same.
    let bytes =
        unsafe { Mmap::map(&file) }.map_err(|error| bad(format!("cannot map it: {error}")))?;
    inspect_bytes(&bytes, entry)
}

fn inspect_bytes(bytes: &[u8], entry: &str) -> Result<()> {
    let kind = FileKind::parse(bytes)
        .map_err(|_| bad(format!("this is not a shared library; {} was expected", expected())))?;
    if matches!(kind, FileKind::MachOFat32 | FileKind::MachOFat64) && cfg!(target_os = "macos") {
        // Several processors in one file: the linker picks its part or says that there is none.
        return Ok(());
    }
    let file = object::File::parse(bytes).map_err(|error| {
        bad(format!("this file is damaged, or was cut short ({error}, {} bytes)", bytes.len()))
    })?;
    check_machine(&file)?;
    check_whole(&file, bytes.len() as u64)?;
    if file.kind() != ObjectKind::Dynamic {
        return Err(bad(format!(
            "this is not a shared library but {}",
            match file.kind() {
                ObjectKind::Executable => "a program",
                ObjectKind::Relocatable => "an object file",
                ObjectKind::Core => "a core dump",
                _ => "something else",
            }
        )));
    }
    check_exports(&file, entry)
}

fn check_machine(file: &object::File<'_>) -> Result<()> {
    let format = match consts::OS {
        "windows" => BinaryFormat::Pe,
        "macos" => BinaryFormat::MachO,
        _ => BinaryFormat::Elf,
    };
    if file.format() != format {
        let other = match file.format() {
            BinaryFormat::Elf => "Linux (ELF)",
            BinaryFormat::MachO => "macOS (Mach-O)",
            BinaryFormat::Pe => "Windows (PE)",
            _ => "another system",
        };
        return Err(bad(format!("this was built for {other}; {} was expected", expected())));
    }
    let here = match consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "x86" => Architecture::I386,
        "arm" => Architecture::Arm,
        "riscv64" => Architecture::Riscv64,
        "powerpc64" => Architecture::PowerPc64,
        "s390x" => Architecture::S390x,
        "loongarch64" => Architecture::LoongArch64,
        // A processor that this table does not know: the linker decides.
        _ => return Ok(()),
    };
    if file.architecture() != here {
        let other = format!("{:?}", file.architecture()).to_lowercase();
        return Err(bad(format!("this was built for {other}; {} was expected", expected())));
    }
    Ok(())
}

/// Everything that the linker will map must be in the file.
fn check_whole(file: &object::File<'_>, length: u64) -> Result<()> {
    let needed = file
        .segments()
        .map(|segment| {
            let (offset, size) = segment.file_range();
            offset.saturating_add(size)
        })
        .max()
        .unwrap_or(0);
    if needed > length {
        return Err(bad(format!("this file was cut short: {length} of {needed} bytes are here")));
    }
    Ok(())
}

fn check_exports(file: &object::File<'_>, entry: &str) -> Result<()> {
    let mut has_entry = false;
    let mut version = None;
    if file.format() == BinaryFormat::Elf {
        for symbol in file.dynamic_symbols().filter(|symbol| !symbol.is_undefined()) {
            let name = symbol.name().unwrap_or_default();
            has_entry |= name == entry;
            version = version.or(name.strip_prefix(VERSION_SYMBOL));
        }
    } else {
        let exports = file
            .exports()
            .map_err(|error| bad(format!("this file is damaged: its exports: {error}")))?;
        // Mach-O puts an underscore before every C name.
        has_entry = exports.iter().any(|export| {
            export.name().strip_prefix(b"_").unwrap_or(export.name()) == entry.as_bytes()
        });
    }
    match (has_entry, entry) {
        (true, ENTRY) => version.map_or(Ok(()), check_version),
        (true, _) => Ok(()),
        (false, ENTRY) => Err(bad(format!("this is not ONNX Runtime: it has no function {ENTRY}"))),
        (false, _) => Err(bad(format!("this is no plugin: it has no function {entry}"))),
    }
}

fn expected() -> String {
    let system = match consts::OS {
        "linux" => "Linux",
        "macos" => "macOS",
        "windows" => "Windows",
        other => other,
    };
    format!("a shared library for {system} on {}", consts::ARCH)
}

pub(super) fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::Runtime, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        check(file.path()).unwrap_err().summary()
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"x").contains("not a shared library"));
        assert!(refused(b"GROUP ( libonnxruntime.so.1 )\n").contains("not a shared library"));
        assert!(refused(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0").contains("cut short"));
    }

    #[test]
    fn our_own_program_is_refused_by_what_it_lacks() {
        let error = check(&std::env::current_exe().unwrap()).unwrap_err();
        assert!(error.summary().contains("this is not"), "{error}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(check_version("1.31.1").is_ok());
        assert!(check_version("1.24.0-dev").is_ok());
        for version in ["1.9.0", "1.19.2", "0.31.0", "2.0.0", "", "1", "one.two"] {
            assert!(check_version(version).is_err(), "{version}");
        }
        assert!(numbers("libonnxruntime.so.1.31.1") > numbers("libonnxruntime.so.1.9.0"));
        assert!(!is_main_library("libonnxruntime_providers_shared.so"));
    }
}
