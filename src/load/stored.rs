//! Stored samples in the pipeline: how the images of a [`Store`] become what is delivered.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Indices;
use super::messages::Piece;
use super::store::{Caching, Store, StoreReader};
use super::stream::Stream;
use super::views::{Rows, ViewThreads, make_views};
use crate::error::{Error, Kind, Result};
use crate::recipe::OnBad;
use crate::runtime::TensorView;
use crate::sample::Mixture;
use crate::view::Delivery;

/// The stored part of a stream: all of it, or what is mixed into a generated one.
#[derive(Debug)]
pub(super) struct Stored {
    pub store: Arc<dyn Store>,
    /// What is done to the images.
    pub form: StoredForm,
    /// Whether that is to copy what lies in memory.
    pub copies: bool,
    /// What to do with an image that cannot be read.
    pub on_bad: OnBad,
    /// Which samples are stored, where others are generated.
    pub mixture: Option<Mixture>,
}

/// How stored images become views.
#[derive(Debug)]
pub(super) enum StoredForm {
    /// What is stored is what is delivered, group by group.
    Delivered,
    /// Views are made of 8-bit rows, as of those of a generator. In a mixed stream, where rows of a
    /// generator have another format, undrawn groups are written by these.
    Rows(Vec<Delivery>),
}

/// What one thread reads stored samples with.
pub(super) struct Hand {
    reader: Box<dyn StoreReader>,
    rows: Vec<u8>,
}

impl Stored {
    /// The number in the store of sample `index`, if that is stored.
    pub fn number(&self, index: u64) -> Option<u64> {
        match &self.mixture {
            None => Some(index),
            Some(mixture) => mixture.real(index).map(|number| self.store.samples().start + number),
        }
    }

