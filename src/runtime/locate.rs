//! Where ONNX Runtime is looked for, in order, and what was found at each place.
//!
//! What someone named (a flag, an environment variable) is used or is an error; it is never passed
//! over in silence. What was merely found (our cache, a Python package) is passed over if it cannot
//! work, and the reason is kept.

use std::fmt;
use std::path::PathBuf;

use super::cache::{self, variable};
use super::library;
use super::package::Package;
use super::provider::Provider;
use super::{INSTALL_HELP, python};
use crate::{Error, Kind, Result};

/// How to look for ONNX Runtime.
#[derive(Debug, Clone)]
pub struct Search {
    /// A library, or the folder that holds it. Nothing else is considered if it is given.
    pub explicit: Option<PathBuf>,
    /// The folder of the `onnxruntime` package of the Python that this process is. It goes before the
    /// cache, being what this Python was given; without it, the active Python is asked after the cache.
    pub package: Option<PathBuf>,
    /// The providers that it must have. Some come with an ONNX Runtime of their own, and a process
    /// holds one: what was merely found is passed over if it lacks one of these.
    pub providers: Vec<Provider>,
    /// Install the pinned ONNX Runtime if none is found.
    pub install: bool,
    /// Is told what an installation does, a line at a time.
    pub say: fn(&str),
}

impl Search {
    /// The whole ONNX Runtime that has all the providers.
    ///
    /// # Errors
    /// [`Kind::Provider`] if two of them come with different ones.
    pub(super) fn build(&self) -> Result<Package> {
        let mut chosen: Option<(Provider, Package)> = None;
        for &provider in &self.providers {
            let Some(package) = provider.build() else { continue };
            match chosen {
                Some((other, with)) if with != package => {
                    return Err(Error::new(
                        Kind::Provider,
                        format!(
                            "providers `{other}` and `{provider}` come with different builds of \
                             ONNX Runtime, and one process holds one"
                        ),
                    )
                    .help("choose one of them, or name a build that has both by --ort"));
                }
                _ => chosen = Some((provider, package)),
            }
        }
        Ok(chosen.map_or(Package::OnnxRuntime, |(_, package)| package))
    }
}

impl Default for Search {
    fn default() -> Self {
        Self { explicit: None, package: None, providers: Vec::new(), install: false, say: |_| {} }
    }
}

/// Who named a candidate, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// `--ort`, or [`Search::explicit`].
    Explicit,
    /// The environment variable `GENSET_ORT`.
    GensetOrt,
    /// The environment variable `ORT_DYLIB_PATH`.
    OrtDylibPath,
    /// What `genset runtime install` put into the cache.
    Cache,
    /// The `onnxruntime` package of the active Python.
    Python,
}

impl Origin {
    /// Whether someone asked for this one by name, so that passing over it would be wrong.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, Self::Explicit | Self::GensetOrt | Self::OrtDylibPath)
    }

    /// The next step if the library from here cannot work.
    pub(super) fn help(self) -> String {
        match self {
            Self::Explicit => format!("name another library, or none: {INSTALL_HELP}"),
            Self::GensetOrt | Self::OrtDylibPath => {
                format!("set {self} to another library, or unset it: {INSTALL_HELP}")
            }
            Self::Cache | Self::Python => INSTALL_HELP.into(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "--ort",
            Self::GensetOrt => "GENSET_ORT",
            Self::OrtDylibPath => "ORT_DYLIB_PATH",
            Self::Cache => "cache",
            Self::Python => "Python",
        })
    }
}

/// One place that was looked at.
#[derive(Debug)]
pub struct Candidate {
    /// Who named it.
    pub origin: Origin,
    /// The library file, or the place where it was expected. `None` if no place was named.
    pub path: Option<PathBuf>,
    /// What was found there.
    pub verdict: Verdict,
}

/// What was found at a place, before anything was loaded.
#[derive(Debug)]
pub enum Verdict {
    /// A library that looks right. Only loading it tells for sure.
    Usable,
    /// Nothing is there; why.
    Absent(String),
    /// Something is there that cannot work; why.
    Refused(Error),
}

