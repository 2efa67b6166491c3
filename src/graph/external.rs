//! Weights that lie in files beside the model.
//!
//! A model names these files, so a hostile one could name any file of the machine. Each location
//! must stay inside the model's folder, also after following links, and hold the bytes promised.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::body::{Bodies, Functions};
use super::constant::elements;
use super::proto::{EXTERNAL, ModelProto, TensorProto};
use super::value::Element;
use crate::error::{Error, Kind, Result, ResultExt};

/// By this location ONNX Runtime means an address in its own memory.
const MEMORY_ADDRESS: &str = "_ORT_MEM_ADDR_";

/// The files that hold weights of `model`, canonical, in order of first use.
///
/// `path` is the model's own; without one no file is allowed.
///
/// # Errors
/// Names the tensor and the location that leaves the folder, is missing, or is too short.
pub(super) fn files(model: &ModelProto, path: Option<&Path>) -> Result<Vec<PathBuf>> {
    let bodies = Bodies::of(model, Functions::All);
    let mut folders: Option<Folders> = None;
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for tensor in bodies.tensors().filter(|tensor| tensor.data_location == EXTERNAL) {
        let place = || format!("tensor `{}`", tensor.name);
        let span = Span::of(tensor).at(place)?;
        let Some(path) = path else {
            let message =
                format!("its data is in `{}`, but an embedded model has no files", span.location);
            return Err(Error::new(Kind::Model, message)
                .help("save the model as one file, or open it by its path")
                .at(place()));
        };
        if folders.is_none() {
            folders = Some(Folders::of(path)?);
        }
        let Some(folders) = &folders else { continue };
        let file = folders.resolve(span.location).at(place)?;
        span.check(tensor, &file).at(place)?;
        if seen.insert(file.clone()) {
            files.push(file);
        }
    }
    Ok(files)
}

/// The bytes of `tensor`, which lie in a file beside the model at `path`, as a stream of so many.
///
/// # Errors
/// As [`files`]: everything is checked again, as the file may be another by now.
pub(super) fn open(tensor: &TensorProto, path: &Path) -> Result<(u64, impl Read + use<>)> {
    let place = || format!("tensor `{}`", tensor.name);
    let span = Span::of(tensor).at(place)?;
    let path = Folders::of(path)?.resolve(span.location).at(place)?;
    let length = span.check(tensor, &path).at(place)?;
    let read = || -> std::io::Result<File> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(span.offset))?;
        Ok(file)
    };
    let file = read().map_err(|error| Error::io(&path, "read", error))?;
    Ok((length, file.take(length)))
}

/// `tensor` with its data inside, read from beside the model at `path` if it lies there.
///
/// # Errors
/// As [`open`]. A model without a path has all its data inside, which was checked when it was read.
pub(super) fn whole<'t>(
    tensor: &'t TensorProto,
    path: Option<&Path>,
) -> Result<Cow<'t, TensorProto>> {
    match path.filter(|_| tensor.data_location == EXTERNAL) {
        Some(path) => inside(tensor, path).map(Cow::Owned),
        None => Ok(Cow::Borrowed(tensor)),
    }
}

/// `tensor`, which lies in a file beside the model at `path`, with its data inside.
///
/// # Errors
/// As [`open`].
pub(super) fn inside(tensor: &TensorProto, path: &Path) -> Result<TensorProto> {
    let (length, mut file) = open(tensor, path)?;
    let mut raw = Vec::new();
    let read = file.read_to_end(&mut raw);
    let read = read.map_err(|error| Error::io(path, "read weights beside", error))?;
    if read as u64 != length {
        let message = format!("tensor `{}` changed while it was read", tensor.name);
        return Err(Error::new(Kind::Io, message));
    }
    Ok(TensorProto {
        raw_data: Some(raw.into()),
        external_data: Vec::new(),
        data_location: 0,
        ..tensor.clone()
    })
}

/// Where a model may have its files.
pub(super) struct Folders {
    /// The folder as the caller named it: locations are relative to it.
    base: PathBuf,
    /// The same, canonical; and where the model file really is, if it is reached by a link, as
    /// in caches that keep a folder of links to a folder of contents.
    allowed: [PathBuf; 2],
}

