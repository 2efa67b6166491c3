//! A run's state on disk: one safetensors file with every variable, and in its metadata the step
//! and where the loader is.
//!
//! A file has its name only when it is whole. Read back, every number is bit by bit what it was.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::settings::Identity;
use super::trainer::Trainer;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::load::State;
use crate::whole_file::write_whole;

/// The folder of checkpoints in that of the run.
const FOLDER: &str = "checkpoints";
const PREFIX: &str = "step-";
const SUFFIX: &str = ".safetensors";

/// Where a run is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Progressed {
    /// Steps that are done.
    pub step: u64,
    /// Where the loader is; `None` before its first batch.
    pub loader: Option<State>,
}

/// The checkpoints of the run in `folder`, with their steps, oldest first.
///
/// # Errors
/// [`Kind::Io`].
pub(super) fn all(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = folder.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(&folder, "read", error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(&folder, "read", error))?;
        let name = entry.file_name();
        let step = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        found.extend(step.map(|step| (step, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Writes where `trainer` is, and takes away all but the newest `keep` checkpoints.
///
/// # Errors
/// [`Kind::Io`] naming the file.
pub(super) fn save(
    folder: &Path,
    trainer: &Trainer,
    progressed: &Progressed,
    identity: &Identity,
    keep: usize,
) -> Result<PathBuf> {
    let path = folder.join(FOLDER).join(format!("{PREFIX}{:08}{SUFFIX}", progressed.step));
    let place = path.parent().unwrap_or(folder);
    fs::create_dir_all(place).map_err(|error| Error::io(place, "create", error))?;
    let mut views = Vec::new();
    for (at, variable) in trainer.variables().iter().enumerate() {
        let bytes: &[u8] = bytemuck::cast_slice(trainer.values(at)?);
        let view = TensorView::new(Dtype::F32, variable.dims.clone(), bytes);
        views.push((variable.name.clone(), view.map_err(|error| unwritten(&path, &error))?));
    }
    let text = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
    let metadata = HashMap::from([
        ("genset.step".to_owned(), progressed.step.to_string()),
        ("genset.loader".to_owned(), text(serde_json::to_string(&progressed.loader))),
        ("genset.run".to_owned(), text(serde_json::to_string(identity))),
    ]);
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|error| unwritten(&path, &error))?;
    write_whole(&path, &bytes)?;
    let all = all(folder)?;
    for (_, old) in &all[..all.len().saturating_sub(keep.max(1))] {
        fs::remove_file(old).map_err(|error| Error::io(old, "remove", error))?;
    }
    Ok(path)
}

/// Sets `trainer` to what the checkpoint at `path` holds.
///
/// # Errors
/// [`Kind::State`] for one of another run, [`Kind::Io`] for one that is no whole file; both name
/// it.
pub(super) fn load(path: &Path, trainer: &mut Trainer, identity: &Identity) -> Result<Progressed> {
    let bytes = fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    restore(&bytes, trainer, identity).at(|| path.display())
}

fn restore(bytes: &[u8], trainer: &mut Trainer, identity: &Identity) -> Result<Progressed> {
    let broken = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Io, format!("is no checkpoint: {error}"))
            .help("remove it, and the run goes on from the one before")
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| broken(&error))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| broken(&error))?;
    let metadata = header.metadata().as_ref();
    let entry = |key: &str| {
        let text = metadata.and_then(|metadata| metadata.get(key)).map_or("null", String::as_str);
        serde_json::from_str::<Value>(text).map_err(|error| broken(&error))
    };
    identity.check(&entry("genset.run")?)?;
    let step = entry("genset.step")?.as_u64().ok_or_else(|| broken(&"it names no step"))?;
    let loader = serde_json::from_value(entry("genset.loader")?).map_err(|error| broken(&error))?;
    let places: Vec<_> = trainer
        .variables()
        .iter()
        .enumerate()
        .map(|(at, variable)| (at, variable.name.clone(), variable.dims.clone()))
        .collect();
    for (at, name, dims) in places {
        let tensor = tensors.tensor(&name).map_err(|error| broken(&error))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != dims {
            return Err(broken(&format!("`{name}` is {:?}, not {dims:?}", tensor.shape())));
        }
        let values: Vec<f32> =
            tensor.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        trainer.set(at, &values)?;
    }
    Ok(Progressed { step, loader })
}

fn unwritten(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Io, format!("cannot write a checkpoint: {error}")).at(path.display())
}
