//! Datasets: opened, asked what they are, and for any sample.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::ptr;

use genset::Kind;
use genset::load::GroupForm;
use genset::recipe::{Described, Dtype as DtypeOf, Layout as LayoutOf};

use crate::arguments::{Place, c_text, reference, slice, text};
use crate::batch::Batch;
use crate::error::Error;
use crate::guard;
use crate::options::Options;
use crate::status::Status;

/// A dataset, generated or stored.
#[derive(Debug)]
pub struct Dataset {
    pub(crate) opened: genset::Dataset,
    name: CString,
    digest: CString,
    classes: Vec<CString>,
    groups: Vec<(CString, GroupForm)>,
}

/// The type of each element of images.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// `uint8_t`, 0 to 255.
    U8 = 0,
    /// IEEE 754 half precision, 2 bytes.
    F16,
    /// `float`.
    F32,
}

/// The order of the dimensions of images.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[B, V, C, H, W]`.
    Nchw = 0,
    /// `[B, V, H, W, C]`.
    Nhwc,
}

/// What the images of a sample are like, for one group of views.
#[repr(C)]
#[derive(Debug)]
pub struct Group {
    /// Its name; empty where a recipe has one group without a name.
    pub name: *const c_char,
    /// The type of each element.
    pub dtype: Dtype,
    /// The order of dimensions.
    pub layout: Layout,
    /// `[V, C, H, W]`, or `[V, H, W, C]`, as `layout` says.
    pub shape: [usize; 4],
}

impl From<DtypeOf> for Dtype {
    fn from(dtype: DtypeOf) -> Self {
        match dtype {
            DtypeOf::U8 => Self::U8,
            DtypeOf::F16 => Self::F16,
            DtypeOf::F32 => Self::F32,
        }
    }
}

impl From<LayoutOf> for Layout {
    fn from(layout: LayoutOf) -> Self {
        match layout {
            LayoutOf::Nchw => Self::Nchw,
            LayoutOf::Nhwc => Self::Nhwc,
        }
    }
}

impl Dataset {
    fn new(opened: genset::Dataset) -> Self {
        Self {
            name: c_text(opened.name()),
            digest: c_text(&opened.digest().to_string()),
            classes: opened.classes().iter().map(|name| c_text(name)).collect(),
            groups: opened.forms().into_iter().map(|form| (c_text(&form.name), form)).collect(),
            opened,
        }
    }
}

/// Opens what is at `path`: a recipe's file, `builtin:NAME`, a folder of shards, or real images.
/// `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_open(
    path: *const c_char,
    options: *const Options,
    dataset: *mut *mut Dataset,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a place for a handle.
        let place = unsafe { Place::of_handle(dataset, "dataset") }?;
        // SAFETY: the caller gives text, and options that are filled in.
        let (path, options) = unsafe { (text(path, "path")?, Options::read(options)?) };
        place.put_handle(Dataset::new(genset::Dataset::open_with(path, options)?));
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// Opens the recipe whose text is `recipe`, with paths relative to `folder`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_of_recipe(
    recipe: *const c_char,
    folder: *const c_char,
    options: *const Options,
    dataset: *mut *mut Dataset,
    error: *mut *mut Error,
) -> Status {
    /// What errors call a recipe that is in no file.
    const UNNAMED: &str = "recipe";
    let work = || {
        // SAFETY: the caller gives a place for a handle.
        let place = unsafe { Place::of_handle(dataset, "dataset") }?;
        // SAFETY: the caller gives texts, and options that are filled in.
        let (recipe, folder, options) =
            unsafe { (text(recipe, "recipe")?, text(folder, "folder")?, Options::read(options)?) };
        let folder = Path::new(folder);
        let described = Described::parse(recipe, UNNAMED, UNNAMED, folder, &options.settings)?;
        place.put_handle(Dataset::new(genset::Dataset::of_description(described, options)?));
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// Its name, for people.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_name(dataset: *const Dataset) -> *const c_char {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { dataset.as_ref() }.map_or(ptr::null(), |dataset| dataset.name.as_ptr())
}

/// Its identity: BLAKE3 of recipe and model, as 64 hexadecimal digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_digest(dataset: *const Dataset) -> *const c_char {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { dataset.as_ref() }.map_or(ptr::null(), |dataset| dataset.digest.as_ptr())
}

