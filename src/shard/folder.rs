//! A folder that shards are written to: one writer a rank, and nothing half-written under a name.
//!
//! What is being written is called `.NAME.R-of-W.partial`, after what it is to become and the rank
//! that writes it. It gets its name when it is whole and on disk. A rank holds the file
//! `.R-of-W.lock` locked while it works, so whoever can lock it knows that partial files of that
//! rank are left over.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::manifest::Part;
use crate::error::{Error, Kind, Result};

const PARTIAL: &str = ".partial";
const LOCK: &str = ".lock";
/// How often a lock file may be taken away while it is being locked.
const TRIES: usize = 100;
/// How long a rank waits for its lock.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sees to it that names given in `folder` stay.
///
/// # Errors
/// [`Kind::Io`].
pub(crate) fn sync(folder: &Path) -> Result<()> {
    // Elsewhere a folder cannot be opened as a file, and names are written through.
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::io(folder, "write to", error))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// A file that is being written. Dropped before it has its name, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Partial {
    /// Where it is written.
    path: PathBuf,
    /// Where it is to be.
    place: PathBuf,
    named: bool,
}

impl Partial {
    /// A place to write what is to be `name` in `folder`. Nothing is there yet.
    pub fn new(folder: &Path, name: &str, part: Part) -> Self {
        let path = folder.join(format!(".{name}.{}{PARTIAL}", of(part)));
        Self { path, place: folder.join(name), named: false }
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is to be.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Gives it its name, over what has it now. What it holds must be on disk.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn name(mut self) -> Result<()> {
        std::fs::rename(&self.path, &self.place)
            .map_err(|error| Error::io(&self.place, "write", error))?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.named {
            // What cannot be removed now is removed at the next start.
            let _ = remove(&self.path);
        }
    }
}

/// Writes a small file: whole and on disk, or not at all. Its name is not yet synced.
///
/// # Errors
/// [`Kind::Io`] naming the file.
pub(crate) fn write(folder: &Path, name: &str, part: Part, bytes: &[u8]) -> Result<()> {
    let partial = Partial::new(folder, name, part);
    File::create(partial.path())
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| Error::io(partial.place(), "write", error))?;
    partial.name()
}

/// A rank's right to write to a folder; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    /// Locked as long as it is open.
    _file: File,
}

impl Lock {
    /// Takes the lock of `part`.
    ///
    /// # Errors
    /// [`Kind::State`] if another process has it, [`Kind::Io`] if there can be none.
    pub fn take(folder: &Path, part: Part) -> Result<Self> {
        let begun = Instant::now();
        loop {
            if let Some(lock) = Self::try_take(folder, part)? {
                return Ok(lock);
            }
            // Another rank that begins now looks whether this one left anything over, and has its
            // lock for that instant.
            if begun.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(PATIENCE / 50);
        }
        let Part { rank, world_size } = part;
        let message =
            format!("another process exports rank {rank} of {world_size} to {}", folder.display());
        Err(Error::new(Kind::State, message).help(format!(
            "wait until it ends, or give another folder; it holds {}",
            lock_path(folder, part).display()
        )))
    }

