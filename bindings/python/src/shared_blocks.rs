//! Blocks in memory that several processes share, so that each is made once by all of them together.
//!
//! The memory is that of tensors that PyTorch shares among the workers of a DataLoader. Every block has a
//! tag, which says what lies in its place: a sequence lock (Boehm 2012, *Can seqlocks get along with
//! programming language memory models?*) whose number is the epoch. Who wants to write takes the tag from
//! any state but *being made* to that; who reads looks at the tag before and after, and throws away what it
//! read if it changed.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use bytes::BytesMut;
use genset::load::{BlockStore, Kept};
use genset::{Error, Kind, Result};
use pyo3::prelude::*;

/// Where the shared memory is, as Python says it. The tensors outlive the call that they are passed to.
#[derive(Debug, FromPyObject)]
pub(crate) struct SharedMemory {
    /// Address and number of the tags, 64 bits each, zero at first.
    tags: (usize, usize),
    /// Address and bytes of each group of views.
    groups: Vec<(usize, usize)>,
}

/// The blocks in it.
#[derive(Debug)]
pub(crate) struct SharedBlocks<'m> {
    tags: &'m [AtomicU64],
    groups: Vec<Group>,
    /// Samples of a block.
    block: u64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    images: *mut u8,
    /// Bytes of a sample.
    sample: usize,
}

const EMPTY: u64 = 0;

fn being_made(epoch: u64) -> u64 {
    made(epoch) + 1
}

fn made(epoch: u64) -> u64 {
    epoch.wrapping_add(1) << 1
}

impl<'m> SharedBlocks<'m> {
    /// # Errors
    /// [`Kind::Argument`] if the memory is not as large as the dataset's blocks.
    pub(crate) fn new(memory: &'m SharedMemory, dataset: &genset::Dataset) -> Result<Self> {
        let block = u64::from(dataset.block());
        let range = dataset.range();
        let (address, blocks) = memory.tags;
        let forms = dataset.forms();
        let mut fits = !dataset.is_stored()
            && range.start == 0
            && blocks as u64 == range.end.div_ceil(block)
            && address != 0
            && address % align_of::<AtomicU64>() == 0
            && forms.len() == memory.groups.len();
        let mut groups = Vec::new();
        for (form, &(address, bytes)) in forms.iter().zip(&memory.groups) {
            let sample = form.views * form.form.image_bytes()?;
            let wanted = (sample as u64).checked_mul(block * blocks as u64);
            fits &= address != 0 && wanted == Some(bytes as u64);
            groups.push(Group { images: ptr::with_exposed_provenance_mut(address), sample });
        }
        if !fits {
            return Err(Error::new(Kind::Argument, "shared memory does not fit the dataset"));
        }
        // SAFETY: the address is that of so many aligned numbers, which live as long as the call that
        // `memory` is part of, and are changed by atomic operations alone, in whatever process.
        let tags =
            unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance(address), blocks) };
        Ok(Self { tags, groups, block })
    }

    fn tag(&self, index: u64) -> Option<&AtomicU64> {
        self.tags.get(usize::try_from(index / self.block).ok()?)
    }

    /// Where the images of sample `index` lie in each group, and how many bytes they are.
    fn places(&self, index: u64) -> impl Iterator<Item = (*mut u8, usize)> {
        // Its tag is there, so its images are.
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.groups.iter().map(move |group| {
            (group.images.wrapping_add(index.wrapping_mul(group.sample)), group.sample)
        })
    }
}

impl BlockStore for SharedBlocks<'_> {
    fn load(&self, index: u64, epoch: u64, out: &mut [BytesMut]) -> Kept {
        let Some(tag) = self.tag(index) else { return Kept::Absent };
        match tag.load(Ordering::Acquire) {
            now if now == being_made(epoch) => return Kept::BeingMade,
            now if now != made(epoch) => return Kept::Absent,
            _ => {}
        }
        for ((images, bytes), out) in self.places(index).zip(out) {
            assert_eq!(out.len(), bytes, "room for a sample");
            // SAFETY: the place is within the group's memory, as its tag is within the tags, and `out` is as
            // long. Another process may be writing there: what was read is not looked at before the tag
            // has said that none was, and any bytes are bytes.
            unsafe { ptr::copy_nonoverlapping(images, out.as_mut_ptr(), bytes) };
        }
        fence(Ordering::Acquire);
        match tag.load(Ordering::Relaxed) == made(epoch) {
            true => Kept::Copied,
            false => Kept::Absent,
        }
    }

    fn claim(&self, first: u64, epoch: u64) -> bool {
        let Some(tag) = self.tag(first) else { return false };
        let now = tag.load(Ordering::Relaxed);
        // Two who write at once would leave a mixture.
        let is_free = now % 2 == 0 && now != made(epoch);
        let claim = being_made(epoch);
        let claimed = is_free
            && tag.compare_exchange(now, claim, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        // Whoever sees anything of what is written from here on sees the tag too.
        fence(Ordering::Release);
        claimed
    }

    fn save(&self, first: u64, epoch: u64, samples: Option<&[&[BytesMut]]>) {
        let Some(tag) = self.tag(first) else { return };
        let Some(samples) = samples else { return tag.store(EMPTY, Ordering::Release) };
        for (index, groups) in (first..first + self.block).zip(samples) {
            for ((images, bytes), from) in self.places(index).zip(*groups) {
                assert_eq!(from.len(), bytes, "the images of a sample");
                // SAFETY: the place is within the group's memory, which has room for whole blocks, and nobody
                // else writes there: the block is claimed.
                unsafe { ptr::copy_nonoverlapping(from.as_ptr(), images, bytes) };
            }
        }
        tag.store(made(epoch), Ordering::Release);
    }
}
