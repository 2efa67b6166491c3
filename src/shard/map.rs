//! A file that is read through a memory map.
//!
//! The map is what makes reading shards free of copies: bytes are handed out as they lie in the
//! page cache. Its price is that the file must stay as it is. See [`MappedFile::check`] for what
//! is noticed and what is not.

use std::fs::{File, Metadata};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use memmap2::Mmap;

use crate::error::{Error, Kind, Result};

/// How long a look at the file counts for [`MappedFile::check_lately`]. Looking costs about a
/// microsecond, as much as copying a small image; a thousand looks a second cost nothing.
const LATELY: u64 = 1_000_000;

/// The bytes of a file, mapped for reading. Clones share the map, which lasts as long as any of
/// them or any slice. No file descriptor stays open, so there may be many.
#[derive(Debug, Clone)]
pub struct MappedFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// As it was given, for messages.
    path: PathBuf,
    /// The whole file.
    bytes: Bytes,
    /// Where the file is and what it was; `None` for bytes that are no file.
    file: Option<Watched>,
}

/// What a file was like when it was opened.
#[derive(Debug)]
struct Watched {
    /// Independent of the working directory.
    path: PathBuf,
    state: FileState,
    /// When it was last looked at, as [`nanoseconds`].
    looked: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    len: u64,
    modified: Option<SystemTime>,
    /// Device and inode, where there are such numbers.
    place: Option<(u64, u64)>,
}

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let place = {
            use std::os::unix::fs::MetadataExt as _;
            Some((metadata.dev(), metadata.ino()))
        };
        #[cfg(not(unix))]
        let place = None;
        Self { len: metadata.len(), modified: metadata.modified().ok(), place }
    }
}

impl MappedFile {
    /// Maps the file at `path`. Nothing of it is read yet.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be opened or mapped, or is no regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(path, "read", error);
        // Asked before it is opened: opening a named pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            let message = format!("{} is no regular file", path.display());
            return Err(Error::new(Kind::Io, message)
                .help("shards are mapped to memory: give the name of a file on disk"));
        }
        let file = File::open(path).map_err(failed)?;
        let state = FileState::of(&file.metadata().map_err(failed)?);
        if usize::try_from(state.len).is_err() {
            let message = format!("{} has {} bytes, too many to map", path.display(), state.len);
            return Err(Error::new(Kind::Limit, message)
                .help("export with smaller shards (`--shard-bytes`), or use a 64-bit machine"));
        }
        // SAFETY: the map is read only and private to this process's view of the file. Rust wants
        // the bytes not to change while they are borrowed; no system can promise that of a file.
        // Nothing here trusts what was read before to be the same when it is read again: every
        // size and offset is copied out, checked, and used from the copy; images are plain bytes.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::io(path, "map", error))?;
        let watched = Watched {
            path: std::path::absolute(path).map_err(failed)?,
            state,
            looked: AtomicU64::new(nanoseconds()),
        };
        let bytes = Bytes::from_owner(map);
        Ok(Self(Arc::new(Inner { path: path.to_path_buf(), bytes, file: Some(watched) })))
    }

    /// Bytes in memory as if they were the file `name`: for members of archives, and for tests
    /// that need no disk. They never change.
    #[must_use]
    pub fn from_bytes(name: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Self {
        Self(Arc::new(Inner { path: name.into(), bytes: bytes.into(), file: None }))
    }

    /// The name of the file, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Bytes of the file when it was opened.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// Whether the file had no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.bytes.is_empty()
    }

    /// The whole file. Call [`check`](Self::check) first.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Part of the file as a value that keeps the map alive; nothing is copied. `None` if the file
    /// is shorter.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        let inside = range.start <= range.end && range.end <= self.len();
        inside.then(|| self.0.bytes.slice(range))
    }

    /// Whether the file is still the one that was opened: its length, time of modification, device
    /// and inode. Call it before bytes are used.
    ///
    /// It cannot close every gap. A file that is cut short *after* the check and before its bytes
    /// are touched ends the process (SIGBUS): the pages are gone, and there is nothing to give.
    /// A change of content within one tick of the file system's clock, some milliseconds, that
    /// leaves the length as it was goes unnoticed. Whoever writes shards anew must write a new
    /// file and rename it, as this library does; that never disturbs a map of the old one, and is
    /// reported here because the folder then holds another dataset.
    ///
    /// # Errors
    /// [`Kind::Io`] if the file has changed, was replaced or is gone.
    pub fn check(&self) -> Result<()> {
        let Some(file) = &self.0.file else { return Ok(()) };
        let metadata = std::fs::metadata(&file.path)
            .map_err(|error| Error::io(&self.0.path, "read", error).help(CHANGED_HELP))?;
        if FileState::of(&metadata) == file.state {
            file.looked.store(nanoseconds(), Ordering::Relaxed);
            return Ok(());
        }
        let message = format!("{} changed since it was opened", self.0.path.display());
        Err(Error::new(Kind::Io, message).help(CHANGED_HELP))
    }

    /// As [`check`](Self::check), unless that was done within the last millisecond or tick of the
    /// system's clock (at most ten): for calls that are made for every image.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_lately(&self) -> Result<()> {
        let Some(file) = &self.0.file else { return Ok(()) };
        let since = nanoseconds().saturating_sub(file.looked.load(Ordering::Relaxed));
        if since < LATELY { Ok(()) } else { self.check() }
    }
}

