//! Shards of every format, as this library wrote them and as other tools may have.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use genset::codec::{Encoding, Form, Picture, RawForm};
use genset::recipe::{Dtype, Layout};
use genset::shard::images::ImagesReader;
use genset::shard::mds::{MdsReader, MdsRecords};
use genset::shard::safetensors::SafetensorsReader;
use genset::shard::webdataset::{WebDatasetReader, WebDatasetRecords};
use genset::shard::{
    GroupForm, MappedFile, SampleRecord, ShardForm, ShardReader, ShardWriter, images as listed,
};

use super::change::{choose, halves, resealed};
use super::walk;

/// The samples of every valid shard.
const SAMPLES: Range<u64> = 10..14;

/// A safetensors shard.
pub fn safetensors(input: &[u8]) {
    static VALID: LazyLock<Valid> =
        LazyLock::new(|| Valid::new(genset::shard::safetensors::create));
    let Some(shard) = VALID.read(input, SafetensorsReader::open) else { return };
    for position in 0..6 {
        let _ = shard.parameters(position);
    }
    let _ = shard.metadata("format");
}

/// The shard that lists image files. The files are not there, so this is about where they would be.
pub fn images(input: &[u8]) {
    static VALID: LazyLock<Valid> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        Valid::new(|file, form, samples, said| {
            listed::create(folder.path(), file, form, samples, said)
        })
    });
    let folder = Path::new("folder-that-is-not-there");
    let open = |file, form: &_, samples| ImagesReader::open(folder, file, form, samples);
    let Some(shard) = VALID.read(input, open) else { return };
    for position in 0..6 {
        assert!(shard.verify(position).is_err(), "there are no files");
        let _ = shard.parameters(position);
    }
}

/// A tar file: as a shard that this library wrote, and as any tool may have written it.
pub fn webdataset(input: &[u8]) {
    static VALID: LazyLock<Valid> = LazyLock::new(|| Valid::new(genset::shard::webdataset::create));
    let open = |file: MappedFile, form: &_, samples| {
        let bytes = resealed(file.bytes().to_vec());
        WebDatasetReader::open(MappedFile::from_bytes("shard", bytes), form, samples)
    };
    if let Some(shard) = VALID.read(input, open) {
        for position in 0..6 {
            let _ = shard.parameters(position);
        }
        let _ = shard.metadata();
    }
    let Some((_, bytes)) = choose(input, &VALID.files) else { return };
    let files = vec![MappedFile::from_bytes("a.tar", resealed(bytes))];
    if let Ok(records) = WebDatasetRecords::from_files(files) {
        walk::records(&records);
    }
}

/// A list of one shard with an encoded image and a label, which none of the valid shards is: sizes
/// and columns are for the fuzzer to bring together.
const INDEX: &str = r#"{"version": 2, "shards": [{
    "column_encodings": ["png", "int"], "column_names": ["image", "label"],
    "column_sizes": [null, 8], "compression": null, "format": "mds", "hashes": [],
    "raw_data": {"basename": "shard.00000.mds", "bytes": 400, "hashes": {}}, "samples": 4,
    "size_limit": 67108864, "version": 2, "zip_data": null}]}"#;

/// An MDS shard: as one that this library wrote, and beside a list of shards as any tool may have
/// written both.
pub fn mds(input: &[u8]) {
    static VALID: LazyLock<Valid> = LazyLock::new(|| Valid::new(genset::shard::mds::create));
    static LISTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let fitting = VALID.forms.iter().zip(&VALID.files).map(|(form, file)| {
            let shard = genset::shard::mds::MdsShardInfo {
                name: "shard.00000.mds".to_owned(),
                samples: SAMPLES.end - SAMPLES.start,
                bytes: file.len() as u64,
            };
            let list = genset::shard::mds::index_json(&[shard], form);
            list.expect("a list").into_bytes()
        });
        fitting.chain([INDEX.as_bytes().to_vec()]).collect()
    });
    if let Some(shard) = VALID.read(input, MdsReader::open) {
        for position in 0..6 {
            let _ = shard.parameters(position);
        }
        let _ = shard.metadata();
    }
    let (list, file) = halves(input);
    let Some((_, list)) = choose(list, &LISTS) else { return };
    let Some((_, file)) = choose(file, &VALID.files) else { return };
    let mut give = |name: &str| Ok(MappedFile::from_bytes(name, file.clone()));
    if let Ok(records) = MdsRecords::from_bytes(&list, &mut give) {
        walk::records(&records);
    }
}

/// Forms of shards, and a valid shard of each.
#[derive(Debug)]
struct Valid {
    forms: Vec<ShardForm>,
    files: Vec<Vec<u8>>,
}

impl Valid {
    /// Shards of those [`forms`] that `create` takes.
    fn new(
        create: impl Fn(
            File,
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

    /// Opens what the input says and asks for everything that it has. A valid shard that cannot be
    /// opened is a finding too.
    fn read<R: ShardReader>(
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
        walk::shard(&shard, form);
        Some(shard)
    }
}

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
        groups: two,
        classes: ["cat", "dog", "owl"].map(str::to_owned).to_vec(),
        latents: Some([3, 2]),
        parameters: true,
        ..plain.clone()
    };
    vec![
        ShardForm { labels: false, ..plain.clone() },
        plain.clone(),
        full.clone(),
        ShardForm { encoding: Encoding::Png, ..plain },
        ShardForm { encoding: Encoding::Jpeg { quality: 90 }, ..full.clone() },
        ShardForm { encoding: Encoding::WebP, labels: false, classes: vec![], ..full },
    ]
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
