//! The bytes of one shard: its table, and the columns of any sample.

use crate::error::{Error, Kind, Result, ResultExt};
use crate::shard::MappedFile;

/// Bytes of a number.
const WORD: usize = 4;

/// One shard, through a memory map. Opening it reads the ends of its table alone.
#[derive(Debug)]
pub(super) struct ShardFile {
    file: MappedFile,
    samples: u32,
    /// Bytes of each column; `None` where a sample says it.
    sizes: Vec<Option<u32>>,
    /// Bytes before the first sample.
    head: usize,
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::Io, message).help("the shard is damaged: copy or write it anew")
}

impl ShardFile {
    /// A shard whose columns have these sizes.
    ///
    /// # Errors
    /// [`Kind::Io`] naming the file, if it ends too early or contradicts itself.
    pub fn new(file: MappedFile, sizes: Vec<Option<u32>>) -> Result<Self> {
        file.check()?;
        let mut shard = Self { file, samples: 0, sizes, head: 0 };
        shard.open().at(|| shard.file.path().display().to_string())?;
        Ok(shard)
    }

    fn open(&mut self) -> Result<()> {
        let len = self.file.len();
        self.samples = self.word(0).ok_or_else(|| bad(format!("has {len} bytes, too few")))?;
        let samples = self.samples as usize;
        let table = samples.checked_add(2).and_then(|words| words.checked_mul(WORD));
        let short = || bad(format!("says that it has {samples} samples, and has {len} bytes"));
        let table = table.filter(|table| *table <= len).ok_or_else(short)?;
        let first = self.word(1).ok_or_else(short)? as usize;
        let end = self.word(samples + 1).ok_or_else(short)? as usize;
        if first < table || first > len {
            return Err(bad(format!("says that samples begin at byte {first} of {len}")));
        }
        if end != len {
            return Err(bad(format!("has {len} bytes, where its table ends at byte {end}")));
        }
        self.head = first;
        Ok(())
    }

    pub fn file(&self) -> &MappedFile {
        &self.file
    }

    /// Samples that it has.
    pub fn len(&self) -> u64 {
        u64::from(self.samples)
    }

    /// The JSON that says its columns.
    pub fn config(&self) -> &[u8] {
        &self.file.bytes()[(self.samples as usize + 2) * WORD..self.head]
    }

    /// The number at this place of the table.
    fn word(&self, at: usize) -> Option<u32> {
        let at = at.checked_mul(WORD)?;
        word(self.file.bytes(), at)
    }

    /// What to call a sample in an error.
    pub fn place(&self, position: u64) -> String {
        format!("{}: sample {position} of the shard", self.file.path().display())
    }

    /// The bytes of one column of a sample.
    ///
    /// # Errors
    /// [`Kind::Argument`] for a sample that there is not; [`Kind::Io`] if the file is damaged, or
    /// has changed since it was opened.
    pub fn column(&self, position: u64, column: usize) -> Result<&[u8]> {
        self.file.check_lately()?;
        self.find(position, column).at(|| self.place(position))
    }

    fn find(&self, position: u64, column: usize) -> Result<&[u8]> {
        let samples = self.samples;
        let at = u32::try_from(position)
            .ok()
            .filter(|at| *at < samples)
            .ok_or_else(|| Error::new(Kind::Argument, format!("there are only {samples}")))?
            as usize;
        let bounds = self.word(at + 1).zip(self.word(at + 2));
        let (begin, end) = bounds.ok_or_else(|| bad("is beyond the table"))?;
        let sample = self.file.bytes().get(begin as usize..end as usize);
        let sample = sample.filter(|_| begin as usize >= self.head).ok_or_else(|| {
            bad(format!("is said to be bytes {begin} to {end} of {}", self.file.len()))
        })?;
        let broken = || bad(format!("its columns are not its {} bytes", sample.len()));
        let varying = self.sizes.iter().filter(|size| size.is_none()).count();
        let (mut start, mut said) = ((varying * WORD) as u64, 0);
        let mut found = 0..0;
        for (number, size) in self.sizes.iter().enumerate() {
            let size = match size {
                Some(size) => *size,
                None => {
                    said += WORD;
                    word(sample, said - WORD).ok_or_else(broken)?
                }
            };
            // At most 2³² a column, and far fewer than 2³² columns.
            let end = start + u64::from(size);
            if number == column {
                found = start..end;
            }
            start = end;
        }
        if start != sample.len() as u64 {
            return Err(broken());
        }
        // Within the sample, as its end is.
        Ok(&sample[found.start as usize..found.end as usize])
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(WORD)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