    /// All groups of consecutive samples as they lie in memory, if they do and are delivered so.
    pub fn mapped(&self, samples: &Range<u64>) -> Result<Option<Vec<Bytes>>> {
        if !matches!(self.form, StoredForm::Delivered) {
            return Ok(None);
        }
        let groups = self.store.groups().iter().enumerate();
        let mut all = Vec::with_capacity(groups.len());
        for (number, group) in groups {
            match self.store.mapped(samples.clone(), number)? {
                // Elements that are not aligned could not be seen as what they are.
                Some(bytes) if bytes.as_ptr().addr().is_multiple_of(group.form.dtype.size()) => {
                    all.push(bytes);
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// `caching`: of what is delivered.
    pub fn hand(&self, caching: Caching) -> Hand {
        let caching = match self.form {
            StoredForm::Delivered => caching,
            // Views are made of the rows at once.
            StoredForm::Rows(_) => Caching::Within,
        };
        Hand { reader: self.store.reader(caching), rows: Vec::new() }
    }

    /// Whether an error of reading a sample leaves it out.
    fn skips(&self, error: &Error) -> bool {
        self.on_bad == OnBad::Skip && error.kind() == Kind::Sample
    }
}

/// What pieces are filled from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling<'a> {
    pub stream: &'a Stream,
    pub stored: &'a Stored,
    pub epoch: u64,
    pub threads: Option<&'a ViewThreads>,
}

impl Hand {
    /// Reads the stored samples of a piece to their places.
    pub fn fill(&mut self, from: Filling<'_>, piece: &mut Piece) {
        let Filling { stored, .. } = from;
        // Several samples are read at once where all are stored and a bad one ends the stream.
        if stored.mixture.is_none() && stored.on_bad == OnBad::Error {
            match piece.batch.clone() {
                Indices::Run(_) => {
                    let samples = piece.samples.clone();
                    return self.run(from, piece, samples.clone(), samples);
                }
                Indices::Each(order) if matches!(stored.form, StoredForm::Delivered) => {
                    return self.each(piece, &order);
                }
                Indices::Each(_) => {}
            }
        }
        for position in piece.samples.clone() {
            if let Some(number) = stored.number(piece.index(position)) {
                self.run(from, piece, position..position + 1, number..number + 1);
            }
        }
    }

    /// Reads samples that need not be consecutive; `order` is that of the batch.
    fn each(&mut self, piece: &mut Piece, order: &[u64]) {
        let count = length(&piece.samples);
        let mut out: Vec<&mut [u8]> = piece.out.iter_mut().map(|out| &mut out[..]).collect();
        let numbers = &order[piece.offset..piece.offset + count];
        if let Err(error) = self.reader.read_each(numbers, &mut out) {
            piece.error.get_or_insert(error);
        }
    }

    /// Reads `numbers` to the places of the samples `at` of the piece.
    fn run(&mut self, from: Filling<'_>, piece: &mut Piece, at: Range<u64>, numbers: Range<u64>) {
        let first = at.start;
        let read = match &from.stored.form {
            StoredForm::Delivered => self.read_delivered(from.stream, piece, &at, numbers),
            StoredForm::Rows(_) => self.read_rows(from, piece, &at, numbers),
        };
        match read {
            Ok(()) => {}
            Err(error) if from.stored.skips(&error) => piece.skipped.push((first, error)),
            Err(error) => {
                piece.error.get_or_insert(error);
            }
        }
    }

    fn read_delivered(
        &mut self,
        stream: &Stream,
        piece: &mut Piece,
        at: &Range<u64>,
        numbers: Range<u64>,
    ) -> Result<()> {
        // A batch that is delivered as it lies in memory has no other place.
        if piece.out.is_empty() {
            return self.reader.touch(numbers);
        }
        let first = length(&(piece.samples.start..at.start));
        let count = length(at);
        let mut out = Vec::with_capacity(piece.out.len());
        for (buffer, group) in piece.out.iter_mut().zip(&stream.groups) {
            let bytes = group.format.sample_bytes();
            out.push(&mut buffer[first * bytes..(first + count) * bytes]);
        }
        self.reader.read(numbers, &mut out)
    }

    fn read_rows(
        &mut self,
        from: Filling<'_>,
        piece: &mut Piece,
        at: &Range<u64>,
        numbers: Range<u64>,
    ) -> Result<()> {
        let Filling { stream, stored, epoch, threads } = from;
        let (count, image) = (length(at), stream.image.len());
        let real = stored.mixture.is_some();
        // A real image has no neighbours in latent space: all rows of its sample show it.
        let stored_rows = if real { 1 } else { stream.rows };
        self.rows.resize(count * stream.rows * image, 0);
        let (read, rest) = self.rows.split_at_mut(count * stored_rows * image);
        self.reader.read(numbers, &mut [read])?;
        for copy in rest.chunks_exact_mut(image) {
            copy.copy_from_slice(&read[..image]);
        }
        let drawn = piece.index(at.start);
        let values = TensorView::U8(&self.rows);
        let rows = Rows { epoch, sample: at.start, drawn, first: 0, real, values };
        make_views(stream, rows, std::slice::from_mut(piece), threads);
        Ok(())
    }
}

fn length(samples: &Range<u64>) -> usize {
    usize::try_from(samples.end - samples.start).unwrap_or(usize::MAX)
}

/// Makes the views of what a generator made. In a mixed stream its rows are those of the generated
/// samples of the block, one after the other.
pub(super) fn make_generated(
    stream: &Stream,
    rows: Rows<'_>,
    pieces: &mut [Piece],
    threads: Option<&ViewThreads>,
) {
    let Some(mixture) = stream.stored.as_ref().and_then(|stored| stored.mixture.as_ref()) else {
        make_views(stream, rows, pieces, threads);
        return;
    };
    let (image, a_sample) = (stream.image.len(), stream.rows);
    let here = rows.first..rows.first + rows.values.len() / image;
    for (ordinal, at) in mixture.generated(rows.sample).enumerate() {
        let own = ordinal * a_sample..(ordinal + 1) * a_sample;
        let both = own.start.max(here.start)..own.end.min(here.end);
        if both.is_empty() {
            continue;
        }
        let values =
            rows.values.slice((both.start - here.start) * image..(both.end - here.start) * image);
        let sample = rows.sample + at;
        let one = Rows { sample, drawn: sample, first: both.start - own.start, values, ..rows };
        make_views(stream, one, pieces, threads);
    }
}
