//! The view stage: rows that the generator made become the views of samples, in their places.
//!
//! Runs on the worker that made the rows, while they are in its cache, or spread over a pool of
//! threads that steal samples from each other where the generator runs on a device.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rayon::ThreadPool;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::batch::Format;
use super::messages::Piece;
use super::stored::{Stored, StoredForm};
use super::stream::Stream;
use super::worker::bad_sample;
use crate::error::{Error, Kind, Result};
use crate::generate::ImageFormat;
use crate::recipe::Normalise;
use crate::runtime::TensorView;
use crate::sample::Step;
use crate::view::{BadValue, Canvas, Delivery};

/// How the images of one group are made and delivered.
#[derive(Debug)]
pub(super) struct ViewGroup {
    pub name: Arc<str>,
    pub format: Format,
    /// From the generator's format; from the canvas if the group has pixel ops.
    pub delivery: Delivery,
    /// Whether its views go through pixel ops.
    pub drawn: bool,
    /// What is done to intensities at last, as far as it is known.
    pub normalise: Option<Normalise>,
}

/// A view, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ViewAt {
    pub group: usize,
    /// Within its group.
    pub view: usize,
    /// Over all groups.
    pub number: usize,
}

/// Some rows of a block, as one generator call shows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub epoch: u64,
    /// The first sample of the block.
    pub sample: u64,
    /// The index that the pixel operations of that sample are drawn for.
    pub drawn: u64,
    /// The number of the first row in the block.
    pub first: usize,
    /// Whether they are of a stored image in a generated stream.
    pub real: bool,
    pub values: TensorView<'a>,
}

impl<'a> Rows<'a> {
    /// Rows of the delivered block from sample `sample` on.
    pub fn of_job(
        stream: &Stream,
        epoch: u64,
        sample: u64,
        first: usize,
        values: TensorView<'a>,
    ) -> Self {
        let drawn = stream.echo.pixels_of(sample);
        Self { epoch, sample, drawn, first, real: false, values }
    }

    /// The same rows, as numbered from an earlier sample on.
    fn seen_from(self, sample: u64, a_sample: usize) -> Self {
        let earlier = self.sample - sample;
        Self {
            sample,
            // The samples between have no rows here, so what would be drawn for them does not matter.
            drawn: self.drawn.wrapping_sub(earlier),
            first: self.first + usize::try_from(earlier).unwrap_or(usize::MAX) * a_sample,
            ..self
        }
    }

    /// How these rows are delivered by a group that draws nothing.
    fn delivery<'s>(&self, stream: &'s Stream, group: usize) -> &'s Delivery {
        match &stream.stored {
            Some(Stored { form: StoredForm::Rows(deliveries), .. }) if self.real => {
                &deliveries[group]
            }
            _ => &stream.groups[group].delivery,
        }
    }

    /// What the values of these rows mean.
    fn image<'s>(&self, stream: &'s Stream) -> &'s ImageFormat {
        match &stream.stored {
            Some(Stored { form: StoredForm::Rows(deliveries), .. }) if self.real => {
                deliveries[0].format()
            }
            _ => &stream.image,
        }
    }
}

thread_local! {
    /// One image's working memory.
    static SCRATCH: RefCell<(Canvas, Vec<Step>)> = RefCell::new((Canvas::new(), Vec::new()));
}

/// Threads that share the work of the view stage. Workers hold them together; the last one to end
/// takes them along, so that they have ended when the workers have.
#[derive(Debug)]
pub(super) struct ViewThreads {
    /// `None` only while being dropped.
    pool: Option<ThreadPool>,
    threads: Vec<JoinHandle<()>>,
}

impl ViewThreads {
    /// `None` for no threads: workers make the views themselves.
    pub fn start(threads: usize) -> Result<Option<Self>> {
        if threads == 0 {
            return Ok(None);
        }
        let mut handles = Vec::with_capacity(threads);
        // A pool that spawns its threads itself does not wait for them when it is dropped.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .spawn_handler(|thread| {
                let name = format!("genset-view-{}", thread.index());
                handles.push(Builder::new().name(name).spawn(|| thread.run())?);
                Ok(())
            })
            .build()
            .map_err(|e| {
                Error::new(Kind::Worker, format!("cannot start a thread: {e}")).because(e)
            })?;
        Ok(Some(Self { pool: Some(pool), threads: handles }))
    }

    /// Runs `work` on these threads. A panic in it goes on in the caller.
    fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

impl Drop for ViewThreads {
    fn drop(&mut self) {
        self.pool = None;
        for thread in self.threads.drain(..) {
            // A panic in a view was given to the worker that waited for it.
            let _ = thread.join();
        }
    }
}