impl Folders {
    /// Of the model at `path`.
    pub fn of(path: &Path) -> Result<Self> {
        let canonical =
            |path: &Path| path.canonicalize().map_err(|error| Error::io(path, "resolve", error));
        let base = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let mut real = canonical(path)?;
        real.pop();
        Ok(Self { allowed: [canonical(&base)?, real], base })
    }

    /// The folder as the caller named it.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The same, canonical.
    pub fn canonical(&self) -> &Path {
        &self.allowed[0]
    }

    /// The canonical path of `location`, which must be a file inside the folder.
    pub fn resolve(&self, location: &str) -> Result<PathBuf> {
        let refuse = |why: &str| {
            Error::new(Kind::Model, format!("its data is at `{location}`, {why}"))
                .help("external data must be a file in the model's own folder, named without `..`")
        };
        if location.contains(MEMORY_ADDRESS) {
            return Err(refuse("which is an address in memory"));
        }
        let path = Path::new(location);
        let plain =
            path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        // On every system: a recipe must mean the same on all of them.
        if location.is_empty() || !plain || location.contains(['\\', ':', '\0']) {
            return Err(refuse("which is no plain relative path"));
        }
        let file = self.base.join(path).canonicalize().map_err(|error| {
            let name = path.display();
            Error::new(
                Kind::Model,
                format!("its data is at `{name}`, which cannot be read: {error}"),
            )
            .help(format!("put `{name}` beside the model: both were exported together"))
            .because(error)
        })?;
        if !self.allowed.iter().any(|folder| file.starts_with(folder)) {
            return Err(refuse("which leads out of the model's folder"));
        }
        Ok(file)
    }
}

/// The part of a file that a tensor takes.
struct Span<'a> {
    location: &'a str,
    offset: u64,
    length: Option<u64>,
}

impl<'a> Span<'a> {
    fn of(tensor: &'a TensorProto) -> Result<Self> {
        let entry = |key: &str| {
            let mut found = tensor.external_data.iter().filter(|entry| entry.key == key);
            match (found.next(), found.next()) {
                // Readers differ in which of two they believe.
                (_, Some(_)) => {
                    Err(Error::new(Kind::Model, format!("its external data has two `{key}`")))
                }
                (first, None) => Ok(first.map(|entry| entry.value.as_str())),
            }
        };
        let number = |key: &str| {
            let text = entry(key)?;
            let parse = |text: &str| {
                text.parse::<u64>().map_err(|_| {
                    Error::new(Kind::Model, format!("its `{key}` is `{text}`, no count of bytes"))
                })
            };
            text.map(parse).transpose()
        };
        Ok(Self {
            location: entry("location")?.unwrap_or(""),
            offset: number("offset")?.unwrap_or(0),
            length: number("length")?,
        })
    }

