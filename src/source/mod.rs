//! Real data: folders of images, tar files, IDX, NumPy and CIFAR files, as records that a dataset
//! can be read from.
