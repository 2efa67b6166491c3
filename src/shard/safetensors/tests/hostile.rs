//! Files that were not written by this library, or were and then changed.

use std::time::Duration;

use super::*;
use crate::codec::Encoding;
use crate::error::{Error, Kind};
use crate::shard::ShardReader as _;
use crate::shard::samples::form;

/// A file with this header and data.
fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

/// Header and data of a shard.
fn split(bytes: &[u8]) -> (&str, &[u8]) {
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(len);
    (std::str::from_utf8(header).unwrap().trim_end(), data)
}

/// A shard with its header changed.
fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (header, data) = split(bytes);
    assert!(header.contains(from), "{header}");
    let header = header.replacen(from, to, 1);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn plain() -> (ShardForm, Vec<u8>) {
    let form = form(2, [3, 4, 5]);
    let bytes = shard(&form, 10..20);
    (form, bytes)
}

fn refused(bytes: Vec<u8>, form: &ShardForm) -> Error {
    let error = open(bytes, form, 10..20).unwrap_err();
    assert!(error.summary().starts_with("shard.safetensors: "), "{error}");
    assert!(error.advice().is_some(), "{error}");
    error
}

#[track_caller]
fn says(error: &Error, phrase: &str) {
    assert!(error.summary().contains(phrase), "{error}");
}

#[test]
fn a_header_too_large() {
    let (form, mut bytes) = plain();
    for len in [super::super::MAX_HEADER as u64 + 1, 1 << 30, u64::MAX] {
        bytes[..8].copy_from_slice(&len.to_le_bytes());
        let error = refused(bytes.clone(), &form);
        assert!(error.is_limit(), "{error}");
        says(&error, &len.to_string());
    }
}

#[test]
fn a_header_that_ends_beyond_the_file() {
    let (form, mut bytes) = plain();
    bytes[..8].copy_from_slice(&900_000_u64.to_le_bytes());
    says(&refused(bytes, &form), "within its header of 900000");
}

#[test]
fn a_file_too_short_for_anything() {
    let (form, bytes) = plain();
    for len in 0..8 {
        says(&refused(bytes[..len].to_vec(), &form), "too few for a header");
    }
}

#[test]
fn a_truncated_file_and_one_with_more() {
    let (form, bytes) = plain();
    for len in (8..bytes.len()).step_by(7) {
        refused(bytes[..len].to_vec(), &form);
    }
    refused(bytes[..bytes.len() - 1].to_vec(), &form);
    says(&refused([bytes, vec![0]].concat(), &form), "its header says");
}

#[test]
fn a_header_that_is_no_json_object() {
    let form = form(1, [1, 1, 1]);
    for header in ["", " {}", "[]", "null", "{", "{\"a\":", "{}{}", "\u{feff}{}", "{\"a\":1}"] {
        refused(file(header, 0), &form);
    }
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    refused(file(&deep, 0), &form);
    let deep = "{\"__metadata__\":".repeat(10_000);
    refused(file(&deep, 0), &form);
    refused([&2_u64.to_le_bytes()[..], b"{\xff"].concat(), &form);
}

