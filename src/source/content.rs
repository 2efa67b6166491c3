//! What is in a file, as a hash that is cheap enough for every opening.

use crate::error::Result;
use crate::shard::MappedFile;

/// Files up to here are hashed whole: 64 MiB, some 20 ms of a core. MNIST's images and each file of
/// CIFAR are smaller.
const WHOLE: usize = 64 << 20;

/// Pieces that are hashed of a larger file: 4 MiB in all.
const PIECES: usize = 256;

/// Bytes of a piece.
const PIECE: usize = 16 << 10;

/// The BLAKE3 hash of a file's length and bytes; of more than 64 MiB, of 256 pieces of 16 KiB, the
/// first and the last one and the others evenly between. So another dataset under the same name is
/// noticed, and a change of a few images in a large file may not be.
///
/// # Errors
/// [`Kind::Io`](crate::Kind::Io) if the file has changed since it was opened.
pub(super) fn hash(file: &MappedFile) -> Result<blake3::Hash> {
    file.check()?;
    Ok(of(file.bytes()))
}

fn of(bytes: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    if bytes.len() <= WHOLE {
        hasher.update(bytes);
    } else {
        let last = bytes.len() - PIECE;
        for piece in 0..PIECES {
            // Divided first, as products of 32-bit sizes would overflow.
            let begin = last / (PIECES - 1) * piece + last % (PIECES - 1) * piece / (PIECES - 1);
            hasher.update(&bytes[begin..begin + PIECE]);
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_small_file_counts() {
        let mut bytes = vec![7; 1000];
        let before = of(&bytes);
        bytes[500] = 8;
        assert_ne!(of(&bytes), before);
        assert_ne!(of(&[0; 5]), of(&[0; 6]));
    }

    #[test]
    fn both_ends_of_a_large_file_count() {
        let mut bytes = vec![0; WHOLE + 12_345];
        let before = of(&bytes);
        for place in [0, WHOLE + 12_344] {
            bytes[place] = 1;
            assert_ne!(of(&bytes), before, "byte {place}");
            bytes[place] = 0;
        }
        assert_eq!(of(&bytes), before);
    }
}
