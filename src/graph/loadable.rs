//! A model as a runtime takes it from memory: bytes, and one folder for the weights beside it.
//!
//! A cache of models keeps every file under a hash and gives it its name by a link; there both the
//! model's folder and the one it is linked to are its own. ONNX Runtime follows no link out of the
//! one folder that it is told. So such a model is given with its files by their real names.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Model;
use super::draft::Draft;
use super::external::Folders;
use super::model::hash_files;
use super::proto::EXTERNAL;
use super::tensors::each_tensor;
use crate::error::{Error, Kind, Result, ResultExt};

/// A model for a runtime.
#[derive(Debug, Clone)]
pub struct Loadable {
    /// The bytes of a model file.
    pub bytes: Bytes,
    /// The folder from which it names files of weights; `None` if it has none.
    pub folder: Option<PathBuf>,
    /// Those files.
    files: Vec<PathBuf>,
}

impl Loadable {
    /// Feeds `hasher` the model and its files of weights, as [`Model::hash_into`] does.
    ///
    /// # Errors
    /// As [`Model::hash_into`].
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) -> Result<()> {
        hash_files(&self.bytes, &self.files, hasher)
    }
}

impl Model {
    /// The model as a runtime takes it: its own bytes, unless links lead its weights elsewhere.
    ///
    /// # Errors
    /// [`Kind::Io`] if the files of weights cannot be found any more.
    pub fn loadable(&self) -> Result<Loadable> {
        let (bytes, files) = (self.bytes().clone(), self.external_files());
        let Some(path) = self.path().filter(|_| !files.is_empty()) else {
            return Ok(Loadable { bytes, folder: None, files: Vec::new() });
        };
        let folders = Folders::of(path).at(|| self.name().to_owned())?;
        if files.iter().all(|file| file.starts_with(folders.canonical())) {
            let folder = Some(folders.base().to_path_buf());
            return Ok(Loadable { bytes, folder, files: files.to_vec() });
        }
        self.relinked(&folders, &common_folder(files)).at(|| self.name().to_owned())
    }

    /// With its files of weights by their real names, from `folder`.
    fn relinked(&self, folders: &Folders, folder: &Path) -> Result<Loadable> {
        let mut draft = Draft::of(self);
        each_tensor(draft.proto_mut(), &mut |tensor, _| {
            let entries = tensor.external_data.iter_mut();
            let location = entries.into_iter().find(|entry| entry.key == "location");
            if let (EXTERNAL, Some(location)) = (tensor.data_location, location) {
                let file = folders.resolve(&location.value)?;
                let name = file.strip_prefix(folder).ok().and_then(Path::to_str);
                let name = name.ok_or_else(|| {
                    let message = format!("{} cannot be named in a model", file.display());
                    Error::new(Kind::Io, message).help("put model and weights into one folder")
                })?;
                location.value = name.replace(std::path::MAIN_SEPARATOR, "/");
            }
            Ok(())
        })?;
        let files = self.external_files().to_vec();
        Ok(Loadable { bytes: draft.bytes()?, folder: Some(folder.to_path_buf()), files })
    }
}

/// The innermost folder that all of `files`, whole paths, are in.
fn common_folder(files: &[PathBuf]) -> PathBuf {
    let mut folder = files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"));
    while !files.iter().all(|file| file.starts_with(folder)) {
        let Some(outer) = folder.parent() else { break };
        folder = outer;
    }
    folder.to_path_buf()
}
