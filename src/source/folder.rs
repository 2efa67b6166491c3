//! A folder of image files, a folder for each class.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::arrays::outside;
use crate::codec::{Form, Picture};
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::shard::Records;

/// What the names of images end with, in any case.
const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// The largest file that is read as an image.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;

/// The most bytes that the names of all images may have together.
const MAX_NAME_BYTES: usize = 1 << 32;

/// How deep folders may lie in each other.
const MAX_DEPTH: usize = 64;

/// Whether a name is that of an image.
pub(super) fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|own| EXTENSIONS.iter().any(|known| own.eq_ignore_ascii_case(known)))
}

/// Images in folders: `ROOT/CLASS/…/NAME.jpg`, or `ROOT/NAME.jpg` without classes.
///
/// The order is that of the bytes of the paths, which is the same on every machine. Classes are the
/// folders in the root, in that order. Names take their own length and 16 bytes each.
#[derive(Debug)]
pub struct FolderRecords {
    root: PathBuf,
    /// The root, open: a file is found from here with a few steps, however deep the root lies.
    #[cfg(target_os = "linux")]
    handle: File,
    /// All paths below the root, with `/` between names, one after the other.
    names: String,
    /// Where each name ends.
    ends: Vec<usize>,
    /// Bytes of each file when it was listed.
    lens: Vec<u64>,
    /// The first sample of each class.
    first: Vec<u64>,
    classes: Vec<String>,
    skipped: u64,
}

impl FolderRecords {
    /// Lists a folder and how long its files are. No image is opened.
    ///
    /// # Errors
    /// [`Kind::Io`] if a folder cannot be listed, has a name that is not UTF-8, or has a link that
    /// leads to a folder or out of the root; [`Kind::Sample`] if there is no image, a class without
    /// one, or images beside classes; [`Kind::Limit`] if names are too long together or folders lie
    /// too deep in each other.
    pub fn open(root: &Path) -> Result<Self> {
        let inside = root.canonicalize().map_err(|error| Error::io(root, "read", error))?;
        let mut listing = Listing { root, inside, files: Vec::new(), bytes: 0, skipped: 0 };
        let empty = listing.walk("", 0)?;
        let Listing { mut files, bytes, skipped, .. } = listing;
        files.sort_unstable();
        let mut own = Self {
            root: root.to_path_buf(),
            #[cfg(target_os = "linux")]
            handle: File::open(root).map_err(|error| Error::io(root, "read", error))?,
            names: String::with_capacity(bytes),
            ends: Vec::with_capacity(files.len()),
            lens: Vec::with_capacity(files.len()),
            first: Vec::new(),
            classes: Vec::new(),
            skipped,
        };
        let flat = files.iter().filter(|(path, _)| !path.contains('/')).count();
        if flat != 0 && flat != files.len() {
            let text = format!("{flat} images lie beside the folders of classes");
            return Err(Error::new(Kind::Sample, text)
                .help("put each image into the folder of its class, or have no such folders")
                .at(root.display()));
        }
        for (path, len) in files {
            if let Some((class, _)) = path.split_once('/')
                && own.classes.last().is_none_or(|last| last != class)
            {
                own.first.push(own.ends.len() as u64);
                own.classes.push(class.to_owned());
            }
            own.names.push_str(&path);
            own.ends.push(own.names.len());
            own.lens.push(len);
        }
        if own.ends.is_empty() {
            return Err(Error::new(
                Kind::Sample,
                format!("there is no image in {}", root.display()),
            )
            .help("images are files whose names end in .jpg, .jpeg, .png or .webp"));
        }
        if let Some(class) = empty.iter().min()
            && flat == 0
        {
            let text = format!("class `{class}` has no image");
            return Err(Error::new(Kind::Sample, text)
                .help("put images into its folder, or take the folder away: it counts as a class")
                .at(root.display()));
        }
        Ok(own)
    }

    /// Files that are no images by their names, and hidden ones, which were left out.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Opens the file that has this path below the root.
    fn file(&self, name: &str) -> std::io::Result<File> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Mode, OFlags};
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(&self.handle, name, flags, Mode::empty())?.into())
        }
        #[cfg(not(target_os = "linux"))]
        File::open(self.root.join(name))
    }

    /// The path of a sample below the root.
    fn name(&self, index: u64) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        let end = *self.ends.get(index)?;
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.names.get(begin..end)
    }
}

/// A folder being listed.
struct Listing<'a> {
    root: &'a Path,
    /// The root without links.
    inside: PathBuf,
    /// Paths, and how many bytes each file has.
    files: Vec<(Box<str>, u64)>,
    bytes: usize,
    skipped: u64,
}

