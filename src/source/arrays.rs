//! Images that lie one after the other in files, all of one form: IDX, NumPy and CIFAR.

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;

use super::content;
use crate::codec::{Form, Picture, RawForm};
use crate::error::{Error, Kind, Result, ResultExt as _};
use crate::shard::{MappedFile, Records};

/// Equal images in one or more files, with or without labels.
#[derive(Debug)]
pub struct ArrayRecords {
    parts: Vec<Part>,
    /// One past the last sample of each part.
    ends: Vec<u64>,
    form: RawForm,
    image_bytes: usize,
    /// One for each sample, or none at all.
    labels: Option<Vec<i64>>,
    classes: Vec<String>,
    /// What is in each part's file.
    contents: Vec<blake3::Hash>,
}

/// Images in one file.
#[derive(Debug)]
pub(super) struct Part {
    pub file: MappedFile,
    /// Where the first image begins.
    pub first: usize,
    /// Bytes from one image to the next.
    pub stride: usize,
    pub count: usize,
}

impl ArrayRecords {
    /// Checks that all images lie inside their files, and that there is a label for each.
    pub(super) fn new(
        parts: Vec<Part>,
        form: RawForm,
        labels: Option<Vec<i64>>,
        classes: Vec<String>,
    ) -> Result<Self> {
        let image_bytes = form.image_bytes()?;
        let (mut ends, mut end) = (Vec::new(), 0u64);
        for part in &parts {
            let last = part.count.checked_sub(1).and_then(|last| last.checked_mul(part.stride));
            let inside = last
                .and_then(|last| last.checked_add(part.first)?.checked_add(image_bytes))
                .is_some_and(|last| last <= part.file.len());
            if !inside && part.count > 0 {
                let text = format!("ends before the last of its {} images", part.count);
                return Err(Error::new(Kind::Sample, text).at(part.file.path().display()));
            }
            end += part.count as u64;
            ends.push(end);
        }
        if let Some(labels) = &labels
            && labels.len() as u64 != end
        {
            let text = format!("{} labels for {end} images", labels.len());
            return Err(Error::new(Kind::Sample, text)
                .help("images and labels are of different data, or one file was cut short"));
        }
        if let Some(wrong) = labels.iter().flatten().find(|label| **label < 0) {
            return Err(Error::new(Kind::Sample, format!("{wrong} is no label")));
        }
        let contents = parts.iter().map(|part| content::hash(&part.file)).collect::<Result<_>>()?;
        Ok(Self { parts, ends, form, image_bytes, labels, classes, contents })
    }

    /// The part of a sample, and where in its file the image begins.
    fn find(&self, index: u64) -> Result<(&Part, usize)> {
        let part = self.ends.partition_point(|end| *end <= index);
        let found = self.parts.get(part).ok_or_else(|| outside(index, self.samples()))?;
        let begin = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        // Checked against the file when it was opened.
        Ok((found, found.first + (index - begin) as usize * found.stride))
    }

    /// Where consecutive samples lie, if they do so one after the other in one file.
    fn range(&self, samples: Range<u64>) -> Result<Option<(&MappedFile, Range<usize>)>> {
        if samples.is_empty() || samples.end > self.samples().end {
            return Ok(None);
        }
        let ((part, begin), (last, end)) = (self.find(samples.start)?, self.find(samples.end - 1)?);
        if !std::ptr::eq(part, last) || part.stride != self.image_bytes {
            return Ok(None);
        }
        part.file.check_lately()?;
        Ok(Some((&part.file, begin..end + self.image_bytes)))
    }
}

/// A sample that is not there.
pub(super) fn outside(index: u64, samples: Range<u64>) -> Error {
    Error::new(Kind::Argument, format!("there is no sample {index}, only up to {}", samples.end))
}

impl Records for ArrayRecords {
    fn samples(&self) -> Range<u64> {
        0..self.ends.last().copied().unwrap_or(0)
    }

    fn pictures(&self) -> usize {
        1
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        let Some(labels) = &self.labels else { return Ok(None) };
        let label = usize::try_from(index).ok().and_then(|index| labels.get(index));
        label.map(|label| Some(*label)).ok_or_else(|| outside(index, self.samples()))
    }

    fn show(
        &self,
        index: u64,
        _scratch: &mut Vec<u8>,
        show: &mut dyn FnMut(usize, Picture<'_>) -> Result<()>,
    ) -> Result<()> {
        let (part, begin) = self.find(index)?;
        part.file.check_lately()?;
        let bytes = &part.file.bytes()[begin..begin + self.image_bytes];
        show(0, Picture { bytes, form: Form::Raw(self.form) }).at(|| self.place(index))
    }

    fn run(&self, samples: Range<u64>, _group: usize) -> Result<Option<&[u8]>> {
        Ok(self.range(samples)?.map(|(file, range)| &file.bytes()[range]))
    }

    fn mapped(&self, samples: Range<u64>, _group: usize) -> Result<Option<Bytes>> {
        Ok(self.range(samples)?.and_then(|(file, range)| file.slice(range)))
    }

    fn together(&self, samples: Range<u64>) -> u64 {
        let part = self.ends.partition_point(|end| *end <= samples.start);
        let end = self.ends.get(part).copied().unwrap_or(samples.end).min(samples.end);
        end.saturating_sub(samples.start)
    }

    fn place(&self, index: u64) -> String {
        let part = self.ends.partition_point(|end| *end <= index);
        let file = self.parts.get(part).map(|part| part.file.path().to_path_buf());
        let begin = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        let file: PathBuf = file.unwrap_or_default();
        format!("{}: image {}", file.display(), index - begin)
    }

    fn identify(&self, hasher: &mut blake3::Hasher) {
        for (part, content) in self.parts.iter().zip(&self.contents) {
            let name = part.file.path().file_name().unwrap_or_default();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_encoded_bytes());
            hasher.update(content.as_bytes());
        }
        // As many as there are images, or none.
        for label in self.labels.iter().flatten() {
            hasher.update(&label.to_le_bytes());
        }
    }
}