/// How many samples it has; `GENSET_ENDLESS` if there is no end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_len(dataset: *const Dataset) -> u64 {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    let dataset = unsafe { dataset.as_ref() };
    dataset.map_or(0, |dataset| dataset.opened.len().unwrap_or(u64::MAX))
}

/// The index of its first sample: 0 unless shards of a part were opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_first(dataset: *const Dataset) -> u64 {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { dataset.as_ref() }.map_or(0, |dataset| dataset.opened.range().start)
}

/// Whether its samples have labels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_has_labels(dataset: *const Dataset) -> bool {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { dataset.as_ref() }.is_some_and(|dataset| dataset.opened.has_labels())
}

/// How many classes have names; 0 also where labels have none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_classes(dataset: *const Dataset) -> usize {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { dataset.as_ref() }.map_or(0, |dataset| dataset.classes.len())
}

/// The name of the class that `label` stands for; NULL if it has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_class_name(
    dataset: *const Dataset,
    label: i64,
) -> *const c_char {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    let dataset = unsafe { dataset.as_ref() };
    let name = usize::try_from(label).ok().and_then(|label| dataset?.classes.get(label));
    name.map_or(ptr::null(), |name| name.as_ptr())
}

/// How many groups of views a sample has: so many tensors of images a batch has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_groups(dataset: *const Dataset) -> usize {
    // SAFETY: the caller gives NULL or a handle that is not freed yet.
    unsafe { dataset.as_ref() }.map_or(0, |dataset| dataset.groups.len())
}

/// What the images of group `number` are like; the first is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_group(
    dataset: *const Dataset,
    number: usize,
    group: *mut Group,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a handle that is not freed yet, and a place for the answer.
        let (dataset, place) =
            unsafe { (reference(dataset, "dataset")?, Place::new(group, "group")?) };
        let (name, GroupForm { views, form, .. }) =
            dataset.groups.get(number).ok_or_else(|| no_group(number, dataset.groups.len()))?;
        let [a, b, c] = form.axes();
        place.put(Group {
            name: name.as_ptr(),
            dtype: form.dtype.into(),
            layout: form.layout.into(),
            shape: [*views, a, b, c],
        });
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// The samples `indices`, in that order, with the views that they have in `epoch`, as one batch: the
/// same bytes that any loader delivers. One call works at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_gather(
    dataset: *const Dataset,
    indices: *const u64,
    len: usize,
    epoch: u64,
    batch: *mut *mut Batch,
    error: *mut *mut Error,
) -> Status {
    let work = || {
        // SAFETY: the caller gives a place for a handle.
        let place = unsafe { Place::of_handle(batch, "batch") }?;
        // SAFETY: the caller gives a handle that is not freed yet, and a list.
        let (dataset, indices) =
            unsafe { (reference(dataset, "dataset")?, slice(indices, len, "indices")?) };
        place.put_handle(Batch::new(dataset.opened.gather(indices, epoch)?));
        Ok(Status::Ok)
    };
    // SAFETY: the caller gives NULL or a place for a handle.
    unsafe { guard::guarded(error, work) }
}

/// Sample `index`, with the views that it has in `epoch`, as a batch of one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_get(
    dataset: *const Dataset,
    index: u64,
    epoch: u64,
    batch: *mut *mut Batch,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the index is there until the call returns; the rest is the caller's.
    unsafe { genset_dataset_gather(dataset, &raw const index, 1, epoch, batch, error) }
}

/// Frees a dataset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genset_dataset_free(dataset: *mut Dataset) {
    // SAFETY: the caller gives NULL or a handle that nobody will use any more.
    unsafe { guard::free(dataset) };
}

pub(crate) fn no_group(number: usize, of: usize) -> genset::Error {
    genset::Error::new(
        Kind::Argument,
        format!("there is no group {number} of views: there are {of}"),
    )
}
