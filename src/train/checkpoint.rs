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

use super::machine::Machine;
use super::settings::Identity;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::load::State;
use crate::whole_file::write_whole;

/// The folder of checkpoints in that of the run.
const FOLDER: &str = "checkpoints";
const PREFIX: &str = "step-";
const SUFFIX: &str = ".safetensors";
/// What a machine keeps beside its variables, as bytes.
const MEMORY: &str = "machine/memory";

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

/// Writes where `machine` is, and takes away all but the newest `keep` checkpoints.
///
/// # Errors
/// [`Kind::Io`] naming the file.
pub(super) fn save(
    folder: &Path,
    machine: &dyn Machine,
    progressed: &Progressed,
    identity: &Identity,
    keep: usize,
) -> Result<PathBuf> {
    let path = folder.join(FOLDER).join(format!("{PREFIX}{:08}{SUFFIX}", progressed.step));
    let place = path.parent().unwrap_or(folder);
    fs::create_dir_all(place).map_err(|error| Error::io(place, "create", error))?;
    let variables = machine.variables();
    let values = (0..variables.len()).map(|at| machine.values(at)).collect::<Result<Vec<_>>>()?;
    let memory = machine.memory()?;
    let mut views = Vec::new();
    let mut put = |name: &str, dtype, dims: Vec<usize>, bytes| {
        let view = TensorView::new(dtype, dims, bytes).map_err(|error| unwritten(&path, &error))?;
        views.push((name.to_owned(), view));
        Ok::<(), Error>(())
    };
    for (variable, values) in variables.iter().zip(&values) {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        put(&variable.name, Dtype::F32, variable.dims.clone(), bytes)?;
    }
    if !memory.is_empty() {
        put(MEMORY, Dtype::U8, vec![memory.len()], &memory)?;
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

/// Sets `machine` to what the checkpoint at `path` holds.
///
/// # Errors
/// [`Kind::State`] for one of another run, [`Kind::Io`] for one that is no whole file; both name
/// it.
pub(super) fn load(
    path: &Path,
    machine: &mut dyn Machine,
    identity: &Identity,
) -> Result<Progressed> {
    let bytes = fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    restore(&bytes, machine, identity).at(|| path.display())
}

fn restore(bytes: &[u8], machine: &mut dyn Machine, identity: &Identity) -> Result<Progressed> {
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
    if let Ok(memory) = tensors.tensor(MEMORY) {
        machine.remember(memory.data())?;
    }
    let places: Vec<_> = machine
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
        machine.set(at, &values)?;
    }
    Ok(Progressed { step, loader })
}

fn unwritten(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Io, format!("cannot write a checkpoint: {error}")).at(path.display())
}