/// Looks at a place.
type Look = fn(&Search) -> Candidate;

/// The places, best first; each origin once.
fn places(search: &Search) -> [Look; 5] {
    let [fourth, fifth]: [Look; 2] = match search.package {
        Some(_) => [of_python, cached],
        None => [cached, of_python],
    };
    [
        |search| named(Origin::Explicit, search.explicit.clone(), "not given"),
        |_| named(Origin::GensetOrt, variable("GENSET_ORT").map(PathBuf::from), "not set"),
        |_| named(Origin::OrtDylibPath, variable("ORT_DYLIB_PATH").map(PathBuf::from), "not set"),
        fourth,
        fifth,
    ]
}

/// Looks at every place, best first, once for each [`Origin`]. Nothing is loaded or installed.
///
/// The first one whose verdict is not [`Verdict::Absent`] is the one that
/// [`Runtime::open`](super::Runtime::open) takes, except that it passes over refused ones that
/// nobody [named](Origin::is_named).
#[must_use]
pub fn candidates(search: &Search) -> Vec<Candidate> {
    places(search).iter().map(|look| look(search)).collect()
}

/// Goes through the places in order and stops at the first that will do. Later ones are not looked
/// at: starting a Python takes longer than everything else together.
///
/// `accept` may still refuse what looks right, for instance because it does not load. Why places
/// were passed over is added to `passed_over`.
///
/// # Errors
/// That of a named candidate that cannot work.
pub(super) fn first<T>(
    search: &Search,
    passed_over: &mut Vec<String>,
    mut accept: impl FnMut(Origin, PathBuf) -> Result<T>,
) -> Result<Option<T>> {
    for look in places(search) {
        let Candidate { origin, path, verdict } = look(search);
        let error = match (verdict, path) {
            (Verdict::Usable, Some(path)) => match accept(origin, path) {
                Ok(value) => return Ok(Some(value)),
                Err(error) => error.help(origin.help()),
            },
            (Verdict::Refused(error), _) => error,
            (Verdict::Absent(why), _) => {
                passed_over.push(format!("{origin}: {why}"));
                continue;
            }
            (Verdict::Usable, None) => continue,
        };
        if origin.is_named() {
            return Err(error.at(origin));
        }
        passed_over.push(format!("{origin}: {}", error.summary()));
    }
    Ok(None)
}

/// A place that someone named: whatever is wrong with it is refused, never absent.
fn named(origin: Origin, path: Option<PathBuf>, unset: &str) -> Candidate {
    let Some(path) = path else {
        return Candidate { origin, path: None, verdict: Verdict::Absent(unset.into()) };
    };
    match library::resolve(&path) {
        Ok(library) => judged(origin, library),
        Err(error) => Candidate {
            origin,
            path: Some(path),
            verdict: Verdict::Refused(error.help(origin.help())),
        },
    }
}

/// The build that has the providers. Where none is asked for, any that is installed will do.
fn cached(search: &Search) -> Candidate {
    let origin = Origin::Cache;
    let refused = |error: Error| Candidate {
        origin,
        path: None,
        verdict: Verdict::Refused(error.help(origin.help())),
    };
    let package = match search.build() {
        Ok(package) => package,
        Err(error) => return refused(error),
    };
    let others = [Package::Cuda, Package::OpenVino];
    let others = others.iter().filter(|_| package == Package::OnnxRuntime);
    for package in std::iter::once(&package).chain(others) {
        match cache::folder(*package) {
            Err(error) => return refused(error),
            Ok(folder) => {
                if let Some(library) = library::inside(&folder) {
                    return judged(origin, library);
                }
            }
        }
    }
    Candidate {
        origin,
        path: cache::folder(package).ok(),
        verdict: Verdict::Absent(format!("{package} is not installed")),
    }
}