    /// Checks that the span is as long as the tensor, and inside the file. Gives its length.
    fn check(&self, tensor: &TensorProto, file: &Path) -> Result<u64> {
        let metadata = file.metadata().map_err(|error| Error::io(file, "read", error))?;
        let location = self.location;
        if !metadata.is_file() {
            return Err(Error::new(
                Kind::Model,
                format!("its data is at `{location}`, which is no file"),
            ));
        }
        let shape = &tensor.dims;
        let element = Element::from_onnx(tensor.data_type);
        let bits = element.bits().ok_or_else(|| {
            Error::new(Kind::Model, format!("tensors of {element} cannot lie in another file"))
        })?;
        let count = u128::from(elements(shape)?);
        let needed = (count * bits as u128).div_ceil(8);
        if self.length.is_some_and(|length| u128::from(length) != needed) {
            let length = self.length.unwrap_or(0);
            let message = format!(
                "shape {shape:?} of {element} needs {needed} bytes, `{location}` is said to hold {length}"
            );
            return Err(Error::new(Kind::Model, message));
        }
        let end = u128::from(self.offset) + needed;
        if end > u128::from(metadata.len()) {
            let message = format!(
                "its data ends at byte {end} of `{location}`, which has {}",
                metadata.len()
            );
            return Err(Error::new(Kind::Model, message)
                .help(format!("`{location}` is cut short or another model's: fetch it again")));
        }
        // It ends inside a file, whose length is a `u64`.
        Ok(needed as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::graph::build::{self, external};
    use crate::graph::proto::StringStringEntryProto;

    /// A folder with a 16-byte `w.bin`, and a model whose tensor of 4 floats is at `location`.
    fn read(location: &str, change: impl FnOnce(&Path, &mut TensorProto)) -> Result<Vec<PathBuf>> {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("inner");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("w.bin"), [0; 16]).unwrap();
        fs::write(outer.path().join("secret.bin"), [0; 16]).unwrap();
        fs::write(folder.join("model.onnx"), []).unwrap();
        let mut tensor = external("w", &[4], location);
        change(&folder, &mut tensor);
        files(&build::model(vec![], vec![tensor]), Some(&folder.join("model.onnx")))
    }

    fn refused(result: Result<Vec<PathBuf>>, words: &str) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("tensor `w`") && error.contains(words), "{error}");
    }

    fn entry(key: &str, value: &str) -> StringStringEntryProto {
        StringStringEntryProto { key: key.into(), value: value.into() }
    }

    #[test]
    fn a_file_beside_the_model_is_found() {
        let files = read("w.bin", |_, tensor| {
            tensor.external_data.extend([entry("offset", "0"), entry("length", "16")]);
        });
        let files = files.unwrap();
        assert!(files[0].is_absolute() && files[0].ends_with("inner/w.bin"), "{files:?}");
    }

    #[test]
    fn locations_that_leave_the_folder() {
        for location in
            ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "..\\secret", "C:w", ""]
        {
            refused(read(location, |_, _| ()), "no plain relative path");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_that_leaves_the_folder() {
        let link = |folder: &Path, _: &mut TensorProto| {
            std::os::unix::fs::symlink("../secret.bin", folder.join("link")).unwrap();
        };
        refused(read("link", link), "leads out of the model's folder");
        let up = |folder: &Path, _: &mut TensorProto| {
            std::os::unix::fs::symlink("..", folder.join("up")).unwrap();
        };
        refused(read("up/secret.bin", up), "leads out of the model's folder");
    }

    #[test]
    #[cfg(unix)]
    fn a_cache_of_links_to_model_and_weights_works() {
        let cache = tempfile::tempdir().unwrap();
        let (blobs, snapshot) = (cache.path().join("blobs"), cache.path().join("snapshot"));
        fs::create_dir(&blobs).unwrap();
        fs::create_dir(&snapshot).unwrap();
        for (blob, name) in [("1", "model.onnx"), ("2", "w.bin")] {
            fs::write(blobs.join(blob), [0; 16]).unwrap();
            std::os::unix::fs::symlink(blobs.join(blob), snapshot.join(name)).unwrap();
        }
        let model = build::model(vec![], vec![external("w", &[4], "w.bin")]);
        let files = files(&model, Some(&snapshot.join("model.onnx"))).unwrap();
        assert!(files[0].ends_with("blobs/2"), "{files:?}");
    }

    #[test]
    fn an_address_in_memory_even_if_a_file_has_that_name() {
        let location = "*/_ORT_MEM_ADDR_/*";
        let make = |folder: &Path, _: &mut TensorProto| {
            fs::create_dir_all(folder.join("*/_ORT_MEM_ADDR_")).unwrap();
            fs::write(folder.join(location), [0; 16]).unwrap();
        };
        refused(read(location, make), "address in memory");
    }

    #[test]
    fn missing_short_and_overlong_files() {
        refused(read("gone.bin", |_, _| ()), "`gone.bin`");
        refused(read(".", |_, _| ()), "no file");
        refused(read("w.bin", |_, tensor| tensor.dims = vec![5]), "ends at byte 20");
        let offset = |text: &'static str| {
            move |_: &Path, tensor: &mut TensorProto| {
                tensor.external_data.push(entry("offset", text))
            }
        };
        refused(read("w.bin", offset("1")), "ends at byte 17");
        refused(read("w.bin", offset("18446744073709551615")), "ends at byte");
        refused(read("w.bin", offset("-1")), "no count of bytes");
        refused(read("w.bin", |_, t| t.external_data.push(entry("length", "8"))), "needs 16 bytes");
        refused(
            read("w.bin", |_, t| t.external_data.push(entry("location", "x"))),
            "two `location`",
        );
    }

    #[test]
    fn an_embedded_model_has_no_files() {
        let model = build::model(vec![], vec![external("w", &[4], "w.bin")]);
        refused(files(&model, None), "embedded");
    }
}
