//! What the targets share: forms of shards, valid shards of them, and a walk over all that a
//! reader gives.
//!
//! Valid files are made here, in memory, once a run; the fuzzer's bytes say what is changed in
//! them. So there are no seeds to keep, and every input is close to a file that is read to its end.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _};
use std::ops::Range;

use genset::codec::{Encoding, Form, Picture, RawForm};
use genset::recipe::{Dtype, Layout};
use genset::shard::{
    GroupForm, MappedFile, Records, SampleRecord, ShardForm, ShardReader, ShardWriter,
};

/// The samples of every valid shard.
pub const SAMPLES: Range<u64> = 10..14;

/// Forms of shards that differ in all that forms differ in.
fn forms() -> Vec<ShardForm> {
    let image = |channels, dtype, layout| RawForm { channels, height: 3, width: 2, dtype, layout };
    let group = |name: &str, views, form| GroupForm { name: name.to_owned(), views, form };
    let plain = ShardForm {
        groups: vec![group("", 1, image(3, Dtype::U8, Layout::Nchw))],
        encoding: Encoding::Raw,
        labels: true,
        classes: vec![],
        latents: None,
        parameters: false,
    };
    let two = vec![
        group("global", 2, image(1, Dtype::F32, Layout::Nhwc)),
        group("local", 1, image(3, Dtype::F16, Layout::Nchw)),
    ];
    let full = ShardForm {
        groups: two.clone(),
        classes: ["cat", "dog", "owl"].map(str::to_owned).to_vec(),
        latents: Some([3, 2]),
        parameters: true,
        ..plain.clone()
    };
    vec![
        ShardForm { labels: false, ..plain.clone() },
        plain.clone(),
        full.clone(),
        ShardForm { encoding: Encoding::Png, ..plain.clone() },
        ShardForm { encoding: Encoding::Jpeg { quality: 90 }, ..full.clone() },
        ShardForm { encoding: Encoding::WebP, labels: false, classes: vec![], ..full },
    ]
}

/// Forms, and a valid shard of each.
#[derive(Debug)]
pub struct Valid {
    forms: Vec<ShardForm>,
    files: Vec<Vec<u8>>,
}

impl Valid {
    /// Shards of those [`forms`] that `create` takes.
    ///
    /// # Panics
    /// If one cannot be written.
    pub fn new(
        create: impl Fn(
            std::fs::File,
            &ShardForm,
            Range<u64>,
            &BTreeMap<String, String>,
        ) -> genset::Result<Box<dyn ShardWriter>>,
    ) -> Self {
        let mut valid = Self { forms: Vec::new(), files: Vec::new() };
        for form in forms() {
            let mut file = tempfile::tempfile().expect("a temporary file");
            let to = file.try_clone().expect("the file");
            let Ok(mut writer) = create(to, &form, SAMPLES, &BTreeMap::new()) else { continue };
            for index in SAMPLES {
                put(&form, index, &mut *writer);
            }
            writer.finish().expect("a shard");
            let mut bytes = Vec::new();
            file.rewind().expect("the shard");
            file.read_to_end(&mut bytes).expect("the shard");
            valid.forms.push(form);
            valid.files.push(bytes);
        }
        assert!(!valid.files.is_empty(), "no form is taken");
        valid
    }

    /// The files alone.
    #[must_use]
    pub fn files(&self) -> &[Vec<u8>] {
        &self.files
    }

    /// Opens what the input says and asks for everything that it has.
    ///
    /// # Panics
    /// If a valid shard cannot be opened: that is a finding too.
    pub fn read<R: ShardReader>(
        &self,
        input: &[u8],
        open: impl Fn(MappedFile, &ShardForm, Range<u64>) -> genset::Result<R>,
    ) -> Option<R> {
        let (choice, bytes) = choose(input, &self.files)?;
        let form = &self.forms[choice];
        let unchanged = bytes == self.files[choice];
        let opened = open(MappedFile::from_bytes("shard", bytes), form, SAMPLES);
        assert!(opened.is_ok() || !unchanged, "a valid shard was refused: {opened:?}");
        let shard = opened.ok()?;
        walk(&shard, form);
        Some(shard)
    }
}

