//! Images of a batch in the encoding of their shards, many at once.

use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};
use serde::Serialize;

use crate::codec::{Encoding, Form, Picture};
use crate::error::{Error, Kind, Result};
use crate::load::{Batch, Dataset};
use crate::sample::PlannedView;
use crate::shard::{GroupForm, ShardForm};

/// A batch, ready to be written.
#[derive(Debug)]
pub(super) struct Encoded<'a> {
    batch: &'a Batch,
    form: &'a ShardForm,
    /// Files of all images, sample by sample, the groups of each one after the other; none where
    /// images stay as they are.
    files: Option<Vec<Vec<u8>>>,
    /// What was drawn for each sample, if that is written.
    parameters: Option<Vec<String>>,
    /// Views of a sample.
    views: usize,
}

/// What was drawn for a sample, as it is written.
#[derive(Serialize)]
struct Parameters<'a> {
    index: u64,
    source: u64,
    echo: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<u32>,
    views: &'a [PlannedView],
}

/// Encodes all images of `batch`, and writes down what was drawn for them if that is wanted.
pub(super) fn encode<'a>(
    dataset: &Dataset,
    batch: &'a Batch,
    form: &'a ShardForm,
) -> Result<Encoded<'a>> {
    let views: usize = form.groups.iter().map(|group| group.views).sum();
    let index = batch.index();
    let files = match form.encoding {
        Encoding::Raw => None,
        encoding => {
            let one = |at: usize| {
                let (sample, group, view) = place(form, at, views);
                let bytes = batch.groups()[group].view_bytes(sample, view);
                let picture = Picture { bytes, form: Form::Raw(form.groups[group].form) };
                let mut file = Vec::new();
                encoding.encode(picture, &mut file).map(|()| file).map_err(|error| {
                    match index.get(sample) {
                        Some(index) => error.with_sample(index),
                        None => error,
                    }
                })
            };
            let all = (0..batch.len() * views).into_par_iter().with_min_len(8);
            Some(all.map(one).collect::<Result<Vec<_>>>()?)
        }
    };
    let parameters = match form.parameters {
        false => None,
        true => {
            let samples: Vec<u64> = index.iter().collect();
            let one = |index: u64| parameters(dataset, index);
            let all = samples.into_par_iter().with_min_len(8);
            Some(all.map(one).collect::<Result<Vec<_>>>()?)
        }
    };
    Ok(Encoded { batch, form, files, parameters, views })
}

/// Sample, group and view of image `at` of a batch.
fn place(form: &ShardForm, at: usize, views: usize) -> (usize, usize, usize) {
    let (sample, mut view) = (at / views, at % views);
    for (group, GroupForm { views, .. }) in form.groups.iter().enumerate() {
        if view < *views {
            return (sample, group, view);
        }
        view -= views;
    }
    unreachable!("a view is in a group")
}

fn parameters(dataset: &Dataset, index: u64) -> Result<String> {
    let plan = dataset.plan(index)?;
    let (source, echo) = (plan.source, plan.echo);
    let drawn = Parameters { index, source, echo, label: plan.label, views: &plan.views };
    serde_json::to_string(&drawn).map_err(|error| {
        let message = format!("what was drawn cannot be written: {error}");
        Error::new(Kind::Sample, message).with_sample(index)
    })
}

impl Encoded<'_> {
    /// The pictures of the `i`-th sample, the groups one after the other.
    pub fn pictures(&self, i: usize) -> Vec<Picture<'_>> {
        let mut pictures = Vec::with_capacity(self.views);
        for (images, group) in self.batch.groups().iter().zip(&self.form.groups) {
            let form = self.form.encoding.form(group.form);
            for view in 0..group.views {
                let bytes = match &self.files {
                    Some(files) => &files[i * self.views + pictures.len()],
                    None => images.view_bytes(i, view),
                };
                pictures.push(Picture { bytes, form });
            }
        }
        pictures
    }

    /// What was drawn for the `i`-th sample.
    pub fn parameters(&self, i: usize) -> Option<&str> {
        self.parameters.as_ref().map(|all| all[i].as_str())
    }

    /// How many images there are.
    pub fn images(&self) -> u64 {
        (self.batch.len() * self.views) as u64
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        let sum: usize = match &self.files {
            Some(files) => files.iter().map(Vec::len).sum(),
            None => self.batch.groups().iter().map(|images| images.bytes().len()).sum(),
        };
        sum as u64
    }
}
