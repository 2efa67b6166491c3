//! Recipes of stored images: `[source]` where a generator would be, and `[mix]` beside one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::canonical::{Digest, deliver, finish};
use super::inside;
use super::parse::{document, output};
use super::read::{Field, Source, Table};
use super::text::RecipeFile;
use super::types::name_in;
use super::{Dtype, Layout, MAX_SIDE, Output, Recipe, Views, edit, invalid, parse, text, views};
use crate::error::{Error, Result};

/// What a dataset is: one that is generated, or one that is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Described {
    /// A generator makes its images.
    Generated(Box<Recipe>),
    /// They are read.
    Stored(SourceRecipe),
}

/// A checked recipe of stored images: `[source]` instead of `[generator]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRecipe {
    /// A name for people; not part of the identity.
    pub name: String,
    /// Seeds the pixel operations. Default 0.
    pub seed: u64,
    /// Where the images are, and how they are read.
    pub source: SourceTable,
    /// The views that are made of each stored image; `None`: those that are stored.
    pub views: Option<Views>,
    /// What is delivered; `None`: as it is stored.
    pub output: Option<Output>,
    /// The folder that the path is relative to.
    pub folder: PathBuf,
}

/// How stored images are read: the `[source]` table, without its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// `[H, W]` that images are brought to: resized until they cover it, and cropped around the
    /// centre. Default: as they are, which must then be the same for all.
    pub size: Option<[u32; 2]>,
    /// 1: gray, 3: colour. Default: as the first image has.
    pub channels: Option<u32>,
    /// What to do with an image that cannot be read. Default error.
    pub on_bad: OnBad,
}

/// The `[source]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTable {
    /// A folder or a file, relative to the recipe's folder.
    pub path: PathBuf,
    /// How it is read.
    pub reading: Reading,
}

/// The `[mix]` table: stored images in some of a generated dataset's places.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// A folder or a file, relative to the recipe's folder.
    pub source: PathBuf,
    /// The part of the samples that is real, in ]0, 1[: so many of every block, rounded.
    pub ratio: f64,
    /// What to do with an image that cannot be read.
    pub on_bad: OnBad,
}

/// What to do with an image that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnBad {
    /// The stream ends with an error that names it.
    #[default]
    Error,
    /// It is left out, counted and named.
    Skip,
}

