//! A dataset that a stream is measured against, and the bytes that it has on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::codec::Encoding;
use crate::error::{Error, Result, ResultExt};
use crate::load::{Dataset, Generated, Options};
use crate::open::describe;
use crate::recipe::{Described, Dtype, Notes, SourceRecipe};
use crate::shard::{Contents, Format, Manifest, Shards};

/// Where a contender's images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// They are what is compared with the others.
    Live,
    /// They are those of the stream, written for the comparison.
    Export,
    /// They were there before.
    Dataset,
}

/// A dataset that a stream is measured against.
#[derive(Debug, Clone)]
pub struct Rival {
    /// What it is called in tables.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Where its images come from.
    pub origin: Origin,
    /// Itself.
    pub dataset: Dataset,
    /// How long it took to open it.
    pub opened: Duration,
    /// Bytes of its files, where they are known.
    pub bytes: Option<u64>,
    /// Seconds that it took to write an image of it, where that was measured.
    pub store: Option<f64>,
    /// Whether its images can be delivered as they lie in a memory map.
    pub mapped: bool,
}

impl Rival {
    /// Opens whatever [`Dataset::open`] does. Stored images of no size of their own, or of another
    /// one, are brought to `[C, H, W]`, as `source.size` and `source.channels` do it, unless a
    /// recipe says otherwise: so that images are compared that are alike.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open(path: &Path, image: [usize; 3], options: Options) -> Result<Self> {
        let name = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        let mut described = describe(path, &[])?;
        let (mut mapped, mut place) = (false, None);
        if let Described::Stored(recipe) = &mut described {
            place = Some(recipe.path());
            mapped = fit(recipe, image)?;
        }
        let begun = Instant::now();
        let dataset = Dataset::of_description(described, options).at(|| path.display())?;
        let opened = begun.elapsed();
        let bytes = match place {
            Some(place) => bytes_at(&place)?,
            None => Some(generator_bytes(dataset.generated()?)?),
        };
        let (path, origin) = (path.to_path_buf(), Origin::Dataset);
        Ok(Self { name, path, origin, dataset, opened, bytes, store: None, mapped })
    }
}

/// Has stored images brought to `image`, if need be. Says whether a map could deliver them.
fn fit(recipe: &mut SourceRecipe, image: [usize; 3]) -> Result<bool> {
    let path = recipe.path();
    if Shards::is_there(&path) {
        let shards = Shards::open(&path)?;
        let Manifest { format, contents, form, .. } = shards.manifest();
        let alike = form.groups.iter().all(|group| group.form.planes() == image);
        // Floats have been normalised for someone: they are no pictures that could be resized.
        if alike || form.groups.iter().any(|group| group.form.dtype != Dtype::U8) {
            return Ok(recipe.is_as_stored()
                && *format == Format::Safetensors
                && *contents == Contents::Delivered
                && form.encoding == Encoding::Raw);
        }
    }
    let ([channels, height, width], reading) = (image, &mut recipe.source.reading);
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    reading.size.get_or_insert([side(height), side(width)]);
    if channels == 1 || channels == 3 {
        reading.channels.get_or_insert(side(channels));
    }
    Ok(false)
}

/// What a generated dataset takes on disk: the model, all of its files, and the recipe with
/// everything written out.
pub(super) fn generator_bytes(generated: &Generated) -> Result<u64> {
    let model = generated.model();
    let recipe = generated.recipe().to_toml(&Notes::default());
    let mut bytes = model.bytes().len() as u64 + recipe.len() as u64;
    for file in model.external_files() {
        bytes += fs::metadata(file).map_err(|error| Error::io(file, "read", error))?.len();
    }
    Ok(bytes)
}

/// The bytes of all files at a path, links not followed; `None` if it is a pattern for several.
pub(super) fn bytes_at(path: &Path) -> Result<Option<u64>> {
    let read = |path: &Path, error| Error::io(path, "read", error);
    match fs::metadata(path) {
        Ok(what) if !what.is_dir() => return Ok(Some(what.len())),
        Ok(_) => {}
        // It was opened, so there is something: but by another name.
        Err(_) => return Ok(None),
    }
    let (mut bytes, mut folders) = (0, vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| read(&folder, error))? {
            let entry = entry.map_err(|error| read(&folder, error))?;
            let what = entry.metadata().map_err(|error| read(&entry.path(), error))?;
            if what.is_dir() {
                folders.push(entry.path());
            } else if what.is_file() {
                bytes += what.len();
            }
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_folders_are_those_of_all_files_in_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for (name, bytes) in [("x", 3), ("a/y", 5), ("a/b/z", 11)] {
            fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        }
        assert_eq!(bytes_at(folder.path()).unwrap(), Some(19));
        assert_eq!(bytes_at(&folder.path().join("a/y")).unwrap(), Some(5));
        assert_eq!(bytes_at(&folder.path().join("{000..002}.tar")).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_its_own_folder_does_not_count_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), [0; 7]).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        assert_eq!(bytes_at(folder.path()).unwrap(), Some(7));
    }
}
