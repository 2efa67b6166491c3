//! The one ONNX Runtime of this process.
//!
//! A process holds one: its symbols, thread pools and providers cannot be taken back. It is opened
//! once and never closed, because closing it while the process exits can wait for ever on threads
//! that are already gone.

use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::install::install;
use super::locate::{self, Origin, Search};
use super::plugin::{self, ProviderDevice};
use super::{INSTALL_HELP, entry, library};
use crate::{Error, Kind, Result};

/// The ONNX Runtime that this process uses.
#[derive(Debug)]
pub struct Runtime {
    version: String,
    path: PathBuf,
    origin: Origin,
    environment: Environment,
}

/// The next step where even the pinned library does not work.
const OWN_HELP: &str = "set GENSET_ORT to a libonnxruntime that works on this machine";

/// Never dropped, as statics are not.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// What `ort` was given, whether or not it started.
static GIVEN: OnceLock<PathBuf> = OnceLock::new();
/// Held while opening, so that two threads do not both load.
static OPENING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// Finds, checks and opens ONNX Runtime, or gives the one that is open already.
    ///
    /// The places are those of [`candidates`](super::candidates). With [`Search::install`], the
    /// pinned one with the wanted providers is installed if there is none; plugins are not.
    ///
    /// # Errors
    /// - [`Kind::Runtime`] if none is found, or the one that was named cannot work.
    /// - [`Kind::Runtime`] if another one than the named one is open already.
    /// - [`Kind::Provider`] if it lacks a provider of [`Search::providers`], or that one finds no
    ///   device here.
    /// - Those of [`install`].
    pub fn open(search: &Search) -> Result<&'static Self> {
        let _guard = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = match RUNTIME.get() {
            Some(runtime) => runtime.reuse(search)?,
            None => Self::find(search)?,
        };
        for provider in &search.providers {
            provider.require(runtime)?;
        }
        Ok(runtime)
    }

    fn find(search: &Search) -> Result<&'static Self> {
        let mut passed_over = Vec::new();
        let load = |origin, path: PathBuf| Ok((origin, entry::load(&path)?, path));
        let (origin, version, path) = match locate::first(search, &mut passed_over, load)? {
            Some(found) => found,
            None if search.install => {
                (search.say)("no ONNX Runtime was found");
                let path = install(search.build()?, &mut |line| (search.say)(line))?;
                // It has just been checked: if it does not load, installing again will not help.
                load(Origin::Cache, path).map_err(|error| error.help(OWN_HELP))?
            }
            None => return Err(nothing_found(search, &passed_over)),
        };
        let environment = start(&path)?;
        Ok(RUNTIME.get_or_init(|| Self { version, path, origin, environment }))
    }

    /// The open runtime, if it is the one that `search` asks for.
    fn reuse(&'static self, search: &Search) -> Result<&'static Self> {
        let Some(wanted) = &search.explicit else { return Ok(self) };
        let wanted = library::resolve(wanted)
            .map_err(|error| error.at(Origin::Explicit).help(Origin::Explicit.help()))?;
        if same_file(&wanted, &self.path) {
            return Ok(self);
        }
        Err(another(&wanted, &self.path))
    }

    /// Its version, such as `1.31.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The library file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who named it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The execution providers that it was built with: `cpu`, `cuda`, … in its own order of
    /// preference. Whether one can run here is another question.
    ///
    /// # Errors
    /// [`Kind::Runtime`] if it does not say.
    pub fn providers(&self) -> Result<Vec<String>> {
        let mut names: *mut *mut c_char = std::ptr::null_mut();
        let mut count: c_int = 0;
        let api = ort::api();
        // SAFETY: both pointers are valid for a write. On success they hold `count` texts, which
        // belong to us until they are released below.
        let status = unsafe { (api.GetAvailableProviders)(&raw mut names, &raw mut count) };
        // SAFETY: the status comes from the call above and is used once.
        unsafe { ort::Error::result_from_status(status) }.map_err(|error| {
            Error::new(Kind::Runtime, format!("cannot list execution providers: {error}"))
        })?;
        let length = usize::try_from(count).unwrap_or(0);
        let providers = (0..length)
            .map(|i| {
                // SAFETY: `i` is below the count, and each element is a text that ends with a zero.
                let name = unsafe { CStr::from_ptr(*names.add(i)) }.to_string_lossy();
                name.strip_suffix("ExecutionProvider").unwrap_or(&name).to_lowercase()
            })
            .collect();
        // SAFETY: the pointer and the count are those that were given to us, released once. The
        // status would only say that they were not.
        let _ = unsafe {
            ort::Error::result_from_status((api.ReleaseAvailableProviders)(names, count))
        };
        Ok(providers)
    }

    /// The devices that installed plugins offer on this machine.
    ///
    /// # Errors
    /// [`Kind::Provider`] if a plugin cannot be loaded.
    pub fn plugin_devices(&self) -> Result<Vec<ProviderDevice>> {
        plugin::all_devices(self)
    }

    /// What sessions are made in.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Hands the library to `ort` and makes the environment.
///
/// `ort` keeps the first library that it is given and takes no other, without a word. So this is
/// the point of no return: what fails from here on is an error, and no other library is tried.
fn start(path: &Path) -> Result<Environment> {
    let held = GIVEN.get_or_init(|| path.to_path_buf());
    if !same_file(path, held) {
        return Err(another(path, held));
    }
    let builder = ort::init_from(path).map_err(|error| {
        Error::new(Kind::Runtime, format!("cannot load {}: {error}", path.display())).help(OWN_HELP)
    })?;
    let builder = builder.with_name("genset").with_telemetry(false);
    let environment = builder.build().map_err(|error| {
        Error::new(Kind::Runtime, format!("{} does not start: {error}", path.display()))
            .help(OWN_HELP)
    })?;
    // Its errors reach us as values; printing them as well would mix with our own output. Whoever
    // wants to see them sets ORT_LOG.
    if std::env::var_os("ORT_LOG").is_none() {
        environment.set_log_level(LogLevel::Fatal);
    }
    Ok(environment)
}

fn another(wanted: &Path, held: &Path) -> Error {
    let (wanted, held) = (wanted.display(), held.display());
    let rule = "one process holds one ONNX Runtime, and this one holds";
    Error::new(Kind::Runtime, format!("cannot open {wanted}: {rule} {held}"))
        .help("use another process, or name this path before anything else opens the runtime")
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn nothing_found(search: &Search, passed_over: &[String]) -> Error {
    // A provider with a package of its own brings its ONNX Runtime along.
    let missing = search.providers.iter().find(|provider| provider.is_packaged());
    let (kind, mut message, help) = match missing {
        Some(provider) => (
            Kind::Provider,
            format!("provider `{provider}`: no ONNX Runtime that has it was found"),
            provider.how_to_get(),
        ),
        None => (Kind::Runtime, "no ONNX Runtime was found".into(), INSTALL_HELP.into()),
    };
    for reason in passed_over {
        message.push_str("\n  ");
        message.push_str(reason);
    }
    match search.build() {
        Err(error) => error,
        Ok(_) => Error::new(kind, message).help(help),
    }
}