    /// Takes the lock of `part`, unless another process has it.
    fn try_take(folder: &Path, part: Part) -> Result<Option<Self>> {
        let path = lock_path(folder, part);
        let failed = |error| Error::io(&path, "lock", error);
        for _ in 0..TRIES {
            let file = File::options().write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(|error| Error::io(folder, "write to", error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // Whoever had it may have removed the file after it was opened here.
            if is_at(&file, &path).map_err(failed)? {
                return Ok(Some(Self { path, _file: file }));
            }
        }
        Ok(None)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is locked: so nobody removes a file that another has locked.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether `path` still leads to `file`.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let own = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.try_exists()
    }
}

/// Removes what ranks left over that do not run any more; `own` is the caller's, who has its lock.
///
/// # Errors
/// [`Kind::Io`].
pub(crate) fn clear(folder: &Path, own: Part) -> Result<()> {
    let mut left: BTreeSet<(u64, u64)> = BTreeSet::new();
    let names = names(folder)?;
    for name in &names {
        left.extend(writer(name).map(|part| (part.rank, part.world_size)));
    }
    for (rank, world_size) in left {
        let part = Part { rank, world_size };
        let lock = if part == own { None } else { Lock::try_take(folder, part)? };
        if part != own && lock.is_none() {
            continue;
        }
        for name in names.iter().filter(|name| name.ends_with(PARTIAL)) {
            if writer(name) == Some(part) {
                let path = folder.join(name);
                remove(&path).map_err(|error| Error::io(&path, "remove", error))?;
            }
        }
    }
    Ok(())
}

/// The names in a folder, of those that are text.
///
/// # Errors
/// [`Kind::Io`].
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::io(folder, "read", error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes a file or a whole folder, if it is there.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The rank whose partial file or lock is called `name`.
fn writer(name: &str) -> Option<Part> {
    let rest = name.strip_prefix('.')?;
    let part = match rest.strip_suffix(PARTIAL) {
        Some(partial) => partial.rsplit_once('.')?.1,
        None => rest.strip_suffix(LOCK)?,
    };
    let (rank, world_size) = part.split_once("-of-")?;
    Some(Part { rank: rank.parse().ok()?, world_size: world_size.parse().ok()? })
}

fn of(Part { rank, world_size }: Part) -> String {
    format!("{rank}-of-{world_size}")
}

fn lock_path(folder: &Path, part: Part) -> PathBuf {
    folder.join(format!(".{}{LOCK}", of(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Part = Part { rank: 0, world_size: 1 };
    const OTHER: Part = Part { rank: 1, world_size: 3 };

    fn here() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_rank_is_locked_once_and_leaves_no_lock() {
        let folder = here();
        let lock = Lock::take(folder.path(), ONE).unwrap();
        let error = Lock::take(folder.path(), ONE).unwrap_err();
        assert_eq!(error.kind(), Kind::State);
        assert!(error.advice().unwrap().contains(".0-of-1.lock"), "{error}");
        let other = Lock::take(folder.path(), OTHER).unwrap();
        drop((lock, other));
        drop(Lock::take(folder.path(), ONE).unwrap());
        assert_eq!(names(folder.path()).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_left_over_goes_and_what_is_being_written_stays() {
        let folder = here();
        let lock = Lock::take(folder.path(), ONE).unwrap();
        let put = |name: &str| std::fs::write(folder.path().join(name), "x").unwrap();
        put(".a.tar.0-of-1.partial");
        put(".b.tar.1-of-3.partial");
        put(".c.tar.2-of-3.partial");
        std::fs::create_dir(folder.path().join(".d.2-of-3.partial")).unwrap();
        put("d.partial");
        put(".hidden");
        let other = Lock::take(folder.path(), OTHER).unwrap();
        clear(folder.path(), ONE).unwrap();
        let left =
            [".0-of-1.lock", ".1-of-3.lock", ".b.tar.1-of-3.partial", ".hidden", "d.partial"];
        assert_eq!(names(folder.path()).unwrap(), left);
        drop((lock, other));
    }

    #[test]
    fn a_partial_that_is_dropped_leaves_nothing() {
        let folder = here();
        let partial = Partial::new(folder.path(), "a", ONE);
        std::fs::write(partial.path(), "x").unwrap();
        drop(partial);
        assert_eq!(names(folder.path()).unwrap(), [""; 0]);
        write(folder.path(), "a", ONE, b"x").unwrap();
        assert_eq!(names(folder.path()).unwrap(), ["a"]);
        let error = write(&folder.path().join("none"), "a", ONE, b"x").unwrap_err().to_string();
        assert!(error.contains("none/a"), "{error}");
    }
}
