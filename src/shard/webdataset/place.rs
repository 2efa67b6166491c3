//! Where members lie, in eight bytes each: ten million samples of two members take 160 MB.

use std::ops::Range;

use super::archive::BLOCK;
use crate::error::{Error, Kind, Result};

/// Where the bytes of a member are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Members begin at multiples of a block.
    block: u32,
    len: u32,
}

impl Place {
    /// # Errors
    /// [`Kind::Limit`] for members of 4 GiB, and tars of 2 TiB.
    pub fn new(data: &Range<usize>) -> Result<Self> {
        let block = u32::try_from(data.start / BLOCK);
        let len = u32::try_from(data.len());
        match (block, len) {
            (Ok(block), Ok(len)) => Ok(Self { block, len }),
            _ => Err(Error::new(Kind::Limit, "is beyond 2 TiB of a tar, or has 4 GiB or more")
                .help("split the tar, and what it holds, into smaller files")),
        }
    }

    /// The bytes of the member in the tar that the place was found in.
    pub fn of(self, tar: &[u8]) -> &[u8] {
        // The whole range was inside when it was found, and the length of a map does not change.
        let start = self.block as usize * BLOCK;
        &tar[start..start + self.len as usize]
    }

    /// Where it begins.
    pub fn start(self) -> usize {
        self.block as usize * BLOCK
    }
}
