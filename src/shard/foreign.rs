//! Shards that other tools wrote.

use std::path::Path;
use std::sync::Arc;

use super::mds::{INDEX, MdsRecords};
use super::records::Records;
use super::webdataset::{WebDatasetRecords, is_webdataset};
use crate::error::Result;

/// Opens an MDS folder (MosaicML Streaming) or a WebDataset: a folder of tar files, a list of them
/// in braces, or one whose first members share a key. `None` for anything else.
///
/// # Errors
/// [`Kind::Io`](crate::Kind::Io) or [`Kind::Sample`](crate::Kind::Sample) naming file and member
/// for what cannot be read.
pub fn open_foreign(path: &Path) -> Result<Option<Arc<dyn Records>>> {
    if path.join(INDEX).is_file() {
        return Ok(Some(Arc::new(MdsRecords::open(path)?)));
    }
    if is_webdataset(path)? {
        return Ok(Some(Arc::new(WebDatasetRecords::open(path)?)));
    }
    Ok(None)
}