fn put(form: &ShardForm, index: u64, writer: &mut dyn ShardWriter) {
    let bytes = [index as u8; 256];
    let mut pictures = Vec::new();
    for group in &form.groups {
        for view in 0..group.views {
            let encoded = &bytes[..8 + index as usize % 5 + view];
            let picture = match form.encoding {
                Encoding::Raw => {
                    let len = group.form.checked_len().expect("a small image");
                    Picture { bytes: &bytes[..len], form: Form::Raw(group.form) }
                }
                Encoding::Png => Picture { bytes: encoded, form: Form::Png },
                Encoding::Jpeg { .. } => Picture { bytes: encoded, form: Form::Jpeg },
                Encoding::WebP => Picture { bytes: encoded, form: Form::WebP },
            };
            pictures.push(picture);
        }
    }
    let latents = form.latents.map(|[views, len]| vec![index as f32; views * len]);
    let sample = SampleRecord {
        index,
        label: form.labels.then_some(index as i64 % 3),
        latents: latents.as_deref(),
        parameters: form.parameters.then_some("{\"crop\":[0,0,2,2]}"),
        pictures: &pictures,
    };
    writer.put(&sample).expect("a sample");
}

/// The input of a target as a choice and a file: one of `valid` with changes, or bytes alone.
///
/// The first byte chooses. A change is three bytes of where, one of what: set a byte, cut the file
/// there, or put a byte there.
#[must_use]
pub fn choose(input: &[u8], valid: &[Vec<u8>]) -> Option<(usize, Vec<u8>)> {
    let (first, rest) = input.split_first()?;
    let choice = usize::from(first & 0x7f) % valid.len();
    if *first >= 0x80 {
        return Some((choice, rest.to_vec()));
    }
    let mut file = valid[choice].clone();
    for change in rest.chunks_exact(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2] & 0x3f, 0]) as usize;
        let at = at % (file.len() + 1);
        match (change[2] >> 6, file.get_mut(at)) {
            (0 | 1, Some(byte)) => *byte = change[3],
            (2, _) => file.insert(at, change[3]),
            _ => file.truncate(at),
        }
    }
    Some((choice, file))
}

/// Asks a reader for everything. Errors are answers; panics, hangs and wild reads are findings.
fn walk(shard: &dyn ShardReader, form: &ShardForm) {
    let latents = form.latents.map_or(0, |[views, len]| views * len);
    let (mut latents, mut scratch) = (vec![0.0; latents], Vec::new());
    // A hostile shard may say that it has any number of samples.
    let len = shard.len();
    for position in (0..len.min(64)).chain([len.saturating_sub(1), len, u64::MAX]) {
        let _ = shard.index(position);
        let _ = shard.label(position);
        let _ = shard.latents(position, &mut latents);
        let _ = shard.show(position, &mut scratch, &mut |_, picture| {
            std::hint::black_box(sum(picture.bytes));
            Ok(())
        });
    }
    for group in 0..=form.groups.len() {
        for positions in [0..len, 0..len.min(1), 1..len.min(3), len..len, 0..u64::MAX] {
            if let Ok(Some(bytes)) = shard.run(positions.clone(), group) {
                std::hint::black_box(sum(bytes));
            }
            if let Ok(Some(bytes)) = shard.mapped(positions, group) {
                std::hint::black_box(sum(&bytes));
            }
        }
    }
}

/// As [`walk`], for a collection of samples.
pub fn walk_records(records: &dyn Records) {
    let samples = records.samples();
    let latents = records.latent_len().saturating_mul(records.pictures());
    let (mut latents, mut scratch) = (vec![0.0; latents.min(1 << 16)], Vec::new());
    let first = samples.clone().take(64);
    for index in first.chain([samples.end.saturating_sub(1), samples.end, u64::MAX]) {
        let _ = records.label(index);
        let _ = records.latents(index, &mut latents);
        let _ = records.show(index, &mut scratch, &mut |_, picture| {
            std::hint::black_box(sum(picture.bytes));
            Ok(())
        });
        std::hint::black_box(records.place(index));
    }
    std::hint::black_box((records.has_labels(), records.classes()));
}

/// Touches every byte.
#[must_use]
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
