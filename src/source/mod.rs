//! Real data: folders of images, tar files, IDX, NumPy and CIFAR files, as records that a dataset
//! can be read from.

mod dataset;
mod store;

pub(crate) use dataset::mixed;
pub use dataset::{dataset, is_data, records};
pub use store::ImageStore;
