//! The text of a recipe's file.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// Bytes that a recipe may have: room for names of as many classes as anyone has.
const MAX_RECIPE_BYTES: u64 = 64 << 20;

/// The file of a recipe.
#[derive(Debug)]
pub(super) struct RecipeFile {
    pub text: String,
    /// What it is called in errors.
    pub file: String,
    /// The name that its recipe has if it gives none: the file's, without its ending.
    pub name: String,
    /// What paths in it are relative to.
    pub folder: PathBuf,
}

/// Reads the file of a recipe.
///
/// # Errors
/// [`Kind::Io`] if it cannot be read or is no text, [`Kind::Limit`] if it is too large to be one.
pub(super) fn read(path: &Path) -> Result<RecipeFile> {
    let failed = |error| Error::io(path, "read", error);
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_RECIPE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_RECIPE_BYTES {
        let mib = MAX_RECIPE_BYTES >> 20;
        return Err(Error::new(Kind::Limit, format!("has more than {mib} MiB"))
            .help("give the recipe (TOML), not the data that it is about")
            .at(path.display()));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    Ok(RecipeFile { text, file: path.display().to_string(), name, folder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_that_fills_memory_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let error = read(file.path()).unwrap_err();
        assert!(error.is_limit() && error.to_string().contains("more than 64 MiB"), "{error}");
    }
}
