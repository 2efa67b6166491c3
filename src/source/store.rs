//! Records as a loader reads them: each image decoded, or copied, to where it is wanted.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{Decoder, Fit, Form, RawForm, Target};
use crate::error::{Error, Kind, Result};
use crate::load::{Caching, GroupForm, Store, StoreReader, each_label};
use crate::recipe::{Dtype, Layout};
use crate::shard::{Records, copy_past_caches, prefetch};

/// Samples that are fetched ahead of the one that is copied.
const AHEAD: usize = 6;
/// Samples of fewer bytes that are far apart are copied through the caches: past them, each would end
/// with a wait for what is on its way to memory.
const SMALL: usize = 16 << 10;
/// Bytes that are mapped at once.
const PAGE: usize = 4096;

/// Stored images, brought to one form.
#[derive(Debug, Clone)]
pub struct ImageStore {
    records: Arc<dyn Records>,
    groups: Arc<[GroupForm]>,
    /// For each picture of a sample, where it belongs: group, and place in the group.
    places: Arc<[Place]>,
    /// Whether what lies in memory is what is wanted, group by group.
    verbatim: bool,
    fit: Fit,
    /// Other numbers for the labels, if they are to have such.
    labels: Option<Arc<[i64]>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    group: usize,
    view: usize,
}

impl ImageStore {
    /// The pictures of `records` as the images of `groups`, one after the other; `fit` says what
    /// is done to images of another size.
    ///
    /// # Errors
    /// [`Kind::Argument`] if a sample has another number of pictures, or if there is no sample.
    pub fn new(records: Arc<dyn Records>, groups: Vec<GroupForm>, fit: Fit) -> Result<Self> {
        let views: usize = groups.iter().map(|group| group.views).sum();
        if views != records.pictures() {
            let has = records.pictures();
            return Err(Error::new(
                Kind::Argument,
                format!("each sample has {has} picture(s), where {views} are wanted"),
            ));
        }
        if records.samples().is_empty() {
            return Err(Error::new(Kind::Argument, "there is no image"));
        }
        let verbatim = is_verbatim(&*records, &groups)?;
        let place = |(group, of): (usize, &GroupForm)| {
            (0..of.views).map(move |view| Place { group, view }).collect::<Vec<_>>()
        };
        let places = groups.iter().enumerate().flat_map(place).collect();
        Ok(Self { records, groups: groups.into(), places, verbatim, fit, labels: None })
    }

    /// The same with other labels: that of number `i` becomes `labels[i]`.
    #[must_use]
    pub fn relabelled(self, labels: Vec<i64>) -> Self {
        Self { labels: Some(labels.into()), ..self }
    }
}

impl Store for ImageStore {
    fn samples(&self) -> Range<u64> {
        self.records.samples()
    }

    fn groups(&self) -> &[GroupForm] {
        &self.groups
    }

    fn classes(&self) -> &[String] {
        match self.labels {
            // Those are numbers of somebody else's classes.
            Some(_) => &[],
            None => self.records.classes(),
        }
    }

    fn has_labels(&self) -> bool {
        self.records.has_labels()
    }

    fn label(&self, index: u64) -> Result<Option<i64>> {
        let label = self.records.label(index)?;
        let (Some(label), Some(labels)) = (label, &self.labels) else { return Ok(label) };
        let new = usize::try_from(label).ok().and_then(|label| labels.get(label));
        new.map(|new| Some(*new)).ok_or_else(|| {
            Error::new(Kind::Sample, format!("there is no class {label}"))
                .at(self.records.place(index))
                .with_sample(index)
        })
    }

    fn latent_len(&self) -> usize {
        self.records.latent_len()
    }

    fn latents(&self, index: u64, out: &mut [f32]) -> Result<()> {
        self.records.latents(index, out)
    }

    fn labels(&self, samples: Range<u64>, out: &mut Vec<i64>) -> Result<()> {
        match &self.labels {
            None => self.records.labels(samples, out),
            Some(_) => each_label(samples, out, |index| self.label(index)),
        }
    }

    fn reader(&self, caching: Caching) -> Box<dyn StoreReader> {
        let copy: Copy = match caching {
            Caching::Within => |from, to| to.copy_from_slice(from),
            Caching::Past => copy_past_caches,
        };
        Box::new(Reader { store: self.clone(), decoder: Decoder::new(), scratch: Vec::new(), copy })
    }

    fn mapped(&self, samples: Range<u64>, group: usize) -> Result<Option<Bytes>> {
        if !self.verbatim || self.records.together(samples.clone()) < samples.end - samples.start {
            return Ok(None);
        }
        self.records.mapped(samples, group)
    }
}

/// What one thread reads with.
struct Reader {
    store: ImageStore,
    decoder: Decoder,
    scratch: Vec<u8>,
    /// How what lies in memory is copied.
    copy: Copy,
}

/// Copies bytes to as many.
type Copy = fn(&[u8], &mut [u8]);