fn of_python(search: &Search) -> Candidate {
    let origin = Origin::Python;
    let (folder, python) = match &search.package {
        Some(folder) => (folder.clone(), "this Python".to_owned()),
        None => match python::find_package() {
            python::Found::Nothing(why) => {
                return Candidate { origin, path: None, verdict: Verdict::Absent(why) };
            }
            python::Found::Package { folder, python } => (folder, python.display().to_string()),
        },
    };
    let Some(library) = library::inside(&folder.join("capi")) else {
        let why = format!("the onnxruntime of {python} holds no library");
        return Candidate { origin, path: Some(folder), verdict: Verdict::Absent(why) };
    };
    match search.providers.iter().find(|provider| !provider.may_be_in(&library)) {
        None => judged(origin, library),
        Some(provider) => {
            let why = format!("the onnxruntime of {python} has no provider `{provider}`");
            Candidate { origin, path: Some(library), verdict: Verdict::Absent(why) }
        }
    }
}

fn judged(origin: Origin, library: PathBuf) -> Candidate {
    let verdict = match library::check(&library) {
        Ok(()) => Verdict::Usable,
        Err(error) => Verdict::Refused(error.help(origin.help())),
    };
    Candidate { origin, path: Some(library), verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_cannot_hold_two_builds() {
        let search =
            |providers: &[Provider]| Search { providers: providers.to_vec(), ..Search::default() };
        let build = |providers: &[Provider]| search(providers).build();
        assert_eq!(build(&[]).unwrap(), Package::OnnxRuntime);
        assert_eq!(build(&[Provider::TensorRt, Provider::Cuda]).unwrap(), Package::Cuda);
        assert_eq!(build(&[Provider::TensorRtRtx]).unwrap(), Package::OnnxRuntime);
        let both = build(&[Provider::OpenVino, Provider::Cuda, Provider::Cpu]);
        match Package::openvino() {
            Package::OpenVino => {
                let error = both.unwrap_err().to_string();
                assert!(error.contains("`openvino` and `cuda`"), "{error}");
            }
            _ => assert_eq!(both.unwrap(), Package::Cuda),
        }
    }

    #[test]
    fn what_was_named_is_refused_and_never_passed_over() {
        let search = Search { explicit: Some("/no/such/thing".into()), ..Search::default() };
        let mut passed_over = Vec::new();
        let error = first(&search, &mut passed_over, |_, _| Ok(())).unwrap_err();
        assert!(error.summary().starts_with("--ort: "), "{error}");
        assert!(error.summary().contains("does not exist"), "{error}");
        assert!(passed_over.is_empty());
    }

    #[test]
    fn the_package_of_this_python_goes_before_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let origins = |package: Option<PathBuf>| {
            let looked = candidates(&Search { package, ..Search::default() });
            looked.iter().map(|candidate| candidate.origin).collect::<Vec<_>>()
        };
        use Origin::{Cache, Python};
        assert_eq!(origins(None)[3..], [Cache, Python]);
        assert_eq!(origins(Some(folder.path().into()))[3..], [Python, Cache]);
        let search = Search { package: Some(folder.path().into()), ..Search::default() };
        let Verdict::Absent(why) = of_python(&search).verdict else { panic!("{search:?}") };
        assert!(why.contains("this Python holds no library"), "{why}");
    }

    #[test]
    fn a_folder_means_the_library_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let search = Search { explicit: Some(folder.path().into()), ..Search::default() };
        let candidate = named(Origin::Explicit, search.explicit.clone(), "");
        let Verdict::Refused(error) = candidate.verdict else { panic!("{candidate:?}") };
        assert!(error.summary().contains("is a folder without"), "{error}");

        let name = if cfg!(windows) {
            "onnxruntime.dll"
        } else if cfg!(target_os = "macos") {
            "libonnxruntime.1.31.1.dylib"
        } else {
            "libonnxruntime.so.1.31.1"
        };
        let inner = folder.path().join("lib");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join(name), "text").unwrap();
        let candidate = named(Origin::Explicit, search.explicit, "");
        assert_eq!(candidate.path, Some(inner.join(name)));
        assert!(matches!(candidate.verdict, Verdict::Refused(_)));
    }
}
