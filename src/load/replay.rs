//! Generated blocks that wait for their next delivery: in memory, then in a temporary file.
//!
//! Bounded by the recipe's budgets; what is oldest goes first. A block stays where it was put: the
//! first go into memory, what memory cannot hold goes to the file, and a block that leaves makes room
//! where it was. After its last echo a block leaves, or, if later epochs show it again, stays as long
//! as nothing else needs its place; of those the newest go first, so that a part of a dataset that
//! does not fit is there in every epoch. No lock is held while bytes are copied, read or written: what a job is to deliver is
//! handed out as a shared [`Kept`], and its memory or place in the file comes back when the last
//! holder lets go.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use crossbeam::queue::SegQueue;

use super::keep::Keep;
use super::memory::aligned;
use super::statistics::CacheStatistics;
use crate::error::{Error, Result};

/// A block by what it was made of: its epoch, and its first sample among the generated ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub epoch: u64,
    pub first: u64,
}

/// A block that was kept. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Kept(Arc<Place>);

/// Where a block is. Its place is free again when this is dropped.
#[derive(Debug)]
enum Place {
    Memory { bytes: BytesMut, free: Arc<Free> },
    Disk { slot: u64, free: Arc<Free> },
}

/// Places that blocks have left.
#[derive(Debug, Default)]
struct Free {
    buffers: SegQueue<BytesMut>,
    slots: SegQueue<u64>,
}

#[derive(Debug)]
pub(super) struct Replay {
    keep: Keep,
    /// `None` if the recipe has no budget for it.
    file: Option<(File, PathBuf)>,
    free: Arc<Free>,
    shelf: Mutex<Shelf>,
    /// Blocks delivered from memory, from the file, and made though they had been delivered before.
    from_memory: AtomicU64,
    from_disk: AtomicU64,
    made: AtomicU64,
    made_again: AtomicU64,
}

/// The blocks there are.
#[derive(Debug, Default)]
struct Shelf {
    /// The number that each came with.
    numbers: HashMap<Key, u64>,
    /// Those that wait for an echo, oldest first.
    waiting: BTreeMap<u64, (Key, Kept)>,
    /// Those that wait for the next epoch alone, oldest first.
    done: BTreeMap<u64, (Key, Kept)>,
    /// How many have come.
    came: u64,
    in_memory: u64,
    /// Including those that are being written.
    on_disk: u64,
    /// Places that the file has.
    slots: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Self::Memory { bytes, free } => free.buffers.push(std::mem::take(bytes)),
            Self::Disk { slot, free } => free.slots.push(*slot),
        }
    }
}

impl Replay {
    /// An empty store; its temporary file, if it may have one, is in `folder` and has no name.
    ///
    /// # Errors
    /// [`crate::Kind::Io`] if there can be no file in `folder`.
    pub fn new(keep: Keep, folder: Option<&Path>) -> Result<Self> {
        let file = match keep.disk {
            0 => None,
            _ => {
                let folder = folder.map_or_else(std::env::temp_dir, Path::to_path_buf);
                let file = tempfile::tempfile_in(&folder).map_err(|error| {
                    Error::io(&folder, "make a temporary file in", error)
                        .help("choose another folder for the cache, or leave out cache.disk")
                })?;
                Some((file, folder))
            }
        };
        Ok(Self {
            keep,
            file,
            free: Arc::default(),
            shelf: Mutex::default(),
            from_memory: AtomicU64::default(),
            from_disk: AtomicU64::default(),
            made: AtomicU64::default(),
            made_again: AtomicU64::default(),
        })
    }

    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// The block, if it is there; `last` if this is its last delivery in an epoch.
    pub fn find(&self, key: Key, last: bool) -> Option<Kept> {
        let mut shelf = self.shelf();
        if !last && let Some(kept) = shelf.waiting(key) {
            return Some(kept);
        }
        let kept = shelf.remove(key)?;
        if self.keep.recurs || !last {
            shelf.add(key, kept.clone(), last);
        }
        Some(kept)
    }

    /// A buffer for one block, with whatever was in it.
    pub fn buffer(&self) -> BytesMut {
        self.free.buffers.pop().unwrap_or_else(|| aligned(self.keep.bytes))
    }

    /// A buffer that was not needed.
    pub fn give_back(&self, buffer: BytesMut) {
        self.free.buffers.push(buffer);
    }

