//! A loader in its steady state allocates a few small things for each block and batch, and no
//! images.
//!
//! One test in a file of its own: it counts what the whole process allocates.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::{DIGITS, open};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promises are those that the system asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above, and `pointer` came from the system.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(work: impl FnOnce()) -> (u64, u64) {
    let before = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
    work();
    (ALLOCATIONS.load(Relaxed) - before.0, BYTES.load(Relaxed) - before.1)
}

/// Of the pipeline alone, besides what a generator call allocates.
const A_BLOCK: u64 = 6;
const A_BATCH: u64 = 8;

#[test]
fn a_steady_loader_allocates_a_few_small_things() {
    const BLOCK: u64 = 16;
    let block = format!("generator.block={BLOCK}");
    let dataset = open(DIGITS, &[&block, "samples=\"endless\""]);

    let mut generator = dataset.generated().unwrap().generator().unwrap();
    let inputs = dataset.block_inputs(0);
    let mut call = || generator.run(&inputs, &mut |_, _| Ok(())).unwrap();
    (0..4).for_each(|_| call());
    let a_call = counted(call);

    // Several blocks a batch, several batches a block, and neither a multiple of the other.
    for (batch, batches) in [(64, 40), (4, 200), (24, 60)] {
        let mut loader = dataset.loader().batch(batch).workers(2).rank(0, 1).build().unwrap();
        let mut take = |n: u64| (0..n).for_each(|_| drop(loader.next().unwrap().unwrap()));
        take(batches);
        let (allocations, bytes) = counted(|| take(batches));
        let blocks = (batches * batch as u64).div_ceil(BLOCK);
        // As many blocks are under way after as before, but for those in a window.
        let ahead = 8;
        let allowed = (blocks + ahead) * (a_call.0 + A_BLOCK) + (batches + ahead) * A_BATCH;
        println!(
            "batch {batch}: {allocations} allocations, {bytes} bytes in {batches} batches and \
             {blocks} blocks; {a_call:?} a call"
        );
        assert!(allocations <= allowed, "batch {batch}: {allocations}, allowed are {allowed}");
        let images = batches * batch as u64 * dataset.sample_bytes() as u64;
        let calls = (blocks + ahead) * a_call.1;
        assert!(bytes.saturating_sub(calls) < images / 4, "{bytes} bytes, images are {images}");
    }
}
