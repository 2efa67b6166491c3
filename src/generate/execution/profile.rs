//! What was measured for a model on a machine, kept in the user's cache.
//!
//! One JSON file a model, provider, precision, runtime and CPU, in `profiles` beside the installed
//! runtimes. Datasets that are opened with [`Rewrites::Auto`](super::Rewrites::Auto) follow it, so
//! it decides low bits of what they deliver: one that cannot be read, or is not what its name says,
//! is an error and never passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::edit::{Change, Edit};
use super::offers::Offers;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::Model;
use crate::recipe::Precision;
use crate::runtime::{Provider, Runtime, cache_folder};
use crate::whole_file::write_whole;

/// The largest file that can be a profile.
const MAX_BYTES: u64 = 1 << 20;

const HELP: &str = "run `genset tune` again, or delete the file, or use --rewrites none";

/// What a profile is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileKey {
    /// BLAKE3 of the model's files.
    pub model: String,
    /// Inputs that the recipe fixes. What fits the model depends on them.
    pub fixed_inputs: Vec<String>,
    /// Whether the graph could deliver what the recipe asks for, as well.
    pub epilogue: bool,
    /// Execution providers, in order of preference.
    pub providers: Vec<String>,
    /// What floats are computed in.
    pub precision: String,
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// The processor's name.
    pub cpu: String,
}

/// How a model runs best on a machine, as far as was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The version of genset that measured.
    pub genset: String,
    /// What it is for.
    pub key: ProfileKey,
    /// The edits to take.
    pub rewrites: Vec<Edit>,
    /// Generator sessions of a loader.
    pub sessions: usize,
    /// Threads inside one call.
    pub threads: usize,
    /// What was measured, by name; for people.
    pub measured: BTreeMap<String, f64>,
}

impl Offers {
    /// What the profile of `model`, which these are the offers of, is found by.
    ///
    /// # Errors
    /// Those of reading the model's files.
    pub fn key(
        &self,
        model: &Model,
        runtime: &Runtime,
        providers: &[Provider],
        precision: Precision,
    ) -> Result<ProfileKey> {
        let mut hasher = blake3::Hasher::new();
        model.hash_into(&mut hasher)?;
        let named = |change| self.edits().iter().filter(move |edit| edit.rewrite == change);
        Ok(ProfileKey {
            model: hasher.finalize().to_hex().to_string(),
            fixed_inputs: named(Change::FixedInputs).map(|edit| edit.node.clone()).collect(),
            epilogue: named(Change::Epilogue).next().is_some(),
            providers: provider_names(providers),
            precision: precision.name().to_owned(),
            runtime: runtime.version().to_owned(),
            cpu: crate::process::cpu_name(),
        })
    }
}

/// The names of providers, or of the one that runs if none is named.
#[must_use]
pub fn provider_names(providers: &[Provider]) -> Vec<String> {
    let providers = if providers.is_empty() { &[Provider::Cpu] } else { providers };
    providers.iter().map(|provider| provider.name().to_owned()).collect()
}

impl ProfileKey {
    /// The name of its file.
    fn file(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        format!("{}.json", &blake3::hash(&text).to_hex()[..32])
    }
}

impl Profile {
    /// The profile for `key` in the user's cache, if there is one.
    ///
    /// # Errors
    /// [`Kind::State`] for a file that is broken or for something else, [`Kind::Io`] for one that
    /// cannot be read; both name it.
    pub fn load(key: &ProfileKey) -> Result<Option<Self>> {
        match folder() {
            Ok(folder) => Self::load_from(&folder, key),
            // Who has no cache has no profile.
            Err(_) => Ok(None),
        }
    }

    /// As [`Profile::load`], from `folder`.
    ///
    /// # Errors
    /// As [`Profile::load`].
    pub fn load_from(folder: &Path, key: &ProfileKey) -> Result<Option<Self>> {
        let path = folder.join(key.file());
        let size = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path, "read", error)),
        };
        let broken = |why: String| {
            Error::new(Kind::State, format!("this is no profile: {why}"))
                .at(path.display())
                .help(HELP)
        };
        if size > MAX_BYTES {
            return Err(broken(format!("it has {size} bytes")));
        }
        let bytes = std::fs::read(&path).map_err(|error| Error::io(&path, "read", error))?;
        let profile: Self =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if profile.key != *key {
            return Err(broken("it is for another model or machine".into()));
        }
        if profile.sessions == 0 || profile.threads == 0 {
            return Err(broken("sessions and threads are 1 at least".into()));
        }
        Ok(Some(profile))
    }

    /// Writes it to the user's cache, over one that is there for the same key, and gives the file.
    ///
    /// # Errors
    /// [`Kind::Io`] naming the file or folder.
    pub fn store(&self) -> Result<PathBuf> {
        self.store_in(&folder()?)
    }

    /// As [`Profile::store`], in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Kind::Io`] naming the file or folder.
    pub fn store_in(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "make", error))?;
        let path = folder.join(self.key.file());
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(Kind::Io, format!("cannot write JSON: {error}")))
            .at(|| path.display())?;
        write_whole(&path, &text)?;
        Ok(path)
    }

    /// An error for a profile that does not fit what it is for.
    pub(super) fn foreign(&self, why: &str) -> Error {
        let file = folder().map(|folder| folder.join(self.key.file()));
        let error = Error::new(
            Kind::State,
            format!("the profile that genset {} stored does not fit: {why}", self.genset),
        );
        let error = match file {
            Ok(file) => error.at(file.display()),
            Err(_) => error,
        };
        error.help(HELP)
    }
}

/// The folder of all profiles.
fn folder() -> Result<PathBuf> {
    Ok(cache_folder()?.join("profiles"))
}