    /// Keeps a block that was delivered, for the `last` time in an epoch or not; if need be in place
    /// of another. One that is there already stays.
    ///
    /// # Errors
    /// [`crate::Kind::Io`] if it cannot be written to the file.
    pub fn insert(&self, key: Key, last: bool, bytes: BytesMut) -> Result<()> {
        debug_assert_eq!(bytes.len(), self.keep.bytes, "one block");
        let free = Arc::clone(&self.free);
        let mut shelf = self.shelf();
        if shelf.numbers.contains_key(&key) {
            drop(shelf);
            self.give_back(bytes);
            return Ok(());
        }
        while shelf.in_memory >= self.keep.memory && shelf.on_disk >= self.keep.disk {
            // Without any, all there is room for is being written by others.
            let Some(key) = shelf.next_to_go() else {
                drop(shelf);
                self.give_back(bytes);
                return Ok(());
            };
            shelf.remove(key);
        }
        if shelf.in_memory < self.keep.memory {
            shelf.add(key, Kept(Arc::new(Place::Memory { bytes, free })), last);
            return Ok(());
        }
        // What is being written has its place already.
        shelf.on_disk += 1;
        let slot = self.free.slots.pop().unwrap_or_else(|| {
            shelf.slots += 1;
            shelf.slots - 1
        });
        drop(shelf);
        // From here on the slot is free again whatever happens.
        let kept = Kept(Arc::new(Place::Disk { slot, free }));
        let written = self.write(slot, &bytes);
        self.give_back(bytes);
        let mut shelf = self.shelf();
        shelf.on_disk -= 1;
        if written.is_ok() && !shelf.numbers.contains_key(&key) {
            shelf.add(key, kept, last);
        }
        written
    }

    /// The bytes of a block; `scratch` is where those of the file are read to.
    ///
    /// # Errors
    /// [`crate::Kind::Io`] if the file cannot be read.
    pub fn read<'a>(&self, kept: &'a Kept, scratch: &'a mut BytesMut) -> Result<&'a [u8]> {
        match &*kept.0 {
            Place::Memory { bytes, .. } => {
                self.from_memory.fetch_add(1, Ordering::Relaxed);
                Ok(bytes)
            }
            Place::Disk { slot, .. } => {
                if scratch.is_empty() {
                    *scratch = self.buffer();
                }
                let (file, folder) = self.file()?;
                read_at(file, scratch, slot * self.keep.bytes as u64).map_err(|error| {
                    Error::io(folder, "read generated images back from a file in", error)
                })?;
                self.from_disk.fetch_add(1, Ordering::Relaxed);
                Ok(scratch)
            }
        }
    }

    /// Counts a block that the generator made; `again` if an earlier delivery had it made before.
    pub fn made(&self, again: bool) {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.made_again.fetch_add(u64::from(again), Ordering::Relaxed);
    }

    pub fn statistics(&self) -> CacheStatistics {
        let (in_memory, on_disk) = {
            let shelf = self.shelf();
            (shelf.in_memory, shelf.on_disk)
        };
        let bytes = |blocks: u64| blocks.saturating_mul(self.keep.bytes as u64);
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStatistics {
            hits: get(&self.from_memory) + get(&self.from_disk),
            hits_on_disk: get(&self.from_disk),
            misses: get(&self.made),
            regenerated: get(&self.made_again),
            memory_bytes: bytes(in_memory),
            disk_bytes: bytes(on_disk),
        }
    }

    fn write(&self, slot: u64, bytes: &[u8]) -> Result<()> {
        let (file, folder) = self.file()?;
        write_at(file, bytes, slot * self.keep.bytes as u64).map_err(|error| {
            Error::io(folder, "keep generated images in a temporary file in", error)
                .help("make cache.disk smaller, or choose a folder with more room for the cache")
        })
    }

    fn file(&self) -> Result<(&File, &Path)> {
        let file = self.file.as_ref().map(|(file, folder)| (file, folder.as_path()));
        file.ok_or_else(|| Error::new(crate::Kind::Io, "the cache has no file"))
    }

    /// A worker that panicked leaves the shelf as it should be: nothing is done to it that can fail
    /// half-way.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn add(&mut self, key: Key, kept: Kept, done: bool) {
        match &*kept.0 {
            Place::Memory { .. } => self.in_memory += 1,
            Place::Disk { .. } => self.on_disk += 1,
        }
        self.came += 1;
        self.numbers.insert(key, self.came);
        let blocks = if done { &mut self.done } else { &mut self.waiting };
        blocks.insert(self.came, (key, kept));
    }

    fn waiting(&self, key: Key) -> Option<Kept> {
        let (_, kept) = self.waiting.get(self.numbers.get(&key)?)?;
        Some(kept.clone())
    }

    fn remove(&mut self, key: Key) -> Option<Kept> {
        let number = self.numbers.remove(&key)?;
        let (_, kept) = self.waiting.remove(&number).or_else(|| self.done.remove(&number))?;
        match &*kept.0 {
            Place::Memory { .. } => self.in_memory -= 1,
            Place::Disk { .. } => self.on_disk -= 1,
        }
        Some(kept)
    }

    fn next_to_go(&self) -> Option<Key> {
        let block = self.done.last_key_value().or_else(|| self.waiting.first_key_value())?;
        Some(block.1.0)
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        (bytes, offset) = (&mut bytes[n..], offset + n as u64);
    }
    Ok(())
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        (bytes, offset) = (&bytes[n..], offset + n as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
