//! Batch buffers that come back.
//!
//! A buffer is aligned to 64 bytes (a cache line, and what DLPack asks for) and is handed out
//! zeroed once. When a batch is dropped its buffer returns here if it is of the usual size, unless
//! there are more of them than a window needs: those that a consumer kept are freed, so that what
//! lies here and what is under way together stay within the loader's memory.

use bytes::BytesMut;

use super::memory::aligned;
use super::sync::{Arc, AtomicUsize, Ordering, Receiver, Sender, bounded};

/// Gives out buffers; owned by the planner.
#[derive(Debug)]
pub(super) struct Pool {
    back: Receiver<BytesMut>,
    returns: Returns,
}

/// Takes buffers back; held by every batch.
#[derive(Debug, Clone)]
pub(super) struct Returns {
    size: usize,
    /// Buffers of this size that there should be, here and elsewhere.
    limit: usize,
    /// How many there are.
    alive: Arc<AtomicUsize>,
    sender: Sender<BytesMut>,
}

impl Pool {
    /// A pool of buffers of `size` bytes that keeps none beyond `limit`.
    pub fn new(size: usize, limit: usize) -> Self {
        let (sender, back) = bounded(limit);
        let alive = Arc::new(AtomicUsize::new(0));
        Self { back, returns: Returns { size, limit, alive, sender } }
    }

    /// A buffer of `len` bytes: a used one if it is of the usual size and there is one.
    pub fn take(&self, len: usize) -> BytesMut {
        if len == self.returns.size {
            if let Ok(buffer) = self.back.try_recv() {
                return buffer;
            }
            self.returns.alive.fetch_add(1, Ordering::Relaxed);
        }
        aligned(len)
    }

    pub fn returns(&self) -> Returns {
        self.returns.clone()
    }

    /// Buffers of the usual size, here and elsewhere.
    #[cfg(test)]
    pub fn alive(&self) -> usize {
        self.returns.alive.load(Ordering::Relaxed)
    }

    /// Those that wait here.
    #[cfg(test)]
    pub fn idle(&self) -> usize {
        self.back.len()
    }
}

impl Returns {
    pub fn give(&self, buffer: BytesMut) {
        if buffer.len() != self.size {
            return;
        }
        let surplus = |alive: usize| (alive > self.limit).then(|| alive - 1);
        let freed = self.alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, surplus);
        if freed.is_err() {
            // Closed when the loader is gone: the buffer is freed.
            let _ = self.sender.try_send(buffer);
        }
    }
}