const CHANGED_HELP: &str =
    "leave files as they are while they are read; open the dataset again to read the new ones";

/// A clock that only goes forward. The coarse one of Linux moves a tick at a time and costs a tenth
/// of the exact one, which would be felt: it is asked for every image.
#[cfg(target_os = "linux")]
fn nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}

/// A clock that only goes forward.
#[cfg(not(target_os = "linux"))]
fn nanoseconds() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Longer than a tick of any clock here, of the file system or not, and than `LATELY`.
    const A_WHILE: Duration = Duration::from_millis(30);

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shard");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn slices_outlive_the_file_and_the_map() {
        let (folder, path) = file(b"0123456789");
        let map = MappedFile::open(&path).unwrap();
        map.check().unwrap();
        assert_eq!((map.bytes(), map.len(), map.path()), (&b"0123456789"[..], 10, &*path));
        let slice = map.slice(3..7).unwrap();
        assert_eq!(slice.as_ptr(), map.bytes()[3..].as_ptr(), "nothing is copied");
        drop(map);
        drop(folder);
        assert_eq!(&slice[..], b"3456");
    }

    #[test]
    fn a_slice_beyond_the_end_or_backwards_is_none() {
        let map = MappedFile::from_bytes("memory", &b"abc"[..]);
        assert_eq!(map.slice(1..3).as_deref(), Some(&b"bc"[..]));
        assert_eq!(map.slice(3..3).as_deref(), Some(&b""[..]));
        assert_eq!(map.slice(1..4), None);
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = map.slice(2..1);
        assert_eq!(backwards, None);
    }

    #[test]
    fn an_empty_file_is_mapped_too() {
        let (_folder, path) = file(b"");
        let map = MappedFile::open(&path).unwrap();
        assert!(map.is_empty());
        map.check().unwrap();
    }

    /// What `check` says after `change` was done to an open file.
    fn after(change: impl FnOnce(&Path)) -> String {
        let (_folder, path) = file(&[7; 5000]);
        let map = MappedFile::open(&path).unwrap();
        map.check().unwrap();
        std::thread::sleep(A_WHILE);
        change(&path);
        let error = map.check_lately().unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.advice().unwrap().contains("open the dataset again"), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        error.summary()
    }

    #[test]
    fn a_file_cut_short_under_the_map_is_an_error_and_no_signal() {
        let said =
            after(|path| File::options().write(true).open(path).unwrap().set_len(9).unwrap());
        assert!(said.ends_with("changed since it was opened"), "{said}");
    }

    #[test]
    fn a_file_written_over_under_the_map_is_an_error() {
        let said = after(|path| std::fs::write(path, [8; 5000]).unwrap());
        assert!(said.ends_with("changed since it was opened"), "{said}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_replaced_under_the_map_is_an_error() {
        let said = after(|path| {
            let modified = std::fs::metadata(path).unwrap().modified().unwrap();
            let other = path.with_extension("new");
            std::fs::write(&other, [7; 5000]).unwrap();
            File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
            std::fs::rename(&other, path).unwrap();
        });
        assert!(said.ends_with("changed since it was opened"), "{said}");
    }

    #[test]
    fn a_file_that_vanished_is_an_error() {
        let said = after(|path| std::fs::remove_file(path).unwrap());
        assert!(said.contains("cannot read"), "{said}");
    }

    #[test]
    fn a_check_just_made_is_not_made_again() {
        let (_folder, path) = file(b"abc");
        let map = MappedFile::open(&path).unwrap();
        map.check().unwrap();
        let looked = |map: &MappedFile| map.0.file.as_ref().unwrap().looked.load(Ordering::Relaxed);
        let before = looked(&map);
        std::thread::sleep(A_WHILE);
        map.check_lately().unwrap();
        assert!(looked(&map) > before);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused_without_waiting_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = MappedFile::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("is no regular file"), "{error}");
        let error = MappedFile::open(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("is no regular file"), "{error}");
        let error = MappedFile::open(&folder.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }
}
