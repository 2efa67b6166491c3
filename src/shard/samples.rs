//! Made-up samples for the tests of formats.

use proptest::prelude::*;

use crate::codec::{Encoding, Form, Picture, RawForm};
use crate::error::Result;
use crate::recipe::{Dtype, Layout};
use crate::shard::{GroupForm, SampleRecord, ShardForm, ShardReader, ShardWriter};

/// A form with one unnamed group of `views` raw images of `[channels, height, width]`.
pub(super) fn form(views: usize, [channels, height, width]: [usize; 3]) -> ShardForm {
    let (dtype, layout) = (Dtype::U8, Layout::Nchw);
    let form = RawForm { channels, height, width, dtype, layout };
    ShardForm {
        groups: vec![GroupForm { name: String::new(), views, form }],
        encoding: Encoding::Raw,
        labels: true,
        classes: vec![],
        latents: None,
        parameters: false,
    }
}

/// A sample that owns what it has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub index: u64,
    pub label: Option<i64>,
    pub latents: Option<Vec<f32>>,
    pub parameters: Option<String>,
    pub pictures: Vec<(Vec<u8>, Form)>,
}

impl Sample {
    /// Sample `index` of a dataset of this form: every byte follows from the index.
    pub fn make(form: &ShardForm, index: u64) -> Self {
        let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut pictures = Vec::new();
        for group in &form.groups {
            for _ in 0..group.views {
                let len = match form.encoding {
                    Encoding::Raw => group.form.checked_len().unwrap(),
                    // Formats do not look into pictures: any bytes of any length will do.
                    _ => draw() as usize % 200,
                };
                let form = form.encoding.form(group.form);
                pictures.push(((0..len).map(|_| draw() as u8).collect(), form));
            }
        }
        let classes = form.classes.len().max(3) as u64;
        Self {
            index,
            label: form.labels.then(|| (draw() % classes) as i64),
            latents: form.latents.map(|[views, len]| {
                (0..views * len).map(|_| (draw() % 1000) as f32 / 500.0 - 1.0).collect()
            }),
            parameters: form.parameters.then(|| format!("{{\"draw\":{}}}", draw() % 100_000)),
            pictures,
        }
    }

    /// Puts it into a shard.
    pub fn put(&self, writer: &mut dyn ShardWriter) -> Result<()> {
        let pictures: Vec<_> =
            self.pictures.iter().map(|(bytes, form)| Picture { bytes, form: *form }).collect();
        writer.put(&SampleRecord {
            index: self.index,
            label: self.label,
            latents: self.latents.as_deref(),
            parameters: self.parameters.as_deref(),
            pictures: &pictures,
        })
    }

    /// Asserts that a shard has it, but for the parameters.
    pub fn assert_in(&self, shard: &dyn ShardReader, position: u64) {
        assert_eq!(shard.index(position).unwrap(), self.index);
        assert_eq!(shard.label(position).unwrap(), self.label);
        let mut labels = vec![7];
        shard.labels(position..position + 1, &mut labels).unwrap();
        assert_eq!(labels, [7, self.label.unwrap_or(-1)]);
        let mut latents = vec![f32::NAN; self.latents.as_ref().map_or(0, Vec::len)];
        shard.latents(position, &mut latents).unwrap();
        assert_eq!(latents, self.latents.clone().unwrap_or_default());
        let mut seen = Vec::new();
        let mut show = |at: usize, picture: Picture<'_>| {
            assert_eq!(at, seen.len());
            seen.push((picture.bytes.to_vec(), picture.form));
            Ok(())
        };
        shard.show(position, &mut Vec::new(), &mut show).unwrap();
        assert_eq!(seen, self.pictures);
    }
}

prop_compose! {
    /// Forms of every kind, of one or two groups of fewer than `most` views; two are called `stem` and
    /// their number.
    pub(super) fn forms(most: usize, stem: &'static str)(
        encoding in prop::sample::select(vec![
            Encoding::Raw, Encoding::Png, Encoding::WebP, Encoding::Jpeg { quality: 90 },
        ]),
        views in prop::collection::vec((1..most, 1_usize..5, 1_usize..9, 1_usize..9), 1..3),
        dtype in prop::sample::select(vec![Dtype::U8, Dtype::F16, Dtype::F32]),
        layout in prop::sample::select(vec![Layout::Nchw, Layout::Nhwc]),
        latent in 0_usize..4,
        (labels, parameters) in any::<(bool, bool)>(),
    ) -> ShardForm {
        let mut made = form(1, [1, 1, 1]);
        let named = views.len() > 1;
        made.groups = views.iter().enumerate().map(|(number, &(views, channels, height, width))| {
            let form = RawForm { channels, height, width, dtype, layout };
            let name = if named { format!("{stem}{number}") } else { String::new() };
            GroupForm { name, views, form }
        }).collect();
        let all = made.groups.iter().map(|group| group.views).sum();
        made.encoding = encoding;
        made.labels = labels;
        made.parameters = parameters;
        made.latents = (latent > 0).then_some([all, latent]);
        made
    }
}