impl OnBad {
    /// Every choice with its name in a recipe.
    pub const ALL: [(&'static str, Self); 2] = [("error", Self::Error), ("skip", Self::Skip)];

    /// Its name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

impl Described {
    /// Reads and checks a recipe of either kind, with `key=value` settings put over it.
    ///
    /// # Errors
    /// As [`Recipe::read_with`].
    pub fn read(path: &Path, settings: &[String]) -> Result<Self> {
        let RecipeFile { text, file, name, folder } = text::read(path)?;
        Self::parse(&text, &file, &name, &folder, settings)
    }

    /// Checks the recipe in `text`, as [`Recipe::parse_with`].
    ///
    /// # Errors
    /// As [`Recipe::parse_with`].
    pub fn parse(
        text: &str,
        file: &str,
        name: &str,
        folder: &Path,
        settings: &[String],
    ) -> Result<Self> {
        let text = edit::applied(text, file, settings)?;
        let source = Source { file, text: &text };
        let document = document(&source)?;
        let root = Table::root(&source, document.as_table());
        if document.as_table().contains_key("source") {
            return stored(root, name, folder).map(Self::Stored);
        }
        parse::generated(root, name, folder).map(|recipe| Self::Generated(Box::new(recipe)))
    }
}

impl SourceRecipe {
    /// The recipe of everything at `path` as it is, with `key=value` settings put over it.
    ///
    /// # Errors
    /// As [`Recipe::parse_with`].
    pub fn of_path(path: &Path, settings: &[String]) -> Result<Self> {
        let file = path.display().to_string();
        let name = path.file_name().map_or_else(|| file.clone(), |n| n.to_string_lossy().into());
        // What is named here is what the caller named: no file can lead elsewhere.
        let text = "[source]\npath = \"here\"\n";
        match Described::parse(text, &file, &name, Path::new("."), settings)? {
            Described::Stored(mut recipe) => {
                recipe.source.path = path.to_path_buf();
                Ok(recipe)
            }
            Described::Generated(_) => Err(invalid("a setting took [source] away").at(file)),
        }
    }

    /// Whether images are delivered as they are stored: nothing is asked of them but that they are
    /// read.
    #[must_use]
    pub fn is_as_stored(&self) -> bool {
        let reading = &self.source.reading;
        let plain = Reading { on_bad: reading.on_bad, ..Reading::default() };
        *reading == plain && self.views.is_none() && self.output.is_none()
    }

    /// Where the images are.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.folder == Path::new(".") {
            true => self.source.path.clone(),
            false => self.folder.join(&self.source.path),
        }
    }

    /// The identity of what is delivered: BLAKE3 over this recipe, with what it left open filled in,
    /// and over what tells the stored images from others.
    #[must_use]
    pub fn digest(
        &self,
        views: &Views,
        output: &Output,
        images: impl FnOnce(&mut blake3::Hasher),
    ) -> Digest {
        let SourceTable { reading, .. } = &self.source;
        let mut text = format!("stored\nseed {}\n", self.seed);
        let _ = writeln!(text, "read {:?} {:?}", reading.size, reading.channels);
        text.push_str(&views.canonical());
        deliver(output, &mut text);
        finish(&text, |hasher| {
            images(hasher);
            Ok(())
        })
        .unwrap_or_else(|_: Error| unreachable!("nothing here can fail"))
    }
}

fn stored(root: Table<'_>, name: &str, folder: &Path) -> Result<SourceRecipe> {
    let help = "a recipe of stored images says where they are: [source] path = \"photos\"";
    let table = root.require("source", help)?.table()?;
    let recipe = SourceRecipe {
        name: parse::name(&root, name)?,
        seed: parse::seed(&root)?,
        source: SourceTable {
            path: inside::path(&table.require("path", help)?, "the images")?,
            reading: reading(&table)?,
        },
        views: root.get("views").map(|field| stored_views(&field)).transpose()?,
        output: root.get("output").map(|field| output(field.table()?)).transpose()?,
        folder: folder.to_path_buf(),
    };
    table.finish()?;
    if let Some(field) = root.get("generator") {
        return Err(field
            .error("stands beside `source`: images are generated or read")
            .help("to put stored images among generated ones, use [mix] instead of [source]"));
    }
    root.finish()?;
    Ok(recipe)
}

fn reading(table: &Table<'_>) -> Result<Reading> {
    Ok(Reading {
        size: table.get("size").map(|field| size(&field)).transpose()?,
        channels: match table.get("channels") {
            Some(field) => match field.small(1..5)? {
                channels @ (1 | 3) => Some(channels),
                other => return Err(field.error(format!("must be 1 or 3, not {other}"))),
            },
            None => None,
        },
        on_bad: on_bad(table)?,
    })
}

fn on_bad(table: &Table<'_>) -> Result<OnBad> {
    table.get("on-bad").map_or(Ok(OnBad::Error), |field| field.one_of(&OnBad::ALL))
}

/// One number for a square, or `[height, width]`.
fn size(field: &Field<'_>) -> Result<[u32; 2]> {
    let range = 1..u64::from(MAX_SIDE) + 1;
    if !field.is_array() {
        let side = field.small(range)?;
        return Ok([side, side]);
    }
    let sides = field.items()?;
    let sides: Vec<u32> =
        sides.iter().map(|side| side.small(range.clone())).collect::<Result<_>>()?;
    <[u32; 2]>::try_from(sides).map_err(|_| field.error("must be one number or [height, width]"))
}

fn stored_views(field: &Field<'_>) -> Result<Views> {
    let views = views::read(field.table()?)?;
    if views.groups.iter().any(|group| !group.latent.is_empty()) {
        return Err(field
            .error("has latent operations, and stored images have no generator")
            .help("keep the pixel operations only"));
    }
    Ok(views)
}

/// The `[mix]` table of a generated dataset.
pub(super) fn mix(table: Table<'_>) -> Result<Mix> {
    let help = "where the real images are, and the part of the samples that they are";
    let mix = Mix {
        source: inside::path(&table.require("source", help)?, "the images")?,
        ratio: table
            .require("ratio", help)?
            .number_where("more than 0 and less than 1", |ratio| ratio > 0.0 && ratio < 1.0)?,
        on_bad: on_bad(&table)?,
    };
    table.finish()?;
    Ok(mix)
}

impl Mix {
    pub(super) fn canonical(&self) -> String {
        format!("mix {:?}\n", self.ratio)
    }
}

/// 8-bit pixels, channel by channel.
impl Default for Output {
    fn default() -> Self {
        Self { dtype: Dtype::U8, layout: Layout::Nchw, normalise: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SourceRecipe> {
        match Described::parse(text, "r.toml", "r", Path::new("data"), &[])? {
            Described::Stored(recipe) => Ok(recipe),
            Described::Generated(_) => panic!("a stored one"),
        }
    }

    fn message(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn a_path_is_enough() {
        let recipe = read("[source]\npath = \"photos\"").unwrap();
        assert_eq!(recipe.path(), Path::new("data/photos"));
        assert_eq!(recipe.source.reading, Reading::default());
        assert_eq!((recipe.views, recipe.output), (None, None));
    }

    #[test]
    fn sizes_are_one_number_or_two() {
        for (text, size) in [("64", [64, 64]), ("[32, 48]", [32, 48])] {
            let recipe = read(&format!("[source]\npath = \"p\"\nsize = {text}")).unwrap();
            assert_eq!(recipe.source.reading.size, Some(size));
        }
        assert!(message("[source]\npath = \"p\"\nsize = [1, 2, 3]").contains("[height, width]"));
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        for path in ["/etc", "../photos", "a/../../b"] {
            let text = format!("[source]\npath = \"{path}\"");
            assert!(message(&text).contains("may not leave the recipe's folder"), "{path}");
        }
    }

    #[test]
    fn what_needs_a_generator_is_refused() {
        let latent = "[source]\npath=\"p\"\n[views]\nlatent=[{op=\"gaussian\",std=1.0}]";
        assert!(message(latent).contains("stored images have no generator"));
        let both = "[source]\npath=\"p\"\n[generator]\nmodel=\"g\"";
        assert!(message(both).contains("use [mix]"));
        let cached = "[source]\npath=\"p\"\n[cache]\necho=2";
        assert!(message(cached).contains("unknown key `cache`"));
    }

    #[test]
    fn settings_reach_a_bare_path() {
        let settings = ["source.size=32".to_owned(), "views.count=2".to_owned()];
        let recipe = SourceRecipe::of_path(Path::new("/data/photos"), &settings).unwrap();
        assert_eq!(recipe.path(), Path::new("/data/photos"));
        assert_eq!(recipe.name, "photos");
        assert_eq!(recipe.source.reading.size, Some([32, 32]));
        assert_eq!(recipe.views.unwrap().count(), 2);
    }

    #[test]
    fn what_changes_bytes_is_identity() {
        let digest = |recipe: &SourceRecipe, images: &'static [u8]| {
            let views = recipe.views.clone().unwrap_or_default();
            recipe.digest(&views, &Output::default(), |hasher| {
                hasher.update(images);
            })
        };
        let base = read("[source]\npath = \"p\"").unwrap();
        let same = read("name = \"other\"\n[source]\npath = \"q\"\non-bad = \"skip\"").unwrap();
        assert_eq!(digest(&base, b"a"), digest(&same, b"a"));
        assert_ne!(digest(&base, b"a"), digest(&base, b"b"));
        for more in ["size = 3", "channels = 1"] {
            let other = read(&format!("[source]\npath = \"p\"\n{more}")).unwrap();
            assert_ne!(digest(&base, b"a"), digest(&other, b"a"), "{more}");
        }
    }
}