/// Writes the views that are made from `rows` and belong to `pieces` to their places. An image
/// that may not be delivered spoils its own piece alone.
pub(super) fn make_views(
    stream: &Stream,
    rows: Rows<'_>,
    pieces: &mut [Piece],
    threads: Option<&ViewThreads>,
) {
    let (image, a_sample) = (stream.image.len(), stream.rows);
    for piece in pieces {
        let rows = rows.seen_from(piece.samples.start.min(rows.sample), a_sample);
        let here = rows.first..rows.first + rows.values.len() / image;
        let row_of =
            |sample: u64| usize::try_from(sample - rows.sample).unwrap_or(usize::MAX) * a_sample;
        let wanted = row_of(piece.samples.start)..row_of(piece.samples.end);
        let both = here.start.max(wanted.start)..here.end.min(wanted.end);
        if both.is_empty() {
            continue;
        }
        let bad = match &stream.groups[..] {
            [only] if stream.plain && threads.is_none() => {
                let delivery = rows.delivery(stream, 0);
                let bytes = only.delivery.image_bytes();
                let source = (both.start - here.start) * image..(both.end - here.start) * image;
                let target = (both.start - wanted.start) * bytes..(both.end - wanted.start) * bytes;
                let written = delivery.write(rows.values.slice(source), &mut piece.out[0][target]);
                written.err().map(|bad| {
                    let row = both.start + bad.row;
                    (row / a_sample, row % a_sample, bad)
                })
            }
            _ => sample_by_sample(stream, rows, &both, wanted.start, &mut piece.out, threads),
        };
        if let Some((sample, view, bad)) = bad {
            let index = piece.index(rows.sample + sample as u64);
            piece.error.get_or_insert_with(|| bad_sample(index, view, bad.value));
        }
    }
}

/// Makes the views of the rows `both` of the block, sample by sample. `start` is the first row of
/// the piece. Gives the first bad image: its sample in the block, and its view.
fn sample_by_sample(
    stream: &Stream,
    rows: Rows<'_>,
    both: &Range<usize>,
    start: usize,
    out: &mut [bytes::BytesMut],
    threads: Option<&ViewThreads>,
) -> Option<(usize, usize, BadValue)> {
    let a_sample = stream.rows;
    let samples = both.start / a_sample..both.end.div_ceil(a_sample);
    // The places of all samples, and of each sample in all groups.
    let mut groups: Vec<_> = out
        .iter_mut()
        .zip(&stream.groups)
        .map(|(out, group)| {
            let bytes = group.format.sample_bytes();
            let skip = (samples.start - start / a_sample) * bytes;
            out[skip..].chunks_exact_mut(bytes)
        })
        .collect();
    let count = groups.len();
    let mut places: Vec<&mut [u8]> = Vec::with_capacity(samples.len() * count);
    for _ in samples.clone() {
        places.extend(groups.iter_mut().filter_map(Iterator::next));
    }
    let make = |(number, places): (usize, &mut [&mut [u8]])| {
        let sample = samples.start + number;
        let first = sample * a_sample;
        let own = both.start.max(first) - first..both.end.min(first + a_sample) - first;
        let made = one_sample(stream, rows, sample, own, places);
        made.err().map(|(view, bad)| (sample, view, bad))
    };
    match threads {
        None => places.chunks_mut(count).enumerate().filter_map(make).min_by_key(|bad| bad.0),
        Some(threads) => threads.install(|| {
            let places = places.par_chunks_mut(count).enumerate();
            places.filter_map(make).min_by_key(|bad| bad.0)
        }),
    }
}

/// Makes the views of the rows `own` of one sample; `sample` counts in the block.
fn one_sample(
    stream: &Stream,
    rows: Rows<'_>,
    sample: usize,
    own: Range<usize>,
    places: &mut [&mut [u8]],
) -> Result<(), (usize, BadValue)> {
    let image = stream.image.len();
    let index = rows.drawn.wrapping_add(sample as u64);
    SCRATCH.with_borrow_mut(|(canvas, steps)| {
        for row in own {
            let at = sample * stream.rows + row - rows.first;
            let values = rows.values.slice(at * image..(at + 1) * image);
            let mut loaded = false;
            for &ViewAt { group, view, number } in &stream.views_of_row[row] {
                let ViewGroup { delivery, drawn, .. } = &stream.groups[group];
                let bytes = delivery.image_bytes();
                let out = &mut places[group][view * bytes..][..bytes];
                let named = |bad| (number, bad);
                if !drawn {
                    rows.delivery(stream, group).write(values, out).map_err(named)?;
                    continue;
                }
                if !loaded {
                    canvas.load(rows.image(stream), values).map_err(named)?;
                    loaded = true;
                }
                let view = u32::try_from(view).unwrap_or(u32::MAX);
                stream.pixels.steps(index, rows.epoch, group, view, steps);
                canvas.render(steps, delivery, out).map_err(named)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        /// Let go when its thread has ended.
        static HELD: RefCell<Option<Arc<()>>> = const { RefCell::new(None) };
    }

    #[test]
    fn dropped_threads_have_ended() {
        let held = Arc::new(());
        let threads = ViewThreads::start(3).unwrap().unwrap();
        let hold = |_: rayon::BroadcastContext<'_>| HELD.set(Some(Arc::clone(&held)));
        threads.pool.as_ref().unwrap().broadcast(hold);
        assert_eq!(Arc::strong_count(&held), 4);
        drop(threads);
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(ViewThreads::start(0).unwrap().is_none());
    }
}