#[test]
fn duplicate_keys() {
    let (form, bytes) = plain();
    let header = |twice: &str| {
        let (header, data) = split(&bytes);
        let header = format!("{},{twice}}}", header.strip_suffix('}').unwrap());
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    };
    // The same tensor again, at the same place: the format's own reader takes the last one.
    let index = r#""index":{"dtype":"U64","shape":[10],"data_offsets":[0,80]}"#;
    safetensors::SafeTensors::deserialize(&header(index)).unwrap();
    says(&refused(header(index), &form), "the key `index` is there twice");
    says(&refused(header(r#""__metadata__":{}"#), &form), "twice");
    let twice = edited(&bytes, r#""digest":"00ff""#, r#""note":"0""#);
    says(&refused(twice, &form), "the key `note` is there twice");
}

#[test]
fn overlapping_tensors_and_holes() {
    let (form, bytes) = plain();
    let label = r#""shape":[10],"data_offsets":[80,160]"#;
    for other in [
        // Over the index.
        r#""shape":[10],"data_offsets":[0,80]"#,
        r#""shape":[10],"data_offsets":[72,152]"#,
        // A hole before it.
        r#""shape":[9],"data_offsets":[88,160]"#,
        // Backwards.
        r#""shape":[10],"data_offsets":[160,80]"#,
        r#""shape":[10],"data_offsets":[-8,80]"#,
        // Another length than the shape has.
        r#""shape":[9],"data_offsets":[80,160]"#,
    ] {
        says(&refused(edited(&bytes, label, other), &form), "has a bad header");
    }
}

#[test]
fn offsets_beyond_the_end() {
    let (form, bytes) = plain();
    let images = r#""shape":[10,2,3,4,5],"data_offsets":[160,1360]"#;
    let other = r#""shape":[20,2,3,4,5],"data_offsets":[160,2560]"#;
    says(&refused(edited(&bytes, images, other), &form), "has 1360 bytes of data");
}

#[test]
fn a_shape_whose_product_overflows() {
    let form = form(1, [1, 1, 1]);
    let half = usize::MAX / 2;
    for shape in [format!("[{half},4]"), format!("[{half},{half},{half}]"), "[1e30]".into()] {
        let header =
            format!("{{\"index\":{{\"dtype\":\"U64\",\"shape\":{shape},\"data_offsets\":[0,8]}}}}");
        says(&refused(file(&header, 8), &form), "has a bad header");
    }
}

#[test]
fn tensors_that_together_are_longer_than_numbers_go() {
    // Each is as long as its type allows; the sum and the header's length overflow 64 bits.
    let each = (1_u64 << 61) - 1;
    let mut header = String::from("{\"__metadata__\":{}");
    for at in 0..8 {
        let (begin, end) = (at * each, (at + 1) * each);
        header += &format!(
            ",\"t{at}\":{{\"dtype\":\"U8\",\"shape\":[{each}],\"data_offsets\":[{begin},{end}]}}"
        );
    }
    header.push('}');
    let error = refused(file(&header, 8), &form(1, [1, 1, 1]));
    says(&error, &format!("its header says {}", 8 * each));
}

#[test]
fn tensors_that_are_missing_or_of_another_type_or_shape() {
    let (form, bytes) = plain();
    says(&refused(edited(&bytes, "\"label\":", "\"lapel\":"), &form), "has no tensor `label`");
    let error = refused(edited(&bytes, "\"I64\"", "\"U64\""), &form);
    says(&error, "has `label` as U64 [10], not I64 [10]");
    let error = refused(edited(&bytes, "[10,2,3,4,5]", "[10,2,3,5,4]"), &form);
    says(&error, "has `images` as U8 [10, 2, 3, 5, 4], not U8 [10, 2, 3, 4, 5]");
    let mut more = form.clone();
    more.latents = Some([2, 3]);
    says(&refused(bytes.clone(), &more), "has no tensor `latent`");
    let error = open(bytes, &form, 10..19).unwrap_err();
    says(&error, "has `index` as U64 [10], not U64 [9]");
}

#[test]
fn a_shard_that_says_it_is_something_else() {
    let (form, bytes) = plain();
    let error = refused(edited(&bytes, "genset shard 1", "genset shard 2"), &form);
    says(&error, "has \"genset shard 2\" as `format`");
    says(&refused(edited(&bytes, "NCHW", "NHWC"), &form), "`images.layout`");
    let mut other = form.clone();
    other.encoding = Encoding::Png;
    says(&refused(bytes, &other), "has \"raw\" as `encoding`");
}

#[test]
fn a_wrong_index() {
    let (form, bytes) = plain();
    says(&open(bytes.clone(), &form, 11..21).unwrap_err(), "the shard has sample 10 in its place");
    // One in the middle is found when it is asked for, also within a run.
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut wrong = bytes;
    wrong[8 + len + 4 * 8] = 99;
    let shard = open(wrong, &form, 10..20).unwrap();
    assert_eq!(shard.index(4).unwrap(), 99);
    let error = shard.label(4).unwrap_err();
    assert_eq!((error.kind(), error.sample()), (Kind::Sample, Some(14)));
    says(&error, "the shard has sample 99 in its place");
    says(&shard.run(0..10, 0).unwrap_err(), "sample 99");
    says(&shard.mapped(4..5, 0).unwrap_err(), "sample 99");
    says(&shard.labels(3..6, &mut Vec::new()).unwrap_err(), "sample 99");
    assert_eq!(shard.labels(5..11, &mut Vec::new()).unwrap_err().kind(), Kind::Argument);
    assert!(shard.show(4, &mut Vec::new(), &mut |_, _| unreachable!()).is_err());
    assert!(shard.run(5..10, 0).unwrap().is_some());
}

#[test]
fn image_offsets_beyond_the_end_and_backwards() {
    let mut form = form(1, [1, 1, 1]);
    form.encoding = Encoding::Png;
    form.labels = false;
    form.parameters = true;
    let bytes = shard(&form, 0..4);
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // The index, then the offsets of images, then those of parameters.
    for (tensor, at) in [("images", 8 + len + 4 * 8), ("parameters", 8 + len + (4 + 5) * 8)] {
        for offset in [u64::MAX, 1 << 40, 1 << 63] {
            let mut wrong = bytes.clone();
            wrong[at + 2 * 8..][..8].copy_from_slice(&offset.to_le_bytes());
            let shard = open(wrong, &form, 0..4).unwrap();
            for position in [1, 2] {
                let shown = shard.show(position, &mut Vec::new(), &mut |_, _| Ok(()));
                let result = match tensor {
                    "images" => shown,
                    _ => shard.parameters(position).map(drop),
                };
                says(&result.unwrap_err(), "cannot be");
            }
            shard.show(0, &mut Vec::new(), &mut |_, _| Ok(())).unwrap();
            shard.parameters(3).unwrap();
        }
    }
}

#[test]
fn parameters_that_are_no_text() {
    let form = ShardForm { parameters: true, ..form(1, [1, 1, 1]) };
    let mut bytes = shard(&form, 0..2);
    *bytes.last_mut().unwrap() = 0xff;
    let shard = open(bytes, &form, 0..2).unwrap();
    says(&shard.parameters(1).unwrap_err(), "parameters");
    assert!(shard.parameters(0).unwrap().is_some());
}

#[test]
fn labels_without_a_class() {
    let (mut form, bytes) = plain();
    form.classes = vec!["zero".into()];
    let shard = open(bytes, &form, 10..20).unwrap();
    let labels: Vec<_> = (10..20).map(|index| Sample::make(&plain().0, index).label).collect();
    assert!(labels.contains(&Some(0)) && labels.contains(&Some(2)), "{labels:?}");
    for (position, label) in labels.into_iter().enumerate() {
        match shard.label(position as u64) {
            Ok(read) => assert_eq!((read, label), (Some(0), Some(0))),
            Err(error) => says(&error, &format!("label {} of 1 classes", label.unwrap())),
        }
    }
}

#[test]
fn positions_outside_the_shard() {
    let (form, bytes) = plain();
    let shard = open(bytes, &form, 10..20).unwrap();
    for position in [10, u64::MAX] {
        assert_eq!(shard.label(position).unwrap_err().kind(), Kind::Argument);
        assert_eq!(shard.index(position).unwrap_err().kind(), Kind::Argument);
        assert!(shard.run(0..position.max(11), 0).is_err());
    }
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = shard.run(5..4, 0);
    assert!(backwards.is_err());
    assert_eq!(shard.run(3..3, 0).unwrap(), Some(&[][..]));
    assert_eq!(shard.run(0..1, 1).unwrap(), None, "there is no such group");
    assert!(shard.latents(0, &mut [0.0]).is_err());
}

#[test]
fn a_file_changed_under_the_map() {
    let (form, bytes) = plain();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let shard = SafetensorsReader::open(MappedFile::open(&path).unwrap(), &form, 10..20).unwrap();
    let kept = shard.mapped(2..4, 0).unwrap().unwrap();
    // Longer than a tick of the file system's clock, and than a check counts.
    std::thread::sleep(Duration::from_millis(30));
    std::fs::File::options().write(true).open(&path).unwrap().set_len(64).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let error = shard.run(0..10, 0).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    says(&error, "changed since it was opened");
    assert!(shard.label(3).is_err());
    assert!(shard.parameters(3).is_err());
    assert!(shard.show(3, &mut Vec::new(), &mut |_, _| unreachable!()).is_err());
    drop((kept, shard));
}
