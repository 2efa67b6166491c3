//! The rule for files that a recipe names: they lie beside the recipe or below it.

use std::path::{Component, Path, PathBuf};

use super::invalid;
use super::read::Field;
use crate::error::Result;

/// A relative path without `..`; the help says `what` is there, such as "the model".
pub(super) fn path(field: &Field<'_>, what: &str) -> Result<PathBuf> {
    let text = field.str()?;
    let path = PathBuf::from(text);
    let inside =
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if text.is_empty() || !inside {
        return Err(field
            .error(format!("may not leave the recipe's folder, as \"{text}\" does"))
            .help(format!("put {what} beside the recipe, or in a folder below it")));
    }
    Ok(path)
}

/// Follows links: a file that is one may lead outside of `folder`. The error is at `key`.
pub(crate) fn stay_inside(folder: &Path, path: &Path, what: &str, key: &str) -> Result<()> {
    let (Ok(folder), Ok(real)) = (folder.canonicalize(), path.canonicalize()) else {
        // Reading it will say what is missing.
        return Ok(());
    };
    if real.starts_with(&folder) {
        return Ok(());
    }
    let (path, real) = (path.display(), real.display());
    Err(invalid(format!("{path} leads to {real}, outside the recipe's folder"))
        .at(key)
        .help(format!("put {what} itself beside the recipe")))
}