impl Reader {
    /// Copies samples that lie together as they are delivered. Says whether they do.
    fn copy(&self, samples: &Range<u64>, first: u64, out: &mut [&mut [u8]]) -> Result<bool> {
        if !self.store.verbatim {
            return Ok(false);
        }
        for (number, (group, out)) in self.store.groups.iter().zip(out).enumerate() {
            let Some(run) = self.store.records.run(samples.clone(), number)? else {
                return Ok(false);
            };
            let start = whole(samples.start - first) * group.sample_bytes();
            (self.copy)(run, &mut out[start..start + run.len()]);
        }
        Ok(true)
    }

    fn decode(&mut self, index: u64, at: usize, out: &mut [&mut [u8]]) -> Result<()> {
        let Self { store, decoder, scratch, .. } = self;
        let mut shown = 0;
        store.records.show(index, scratch, &mut |picture, image| {
            let Some(&Place { group, view }) = store.places.get(picture) else { return Ok(()) };
            let own = &store.groups[group];
            let (form, bytes) = (own.form, own.image_bytes());
            let start = (at * own.views + view) * bytes;
            shown += 1;
            let target = Target { form, fit: store.fit };
            decoder.decode(image, &target, &mut out[group][start..start + bytes])
        })?;
        if shown == store.places.len() {
            return Ok(());
        }
        let wanted = store.places.len();
        Err(Error::new(Kind::Sample, format!("has {shown} picture(s) instead of {wanted}")))
    }
}

impl StoreReader for Reader {
    fn read(&mut self, samples: Range<u64>, out: &mut [&mut [u8]]) -> Result<()> {
        let mut next = samples.start;
        while next < samples.end {
            let together = self.store.records.together(next..samples.end).max(1);
            let run = next..samples.end.min(next.saturating_add(together));
            if !self.copy(&run, samples.start, out)? {
                for index in run.clone() {
                    let decoded = self.decode(index, whole(index - samples.start), out);
                    decoded.map_err(|error| named(error, &self.store, index))?;
                }
            }
            next = run.end;
        }
        Ok(())
    }

    /// Where all lie in memory, the beginning of each is fetched while others are copied: they are
    /// far apart, and waiting for one after the other would take longer than copying them.
    fn read_each(&mut self, samples: &[u64], out: &mut [&mut [u8]]) -> Result<()> {
        let groups = if self.store.verbatim { self.store.groups.len() } else { 0 };
        let all = (0..groups).map(|group| runs(&*self.store.records, samples, group));
        let all = all.collect::<Result<Option<Vec<_>>>>()?.filter(|all| !all.is_empty());
        let Some(all) = all else {
            for (at, &index) in samples.iter().enumerate() {
                let decoded = self.decode(index, at, out);
                decoded.map_err(|error| named(error, &self.store, index))?;
            }
            return Ok(());
        };
        for (runs, (out, group)) in all.iter().zip(out.iter_mut().zip(&*self.store.groups)) {
            let small = group.sample_bytes() < SMALL;
            let copy: Copy = if small { |from, to| to.copy_from_slice(from) } else { self.copy };
            runs.iter().take(AHEAD).for_each(|run| prefetch(run));
            for (at, out) in out.chunks_exact_mut(group.sample_bytes()).enumerate() {
                if let Some(next) = runs.get(at + AHEAD) {
                    prefetch(next);
                }
                copy(runs[at], out);
            }
        }
        Ok(())
    }

    fn touch(&mut self, samples: Range<u64>) -> Result<()> {
        for group in 0..self.store.groups.len() {
            if let Some(run) = self.store.records.run(samples.clone(), group)? {
                run.iter().step_by(PAGE).for_each(|byte| {
                    black_box(*byte);
                });
            }
        }
        Ok(())
    }
}

/// Whether the first sample lies in memory as it is wanted; others have the same form.
fn is_verbatim(records: &dyn Records, groups: &[GroupForm]) -> Result<bool> {
    let first = records.samples().start;
    let mut raw = true;
    let mut forms = groups.iter().flat_map(|group| std::iter::repeat_n(group.form, group.views));
    records.show(first, &mut Vec::new(), &mut |_, picture| {
        raw &= forms.next().is_some_and(|form| picture.form == Form::Raw(form));
        Ok(())
    })?;
    for (number, group) in groups.iter().enumerate() {
        let run = records.run(first..first + 1, number)?;
        raw &= run.is_some_and(|run| run.len() == group.sample_bytes());
    }
    Ok(raw)
}

/// The bytes of a group of each sample, if all lie in memory.
fn runs<'r>(
    records: &'r dyn Records,
    samples: &[u64],
    group: usize,
) -> Result<Option<Vec<&'r [u8]>>> {
    samples.iter().map(|&index| records.run(index..index + 1, group)).collect()
}

/// An error of a sample says which, and where that is.
fn named(error: Error, store: &ImageStore, index: u64) -> Error {
    error.at(store.records.place(index)).with_sample(index)
}

fn whole(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// What images are when nothing else is asked for: bytes, channel by channel.
pub(super) fn plain_group(views: usize, [channels, height, width]: [usize; 3]) -> GroupForm {
    let form = RawForm { channels, height, width, dtype: Dtype::U8, layout: Layout::Nchw };
    GroupForm { name: String::new(), views, form }
}
