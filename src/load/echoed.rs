//! Between the worker and the store: what of a generated block is kept while its views are made,
//! and views of a block that was kept.

use bytes::BytesMut;

use super::batch::Indices;
use super::keep::{Form, Keep};
use super::messages::{Job, Piece};
use super::replay::{Key, Replay};
use super::stream::Stream;
use super::views::{Rows, ViewThreads, make_views};
use crate::error::{Error, Kind, Result};
use crate::runtime::TensorView;
use crate::sample::Source;

/// A block on its way into the store.
#[derive(Debug)]
pub(super) struct Taking {
    bytes: BytesMut,
    /// The samples that this loader does not deliver, for a store of finished views.
    fillers: Vec<Piece>,
}

/// A block, as the store knows it, by the epoch that delivers it and its first generated sample.
pub(super) fn key(keep: &Keep, epoch: u64, source: Source) -> Key {
    Key { epoch: keep.epoch(epoch), first: source.index }
}

impl Taking {
    pub fn new(stream: &Stream, replay: &Replay, job: &Job) -> Self {
        let fillers = match replay.keep().form {
            Form::Rows(_) => Vec::new(),
            Form::Views => fillers(stream, job),
        };
        Self { bytes: replay.buffer(), fillers }
    }

    /// Takes what one generator call has made, after the job's own views were made of it.
    pub fn take(
        &mut self,
        stream: &Stream,
        form: Form,
        rows: Rows<'_>,
        threads: Option<&ViewThreads>,
    ) {
        match form {
            Form::Rows(_) => {
                let bytes = rows.values.as_bytes();
                let a_row = bytes.len() / (rows.values.len() / stream.image.len()).max(1);
                self.bytes[rows.first * a_row..][..bytes.len()].copy_from_slice(bytes);
            }
            Form::Views => make_views(stream, rows, &mut self.fillers, threads),
        }
    }

    /// Puts the whole block into the store. Finished views are not kept if one of them is bad: who
    /// asks again gets the error again.
    pub fn keep(mut self, stream: &Stream, replay: &Replay, job: &Job) -> Result<()> {
        if replay.keep().form == Form::Views {
            let pieces = || job.pieces.iter().chain(&self.fillers);
            if pieces().any(|piece| piece.error.is_some()) {
                replay.give_back(self.bytes);
                return Ok(());
            }
            for piece in pieces() {
                for (group, out) in piece.out.iter().enumerate() {
                    self.bytes[place(stream, job.first, piece, group)].copy_from_slice(out);
                }
            }
        }
        let key = key(replay.keep(), job.epoch, job.source);
        replay.insert(key, stream.echo.is_last(job.source), self.bytes)
    }
}

/// Writes the views of a kept block to the job's places.
pub(super) fn deliver(
    stream: &Stream,
    form: Form,
    bytes: &[u8],
    job: &mut Job,
    threads: Option<&ViewThreads>,
) -> Result<()> {
    match form {
        Form::Rows(element) => {
            let values = TensorView::of_bytes(element, bytes)
                .ok_or_else(|| Error::new(Kind::Sample, "a kept block is not what was kept"))?;
            let rows = Rows::of_job(stream, job.epoch, job.first, 0, values);
            make_views(stream, rows, &mut job.pieces, threads);
        }
        Form::Views => {
            for piece in &mut job.pieces {
                for group in 0..piece.out.len() {
                    let place = place(stream, job.first, piece, group);
                    piece.out[group].copy_from_slice(&bytes[place]);
                }
            }
        }
    }
    Ok(())
}

/// Where the views of a piece are in a block of finished views: group after group.
fn place(stream: &Stream, first: u64, piece: &Piece, group: usize) -> std::ops::Range<usize> {
    let size = |group: usize| stream.groups[group].format.sample_bytes();
    let before: usize = (0..group).map(size).sum::<usize>() * stream.block as usize;
    let start = usize::try_from(piece.samples.start - first).unwrap_or(usize::MAX);
    let start = before + start * size(group);
    start..start + piece.out[group].len()
}

/// Pieces for what of the block no piece of the job covers: another rank's, or outside the range.
fn fillers(stream: &Stream, job: &Job) -> Vec<Piece> {
    let end = job.first + u64::from(stream.block);
    let mut gaps = Vec::new();
    let mut at = job.first;
    for piece in &job.pieces {
        gaps.push(at..piece.samples.start);
        at = piece.samples.end;
    }
    gaps.push(at..end);
    gaps.retain(|gap| !gap.is_empty());
    let filler = |samples: std::ops::Range<u64>| {
        let count = usize::try_from(samples.end - samples.start).unwrap_or(0);
        let out = |group: &super::views::ViewGroup| {
            super::memory::aligned(count * group.format.sample_bytes())
        };
        let out = stream.groups.iter().map(out).collect();
        Piece {
            sequence: 0,
            batch: Indices::Run(samples.clone()),
            samples,
            offset: 0,
            out,
            error: None,
            skipped: Vec::new(),
        }
    };
    gaps.into_iter().map(filler).collect()
}
