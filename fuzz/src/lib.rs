//! What the targets share: forms of shards, valid shards of them, and a walk over all that a
//! reader gives.
//!
//! Valid files are made here, in memory, once a run; the fuzzer's bytes say what is changed in
//! them. So there are no seeds to keep, and every input is close to a file that is read to its end.

use std::io::{Read as _, Seek as _};
use std::ops::Range;

use genset::codec::{Encoding, Form, Picture, RawForm};
use genset::recipe::{Dtype, Layout};
use genset::shard::{GroupForm, SampleRecord, ShardForm, ShardReader, ShardWriter};

/// The samples of every valid shard.
pub const SAMPLES: Range<u64> = 10..14;

/// Forms of shards that differ in all that forms differ in.
#[must_use]
pub fn forms() -> Vec<ShardForm> {
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

/// A shard that `create` writes to a file, with samples of this form.
///
/// # Panics
/// If it cannot be written.
pub fn shard(
    form: &ShardForm,
    create: impl FnOnce(std::fs::File) -> genset::Result<Box<dyn ShardWriter>>,
) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let mut writer = create(file.try_clone().expect("the file")).expect("a writer");
    for index in SAMPLES {
        put(form, index, &mut *writer);
    }
    writer.finish().expect("a shard");
    let mut bytes = Vec::new();
    file.rewind().expect("the shard");
    file.read_to_end(&mut bytes).expect("the shard");
    bytes
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
pub fn walk(shard: &dyn ShardReader, form: &ShardForm) {
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

/// Touches every byte.
#[must_use]
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
