//! Stored samples in the pipeline: how the images of a [`Store`] become what is delivered.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::messages::Piece;
use super::store::{Store, StoreReader};
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

    pub fn hand(&self) -> Hand {
        Hand { reader: self.store.reader(), rows: Vec::new() }
    }

    /// Whether an error of reading a sample leaves it out.
    fn skips(&self, error: &Error) -> bool {
        self.on_bad == OnBad::Skip && error.kind() == Kind::Sample
    }
}

impl Hand {
    /// Reads the stored samples of a piece to their places.
    pub fn fill(
        &mut self,
        stream: &Stream,
        stored: &Stored,
        epoch: u64,
        piece: &mut Piece,
        threads: Option<&ViewThreads>,
    ) {
        // Runs of consecutive samples are read at once; each of these calls is for one run.
        let whole = piece.order.is_none() && stored.mixture.is_none();
        if whole && stored.on_bad == OnBad::Error {
            let samples = piece.samples.clone();
            self.run(stream, stored, epoch, piece, samples.clone(), samples, threads);
            return;
        }
        if stored.mixture.is_none()
            && stored.on_bad == OnBad::Error
            && matches!(stored.form, StoredForm::Delivered)
            && let Some(order) = piece.order.clone()
        {
            let count = usize::try_from(piece.samples.end - piece.samples.start).unwrap_or(0);
            let mut out: Vec<&mut [u8]> = piece.out.iter_mut().map(|out| &mut out[..]).collect();
            let numbers = &order[piece.offset..piece.offset + count];
            if let Err(error) = self.reader.read_each(numbers, &mut out) {
                piece.error.get_or_insert(error);
            }
            return;
        }
        for position in piece.samples.clone() {
            let index = piece.index(position);
            if let Some(number) = stored.number(index) {
                let (at, numbers) = (position..position + 1, number..number + 1);
                self.run(stream, stored, epoch, piece, at, numbers, threads);
            }
        }
    }

    /// Reads `numbers` to the places of the samples `at` of the piece.
    #[allow(clippy::too_many_arguments, reason = "two ranges that differ in mixed streams")]
    fn run(
        &mut self,
        stream: &Stream,
        stored: &Stored,
        epoch: u64,
        piece: &mut Piece,
        at: Range<u64>,
        numbers: Range<u64>,
        threads: Option<&ViewThreads>,
    ) {
        let read = match &stored.form {
            StoredForm::Delivered => self.read_delivered(stream, piece, &at, numbers),
            StoredForm::Rows(_) => {
                self.read_rows(stream, stored, epoch, piece, at.clone(), numbers, threads)
            }
        };
        match read {
            Ok(()) => {}
            Err(error) if stored.skips(&error) => {
                piece.skipped.push((at.start, error));
            }
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
        let first = usize::try_from(at.start - piece.samples.start).unwrap_or(0);
        let count = usize::try_from(at.end - at.start).unwrap_or(0);
        // A batch that is delivered as it lies in memory has no other place.
        if piece.out.is_empty() {
            return self.reader.touch(numbers);
        }
        let mut out = Vec::with_capacity(piece.out.len());
        for (buffer, group) in piece.out.iter_mut().zip(&stream.groups) {
            let bytes = group.format.sample_bytes();
            out.push(&mut buffer[first * bytes..(first + count) * bytes]);
        }
        self.reader.read(numbers, &mut out)
    }

    #[allow(clippy::too_many_arguments, reason = "as above")]
    fn read_rows(
        &mut self,
        stream: &Stream,
        stored: &Stored,
        epoch: u64,
        piece: &mut Piece,
        at: Range<u64>,
        numbers: Range<u64>,
        threads: Option<&ViewThreads>,
    ) -> Result<()> {
        let count = usize::try_from(at.end - at.start).unwrap_or(0);
        let image = stream.image.len();
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
