//! Whole shards on their way to their names, on a thread of their own.
//!
//! Each is hashed, synced, named, its name synced, and then listed: so what a manifest lists is on
//! disk. One may wait while another is finished; then the writer waits.

use std::ops::Range;
use std::path::Path;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::known::Work;
use super::write::Writing;
use crate::error::{Error, Kind, Result};
use crate::load::Stop;
use crate::shard::folder::{self, Partial};
use crate::shard::hash::{hash_file, sync_file};
use crate::shard::manifest::{Manifest, ShardEntry};

/// A shard that is written, and not yet synced or named.
#[derive(Debug)]
pub(super) struct Whole {
    pub partial: Partial,
    pub name: String,
    pub samples: Range<u64>,
}

/// The thread that finishes shards.
#[derive(Debug)]
pub(super) struct Finisher<'scope> {
    shards: Sender<Whole>,
    thread: ScopedJoinHandle<'scope, Result<(usize, u64)>>,
}

impl<'scope> Finisher<'scope> {
    /// Starts to finish what comes, and to add it to `own`.
    pub fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        writing: Writing<'env>,
        own: Manifest,
    ) -> Result<Self>
    where
        'env: 'scope,
    {
        let (shards, whole) = bounded(1);
        let (folder, part, stop) = (writing.folder, writing.part, writing.export.stop.clone());
        let thread = Builder::new()
            .name("genset-export".into())
            .spawn_scoped(scope, move || finish_all(&whole, folder, part, own, &stop))
            .map_err(|error| {
                Error::new(Kind::Worker, format!("cannot start a thread: {error}")).because(error)
            })?;
        Ok(Self { shards, thread })
    }

    /// Hands a shard over; waits while two are on their way.
    pub fn take(&self, shard: Whole) -> Result<()> {
        self.shards.send(shard).map_err(|_| ended())
    }

    /// An error if the thread has failed: [`Finisher::end`] says how.
    pub fn check(&self) -> Result<()> {
        if self.thread.is_finished() { Err(ended()) } else { Ok(()) }
    }

    /// Waits until all are finished. Gives how many there were, and their bytes.
    pub fn end(self) -> Result<(usize, u64)> {
        drop(self.shards);
        let panicked = |_| Err(Error::new(Kind::Worker, "finishing a shard panicked"));
        self.thread.join().unwrap_or_else(panicked)
    }
}

fn ended() -> Error {
    Error::new(Kind::Worker, "shards are not finished any more")
}

fn finish_all(
    shards: &Receiver<Whole>,
    folder: &Path,
    part: crate::shard::Part,
    mut own: Manifest,
    stop: &Stop,
) -> Result<(usize, u64)> {
    let (mut count, mut all) = (0, 0);
    for Whole { partial, name, samples } in shards {
        let (bytes, blake3) = hash_file(partial.path(), stop)?;
        stop.check()?;
        sync_file(partial.path(), partial.place())?;
        partial.name()?;
        folder::sync(folder)?;
        let Range { start: first, end } = samples;
        let shard = ShardEntry { name, first, count: end - first, bytes, blake3 };
        Work::add(&mut own, folder, shard, part)?;
        (count, all) = (count + 1, all + bytes);
    }
    Ok((count, all))
}
