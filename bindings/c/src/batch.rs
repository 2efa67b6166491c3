//! Batches: what a consumer gets.

use std::ffi::c_void;
use std::ptr;

use crate::arguments::{Place, reference};
use crate::dataset::{Dtype, Layout, no_group};
use crate::error::Error;
use crate::guard;
use crate::status::Status;

/// Samples with all their views. To free it gives its memory back to the loader.
#[derive(Debug)]
pub struct Batch {
    delivered: genset::Batch,
    index: Vec<u64>,
}

/// The images of a batch, of one group of views: contiguous, sample by sample, view by view.
#[repr(C)]
#[derive(Debug)]
pub struct Images {
    /// The first element, at a multiple of 64 bytes unless `zero_copy` was set.
    pub data: *const c_void,
    /// How many bytes they are.
    pub bytes: usize,
    /// The type of each element.
    pub dtype: Dtype,
    /// The order of dimensions.
    pub layout: Layout,
    /// `[B, V, C, H, W]`, or `[B, V, H, W, C]`, as `layout` says.
    pub shape: [usize; 5],
}

/// The latents that each view of a batch was made from, contiguous.
#[repr(C)]
#[derive(Debug)]
pub struct Latents {
    /// The first number; NULL if there are none: they were not asked for, or nothing is generated.
    pub data: *const f32,
    /// `[B, V, Z]`, views of all groups after each other.
    pub shape: [usize; 3],
}

impl Batch {
    pub(crate) fn new(delivered: genset::Batch) -> Self {
        Self { index: delivered.index().into_iter().collect(), delivered }
    }
}

/// How many samples it has: B.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_batch_len(batch: *const Batch) -> usize {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { batch.as_ref() }.map_or(0, |batch| batch.index.len())
}

/// The pass over the dataset that it belongs to; the first is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_batch_epoch(batch: *const Batch) -> u64 {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { batch.as_ref() }.map_or(0, |batch| batch.delivered.epoch())
}

/// The index of each sample, `[B]`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_batch_index(batch: *const Batch) -> *const u64 {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { batch.as_ref() }.map_or(ptr::null(), |batch| batch.index.as_ptr())
}

/// The class of each sample, `[B]`, -1 for one without; NULL if the dataset has no classes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_batch_labels(batch: *const Batch) -> *const i64 {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    let labels = unsafe { batch.as_ref() }.and_then(|batch| batch.delivered.labels());
    labels.map_or(ptr::null(), <[i64]>::as_ptr)
}

/// The images of group `number`; the first is 0, and there is always one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_batch_images(
    batch: *const Batch,
    number: usize,
    images: *mut Images,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a handle that is not freed yet, and a place for the answer.
        let (batch, place) = unsafe { (reference(batch, "batch")?, Place::new(images, "images")?) };
        let groups = batch.delivered.groups();
        let of = groups.get(number).ok_or_else(|| no_group(number, groups.len()))?;
        let bytes = of.bytes();
        place.put(Images {
            data: bytes.as_ptr().cast(),
            bytes: bytes.len(),
            dtype: of.dtype().into(),
            layout: of.layout().into(),
            shape: of.shape(),
        });
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// The latents of each view.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_batch_latents(
    batch: *const Batch,
    latents: *mut Latents,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a handle that is not freed yet, and a place for the answer.
        let (batch, place) =
            unsafe { (reference(batch, "batch")?, Place::new(latents, "latents")?) };
        let values = batch.delivered.latents();
        let values = values.as_ref().filter(|values| !values.is_empty());
        place.put(match values {
            Some(values) => Latents { data: values.as_ptr(), shape: values.dim().into() },
            None => Latents { data: ptr::null(), shape: [0; 3] },
        });
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// Frees a batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_batch_free(batch: *mut Batch) {
    // SAFETY: the caller gives NULL or a handle that nobody will use any more.
    unsafe { guard::free(batch) };
}
