//! From a dataset to features: several threads, each with an encoder, on one loader.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam::channel::{Sender, bounded};
use ndarray::Array2;

use super::features::Features;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::load::{Dataset, Images, Indices, Loader, Options, Stop};
use crate::process::cores;

/// Turns images into rows of features, on one thread.
pub(super) trait Featurise: Send {
    /// Features of an image.
    fn width(&self) -> usize;

    /// `[B, width]` for `B` images.
    fn rows(&mut self, images: &Images) -> Result<Vec<f32>>;
}

/// The images to look at, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub dataset: &'a Dataset,
    pub samples: &'a Range<u64>,
    /// Whether an image without a label is an error; else its label is -1.
    pub labelled: bool,
    /// Images a batch.
    pub batch: usize,
    pub stop: &'a Stop,
}

/// What comes of images.
pub(super) struct Extracted {
    pub features: Features,
    /// The sample of each row: not all of a range where the dataset leaves some out.
    pub index: Vec<u64>,
}

/// Features of one batch.
struct Piece {
    first: usize,
    rows: Vec<f32>,
    labels: Vec<i64>,
    index: Indices,
}

/// Batches in order, each with the number of images before it.
struct Batches {
    loader: Loader,
    next: usize,
}

/// The features of all images, in order, made by as many threads as there are makers. `progress` is
/// told how many images are done. An image that the dataset leaves out has no row.
///
/// # Errors
/// [`Kind::Sample`] for an image without a label, or whose features are not finite, with its index;
/// [`Kind::Worker`] if a thread panics; those of loader and encoder.
pub(super) fn extract(
    images: &Wanted<'_>,
    makers: &mut [Box<dyn Featurise>],
    progress: &mut dyn FnMut(u64),
) -> Result<Extracted> {
    let name = images.dataset.name();
    let total = usize::try_from(images.samples.end - images.samples.start).unwrap_or(usize::MAX);
    let width = makers.first().map_or(0, |maker| maker.width());
    let loader = images
        .dataset
        .loader()
        .rank(0, 1)
        .range(images.samples.clone())
        .batch(images.batch)
        .stop(images.stop.clone())
        .build()?;
    let batches = Mutex::new(Batches { loader, next: 0 });
    let (mut values, mut labels) = (vec![0.0_f32; total * width], vec![0_i64; total]);
    let mut indices = vec![0_u64; total];
    let mut done = 0;
    thread::scope(|scope| {
        let (send, receive) = bounded(makers.len());
        for maker in makers {
            let (send, batches) = (send.clone(), &batches);
            scope.spawn(move || work(maker.as_mut(), images.labelled, batches, &send));
        }
        drop(send);
        // Dropping the receiver ends the threads.
        for piece in receive {
            let Piece { first, rows, labels: own, index } = piece?;
            if let Some(at) = rows.iter().position(|x| !x.is_finite()) {
                let sample = index.get(at / width).unwrap_or_default();
                let message = format!("the features of image {sample} are not finite");
                return Err(Error::new(Kind::Sample, message).with_sample(sample));
            }
            values[first * width..][..rows.len()].copy_from_slice(&rows);
            labels[first..][..own.len()].copy_from_slice(&own);
            for (place, index) in indices[first..].iter_mut().zip(index.iter()) {
                *place = index;
            }
            done += own.len();
            progress(done as u64);
        }
        Ok(())
    })
    .at(|| name.to_owned())?;
    images.stop.check()?;
    values.truncate(done * width);
    labels.truncate(done);
    indices.truncate(done);
    let values = Array2::from_shape_vec((done, width), values).expect("rows were counted");
    let features = Features::new(values, labels).at(|| name.to_owned())?;
    Ok(Extracted { features, index: indices })
}

/// Works on batches until there are none or nobody listens.
fn work(
    maker: &mut dyn Featurise,
    labelled: bool,
    batches: &Mutex<Batches>,
    send: &Sender<Result<Piece>>,
) {
    loop {
        let piece = match next(batches) {
            None => return,
            Some(Err(error)) => Err(error),
            Some(Ok((first, batch))) => piece(maker, labelled, first, &batch),
        };
        let failed = piece.is_err();
        if send.send(piece).is_err() || failed {
            return;
        }
    }
}

fn next(batches: &Mutex<Batches>) -> Option<Result<(usize, crate::Batch)>> {
    let mut batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
    let batch = batches.loader.next()?;
    let first = batches.next;
    Some(batch.map(|batch| {
        batches.next += batch.len();
        (first, batch)
    }))
}

fn piece(
    maker: &mut dyn Featurise,
    labelled: bool,
    first: usize,
    batch: &crate::Batch,
) -> Result<Piece> {
    let labels = match batch.labels() {
        None if !labelled => vec![-1; batch.len()],
        labels => labels.unwrap_or_default().to_vec(),
    };
    let bad = labels.iter().position(|label| labelled && *label < 0);
    if let Some(at) = bad.or((labels.len() != batch.len()).then_some(0)) {
        let sample = batch.index().get(at).unwrap_or_default();
        let message = format!("image {sample} has no label");
        return Err(Error::new(Kind::Sample, message).with_sample(sample));
    }
    let rows = maker.rows(batch.images())?;
    Ok(Piece { first, rows, labels, index: batch.index() })
}

/// The images of a dataset, at most `limit`, the first; `ends` says how one without end is given one.
pub(super) fn range(
    dataset: &Dataset,
    limit: Option<u64>,
    what: &str,
    ends: &str,
) -> Result<Range<u64>> {
    let all = dataset.range();
    if limit.is_none() && dataset.len().is_none() {
        let message = format!("there is no end of {what} images in {}", dataset.name());
        return Err(Error::new(Kind::Argument, message).help(ends.to_owned()));
    }
    Ok(all.start..limit.map_or(all.end, |limit| all.end.min(all.start.saturating_add(limit))))
}

/// Threads that make features: those asked for, or one a core, divided by the threads inside a call of an
/// encoder.
pub(super) fn workers(asked: Option<usize>, options: &Options) -> usize {
    asked.unwrap_or_else(|| cores().div_ceil(options.threads.unwrap_or(1).max(1)))
}

/// The settings that bring real images to `[channels, height, width]`.
pub(super) fn source_settings([c, h, w]: [usize; 3]) -> String {
    let size = if h == w { format!("{h}") } else { format!("[{h},{w}]") };
    format!("--set source.size={size} --set source.channels={c}")
}