impl Listing<'_> {
    /// Lists what is at `below`, which ends in `/` unless it is the root. Names the folders in it
    /// that have no image.
    fn walk(&mut self, below: &str, depth: usize) -> Result<Vec<String>> {
        let folder = self.root.join(below);
        let failed = |error| Error::io(&folder, "list", error);
        if depth > MAX_DEPTH {
            let text = format!("{}: folders lie too deep in each other", folder.display());
            return Err(Error::new(Kind::Limit, text));
        }
        let mut empty = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|name| {
                let name = folder.join(name);
                Error::new(Kind::Io, format!("the name of {} is no UTF-8", name.display()))
                    .help("rename it: names are part of what a dataset is")
            })?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() && !name.starts_with('.') {
                let before = self.files.len();
                self.walk(&format!("{below}{name}/"), depth + 1)?;
                if self.files.len() == before {
                    empty.push(name);
                }
            } else if name.starts_with('.') || !is_image(&name) {
                self.skipped += 1;
            } else {
                let file = entry.path();
                if kind.is_symlink() {
                    self.follow(&file)?;
                } else if !kind.is_file() {
                    let text = format!("{} is no file", file.display());
                    return Err(Error::new(Kind::Io, text).help("take it out of the folder"));
                }
                let len = std::fs::metadata(&file).map_err(|e| Error::io(&file, "read", e))?.len();
                self.bytes += below.len() + name.len();
                if self.bytes > MAX_NAME_BYTES {
                    let text = format!("the names have more than {MAX_NAME_BYTES} bytes");
                    return Err(Error::new(Kind::Limit, text).at(self.root.display()));
                }
                self.files.push((format!("{below}{name}").into(), len));
            }
        }
        Ok(empty)
    }

    /// Refuses a link that leads to something else than a file below the root.
    fn follow(&self, link: &Path) -> Result<()> {
        let to = link.canonicalize().map_err(|error| Error::io(link, "follow", error))?;
        if to.starts_with(&self.inside) && to.is_file() {
            return Ok(());
        }
        let text = format!("{} is a link to no file of this folder", link.display());
        Err(Error::new(Kind::Io, text)
            .help("copy what it leads to (`cp -rL`), or use hard links (`cp -rl`)"))
    }
}

impl Records for FolderRecords {
    fn samples(&self) -> Range<u64> {
        0..self.ends.len() as u64
    }

    fn pictures(&self) -> usize {
        1
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn has_labels(&self) -> bool {
        !self.classes.is_empty()
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        if index >= self.samples().end {
            return Err(outside(index, self.samples()));
        }
        let class = self.first.partition_point(|first| *first <= index);
        Ok(class.checked_sub(1).map(|class| class as i64))
    }

    fn show(
        &self,
        index: u64,
        scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        let name = self.name(index).ok_or_else(|| outside(index, self.samples()))?;
        let path = || self.root.join(name);
        read(|| self.file(name), path, self.lens[index as usize], scratch)?;
        show_file(scratch, show).at(|| path().display().to_string())
    }

    fn place(&self, index: u64) -> String {
        self.root.join(self.name(index).unwrap_or_default()).display().to_string()
    }

    fn identify(&self, hasher: &mut blake3::Hasher) {
        for (index, len) in self.samples().zip(&self.lens) {
            let name = self.name(index).unwrap_or_default();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&len.to_le_bytes());
        }
    }
}

/// Reads a whole file of `len` bytes into memory that is used again.
///
/// Nothing is asked of the file but its bytes: what is to be there was asked when it was listed.
fn read(
    open: impl FnOnce() -> std::io::Result<File>,
    path: impl Fn() -> PathBuf,
    len: u64,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    if len > MAX_FILE_BYTES {
        let text = format!("{} has {len} bytes, more than an image may have", path().display());
        return Err(Error::new(Kind::Limit, text));
    }
    let failed = |error| Error::io(&path(), "read", error);
    let mut file = open().map_err(failed)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    // A byte more, so that it is seen if there is more.
    bytes.resize(len + 1, 0);
    let mut filled = 0;
    while filled <= len {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            // Less came than was asked for, and all that there is to be: this is the end of a file.
            Ok(count) if filled + count == len => {
                filled = len;
                break;
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if filled != len {
        let text = format!("{} had {len} bytes when it was listed, and changed", path().display());
        return Err(Error::new(Kind::Io, text)
            .help("leave files as they are while they are read; open the folder again"));
    }
    bytes.truncate(len);
    Ok(())
}

/// Shows what a file holds, whatever its name says that it is.
pub(super) fn show_file(
    bytes: &[u8],
    show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
) -> Result<()> {
    let form = Form::sniff(bytes).ok_or_else(|| {
        Error::new(Kind::Sample, "is no JPEG, PNG or WebP, whatever its name says")
    })?;
    show(0, Picture { bytes, form })
}
