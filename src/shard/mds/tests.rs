//! Shards written and read back; foreign folders read; hostile ones refused.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::write::Writer;
use super::{MdsReader, MdsRecords, MdsShardInfo, index_json};
use crate::codec::{Encoding, Form, Picture};
use crate::error::{Error, Kind, Result};
use crate::recipe::{Dtype, Layout};
use crate::shard::samples::{Sample, form, forms};
use crate::shard::{MappedFile, Records, ShardForm, ShardReader as _};

fn shard(form: &ShardForm, samples: Range<u64>) -> Vec<u8> {
    let metadata = BTreeMap::from([("recipe".to_owned(), "digits".to_owned())]);
    let out = Cursor::new(Vec::new());
    let mut writer = Writer::new(out, form, samples.clone(), &metadata).unwrap();
    for index in samples {
        Sample::make(form, index).put(&mut writer).unwrap();
    }
    writer.end().unwrap().into_inner()
}

fn open(bytes: &[u8], form: &ShardForm, samples: Range<u64>) -> Result<MdsReader> {
    MdsReader::open(MappedFile::from_bytes("shard.mds", bytes.to_vec()), form, samples)
}

fn full(encoding: Encoding, views: usize) -> ShardForm {
    let mut form = form(views, [3, 9, 8]);
    form.encoding = encoding;
    form.latents = Some([views, 6]);
    form.parameters = true;
    form
}

fn foreign(index: &Value, files: &[(&str, &[u8])]) -> Result<MdsRecords> {
    let mut file = |name: &str| {
        let found = files.iter().find(|(other, _)| *other == name);
        let (_, bytes) =
            found.ok_or_else(|| Error::new(Kind::Io, format!("cannot read {name}")))?;
        Ok(MappedFile::from_bytes(name, bytes.to_vec()))
    };
    MdsRecords::from_bytes(index.to_string().as_bytes(), &mut file)
}

fn seen(records: &dyn Records, index: u64) -> Result<Vec<(Vec<u8>, Form)>> {
    let mut seen = Vec::new();
    records.show(index, &mut Vec::new(), &mut |at, Picture { bytes, form }| {
        assert_eq!(at, seen.len());
        seen.push((bytes.to_vec(), form));
        Ok(())
    })?;
    Ok(seen)
}

/// The list of a folder of one shard of our own.
fn index_of(form: &ShardForm, bytes: &[u8], samples: u64) -> Value {
    let info = MdsShardInfo { name: "a.mds".into(), samples, bytes: bytes.len() as u64 };
    serde_json::from_str(&index_json(&[info], form).unwrap()).unwrap()
}

#[test]
fn columns_are_what_streaming_calls_them() {
    let columns = |form: &ShardForm| -> Vec<String> {
        let index = index_of(form, &[], 0);
        let shard = &index["shards"][0];
        let all = |key: &str| shard[key].as_array().unwrap().clone();
        let sizes = all("column_sizes");
        let both = all("column_names").into_iter().zip(all("column_encodings")).zip(sizes);
        both.map(|((name, encoding), size)| format!("{name} {encoding} {size}").replace('"', ""))
            .collect()
    };
    assert_eq!(
        columns(&full(Encoding::Raw, 2)),
        [
            "images ndarray:uint8:2,3,9,8 432",
            "index int 8",
            "label int 8",
            "latent ndarray:float32:2,6 48",
            "parameters json null",
        ]
    );
    let mut one = form(1, [1, 28, 28]);
    one.groups[0].form.dtype = Dtype::F16;
    one.groups[0].form.layout = Layout::Nhwc;
    one.labels = false;
    assert_eq!(columns(&one), ["image ndarray:float16:28,28,1 1568", "index int 8"]);
    one.encoding = Encoding::Jpeg { quality: 90 };
    assert_eq!(columns(&one), ["image jpeg null", "index int 8"]);
    one.encoding = Encoding::WebP;
    one.groups[0].views = 11;
    one.groups[0].name = "local".into();
    let names = columns(&one);
    assert_eq!(
        names[..3],
        ["image.local.0 bytes null", "image.local.1 bytes null", "image.local.10 bytes null"]
    );
}

#[test]
fn a_list_has_the_keys_that_streaming_wants_and_no_other() {
    let form = form(1, [1, 2, 3]);
    let index = index_of(&form, &[0; 77], 5);
    assert_eq!(index["version"], 2);
    let shard = index["shards"][0].as_object().unwrap();
    let keys: Vec<_> = shard.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "column_encodings",
            "column_names",
            "column_sizes",
            "compression",
            "format",
            "hashes",
            "raw_data",
            "samples",
            "size_limit",
            "version",
            "zip_data",
        ]
    );
    assert_eq!(shard["raw_data"], json!({"basename": "a.mds", "bytes": 77, "hashes": {}}));
    assert_eq!((&shard["samples"], &shard["zip_data"]), (&json!(5), &Value::Null));
}

#[test]
fn a_shard_is_its_count_its_table_its_columns_and_its_samples() {
    let form = form(1, [1, 2, 3]);
    let bytes = shard(&form, 4..6);
    let word = |at: usize| u32::from_le_bytes(bytes[4 * at..][..4].try_into().unwrap()) as usize;
    assert_eq!((word(0), word(3)), (2, bytes.len()));
    assert_eq!(word(2) - word(1), 6 + 8 + 8, "fixed columns have no lengths before them");
    let said: Value = serde_json::from_slice(&bytes[16..word(1)]).unwrap();
    assert_eq!(said["genset"]["recipe"], "digits");
    let sample = &bytes[word(1)..word(2)];
    assert_eq!(sample[..6], Sample::make(&form, 4).pictures[0].0);
    assert_eq!(sample[6..14], 4_i64.to_le_bytes());
}

#[test]
fn the_same_samples_are_the_same_bytes_and_others_are_not() {
    let form = full(Encoding::Png, 2);
    assert_eq!(shard(&form, 5..9), shard(&form, 5..9));
    assert_ne!(shard(&form, 5..9), shard(&form, 6..10));
}

#[test]
fn samples_out_of_order_or_of_another_form_are_refused() {
    let form = full(Encoding::Raw, 1);
    let begin = || Writer::new(Cursor::new(Vec::new()), &form, 3..5, &BTreeMap::new()).unwrap();
    assert_eq!(Sample::make(&form, 4).put(&mut begin()).unwrap_err().sample(), Some(4));
    let mut short = Sample::make(&form, 3);
    short.pictures[0].0.pop();
    let said = short.put(&mut begin()).unwrap_err().summary();
    assert!(said.contains("column image") && said.contains("215 bytes, not 216"), "{said}");
    let mut writer = begin();
    Sample::make(&form, 3).put(&mut writer).unwrap();
    assert!(writer.end().unwrap_err().summary().contains("4 to 5"));
}

#[test]
fn more_samples_than_a_table_can_list_are_refused_before_any_is_written() {
    let form = form(1, [1, 2, 3]);
    for samples in [0..1 << 31, 0..u64::MAX] {
        let out = Cursor::new(Vec::new());
        let error = Writer::new(out, &form, samples, &BTreeMap::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit);
    }
    let mut large = form;
    large.groups[0].form.height = 1 << 20;
    large.groups[0].form.width = 1 << 20;
    let error = Writer::new(Cursor::new(Vec::new()), &large, 0..1, &BTreeMap::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
}

proptest! {
    #[test]
    fn samples_read_back_whatever_their_form(form in forms(13, "group "), first in any::<u32>(), count in 0_u64..5) {
        let samples = u64::from(first)..u64::from(first) + count;
        let bytes = shard(&form, samples.clone());
        let reader = open(&bytes, &form, samples.clone()).unwrap();
        prop_assert_eq!(reader.len(), count);
        prop_assert_eq!(&reader.metadata().unwrap()["recipe"], "digits");
        for (position, index) in samples.clone().enumerate() {
            let sample = Sample::make(&form, index);
            sample.assert_in(&reader, position as u64);
            let parameters = reader.parameters(position as u64).unwrap();
            prop_assert_eq!(parameters, sample.parameters.as_deref());
        }
        prop_assert!(reader.index(count).is_err());
        prop_assert!(open(&bytes, &form, samples.start..samples.end + 1).is_err());
        prop_assert!(open(&bytes, &form, samples.start + 1..samples.end + 1).is_err() || count == 0);
    }

    #[test]
    fn a_damaged_shard_is_an_error_or_other_bytes_but_no_panic(
        at in any::<prop::sample::Index>(), bytes in any::<[u8; 4]>(), cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let form = full(Encoding::Png, 2);
        let mut damaged = shard(&form, 0..2);
        let index = index_of(&form, &damaged, 2);
        // Numbers of the table are the likeliest to do harm.
        let at = at.index(damaged.len()) % 400;
        damaged[at..at + 4].copy_from_slice(&bytes);
        if cuts {
            damaged.truncate(cut.index(damaged.len()));
        }
        if let Ok(reader) = open(&damaged, &form, 0..2) {
            for position in 0..2 {
                let _ = reader.label(position);
                let _ = reader.parameters(position);
                let _ = reader.latents(position, &mut [0.0; 12]);
                let _ = reader.show(position, &mut Vec::new(), &mut |_, _| Ok(()));
            }
        }
        if let Ok(records) = foreign(&index, &[("a.mds", &damaged)]) {
            let _ = (records.label(1), seen(&records, 1));
        }
    }
}

#[test]
fn a_shard_cut_short_anywhere_is_an_error() {
    let form = full(Encoding::Png, 1);
    let bytes = shard(&form, 0..2);
    for len in 0..bytes.len() {
        assert!(open(&bytes[..len], &form, 0..2).is_err(), "{len} of {}", bytes.len());
    }
}

#[test]
fn a_table_that_points_outside_is_refused() {
    let form = full(Encoding::Raw, 1);
    let good = shard(&form, 0..2);
    let with = |at: usize, word: u32| {
        let mut bytes = good.clone();
        bytes[4 * at..][..4].copy_from_slice(&word.to_le_bytes());
        bytes
    };
    for (bytes, why) in [
        (with(0, u32::MAX), "samples"),
        (with(0, 3), "its table ends at byte"),
        (with(1, 0), "samples begin at byte"),
        (with(1, u32::MAX), "samples begin at byte"),
        (with(3, u32::MAX), "ends at byte"),
        (with(3, 20), "ends at byte"),
    ] {
        let said = open(&bytes, &form, 0..2).unwrap_err().summary();
        assert!(said.starts_with("shard.mds: ") && said.contains(why), "{why}: {said}");
    }
    for word in [0, 17, u32::MAX, good.len() as u32 - 1] {
        let said = open(&with(2, word), &form, 0..2).unwrap_err().summary();
        assert!(said.contains("sample 0 of the shard"), "{word}: {said}");
    }
}

#[test]
fn lengths_that_overflow_a_sample_are_refused() {
    let form = full(Encoding::Png, 3);
    let mut bytes = shard(&form, 0..1);
    let begin = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    bytes[begin..begin + 16].fill(0xff);
    let said = open(&bytes, &form, 0..1).unwrap_err().summary();
    assert!(said.contains("its columns are not its"), "{said}");
}

#[test]
fn a_shard_of_other_columns_or_samples_is_refused() {
    let form = full(Encoding::Raw, 2);
    let bytes = shard(&form, 0..2);
    let mut other = form.clone();
    other.groups[0].form.layout = Layout::Nhwc;
    let said = open(&bytes, &other, 0..2).unwrap_err().summary();
    assert!(said.contains("ndarray:uint8:2,3,9,8") && said.contains("2,9,8,3"), "{said}");
    let said = open(&bytes, &form, 1..3).unwrap_err().summary();
    assert!(said.contains("is not sample 1"), "{said}");
    assert!(open(&bytes, &form, 0..3).unwrap_err().summary().contains("2 samples"));
}

/// A folder of one shard, written here as another tool would: `n` samples of these columns.
fn folder(columns: &[(&str, &str, Option<usize>)], samples: &[&[&[u8]]]) -> (Value, Vec<u8>) {
    let mut table = vec![0_u32; samples.len() + 1];
    let mut data = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        for (value, (.., size)) in sample.iter().zip(columns) {
            if size.is_none() {
                data.extend((value.len() as u32).to_le_bytes());
            }
        }
        data.extend(sample.concat());
        table[at + 1] = data.len() as u32;
    }
    let head = 4 * (samples.len() + 2);
    let mut bytes = (samples.len() as u32).to_le_bytes().to_vec();
    bytes.extend(table.iter().flat_map(|word| (word + head as u32).to_le_bytes()));
    bytes.extend(data);
    let names: Vec<_> = columns.iter().map(|(name, ..)| name).collect();
    let encodings: Vec<_> = columns.iter().map(|(_, encoding, _)| encoding).collect();
    let sizes: Vec<_> = columns.iter().map(|(.., size)| size).collect();
    let shard = json!({
        "column_encodings": encodings, "column_names": names, "column_sizes": sizes,
        "compression": null, "format": "mds", "hashes": [], "samples": samples.len(),
        "raw_data": {"basename": "a.mds", "bytes": bytes.len(), "hashes": {}},
        "size_limit": 1 << 26, "version": 2, "zip_data": null,
    });
    (json!({"shards": [shard], "version": 2}), bytes)
}

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 one";
const COLUMNS: [(&str, &str, Option<usize>); 3] =
    [("class", "int32", Some(4)), ("img", "jpeg", None), ("text", "str", None)];

fn simple() -> (Value, Vec<u8>) {
    folder(&COLUMNS, &[&[&[3, 0, 0, 0], JPEG, b"a"], &[&[0xff; 4], b"\x89PNG\r\n\x1a\n", b""]])
}

#[test]
fn foreign_folders_are_read() {
    let (index, bytes) = simple();
    let records = foreign(&index, &[("a.mds", &bytes)]).unwrap();
    assert_eq!((records.samples(), records.pictures(), records.has_labels()), (0..2, 1, true));
    assert_eq!((records.label(0).unwrap(), records.label(1).unwrap()), (Some(3), Some(-1)));
    assert_eq!(seen(&records, 0).unwrap(), [(JPEG.to_vec(), Form::Jpeg)]);
    assert_eq!(seen(&records, 1).unwrap()[0].1, Form::Png, "by its bytes");
    assert!(records.label(2).is_err() && seen(&records, u64::MAX).is_err());
    let mut two = index.clone();
    let shards = two["shards"].as_array_mut().unwrap();
    shards.push(shards[0].clone());
    let records = foreign(&two, &[("a.mds", &bytes)]).unwrap();
    assert_eq!(records.samples(), 0..4);
    assert_eq!((records.label(2).unwrap(), records.together(0..4)), (Some(3), 2));
    assert_eq!(records.place(3), "a.mds: sample 1 of the shard");
}

#[test]
fn our_own_folders_are_read_without_a_manifest() {
    for encoding in [Encoding::Raw, Encoding::Png] {
        let mut form = full(encoding, 2);
        // Random bytes are no PNG: what matters here is the order of columns.
        form.groups[0].views = 2;
        let bytes = shard(&form, 4..7);
        let records = foreign(&index_of(&form, &bytes, 3), &[("a.mds", &bytes)]);
        if encoding == Encoding::Raw {
            let (records, sample) = (records.unwrap(), Sample::make(&form, 5));
            assert_eq!(records.label(1).unwrap(), sample.label);
            assert_eq!(seen(&records, 1).unwrap(), sample.pictures);
        } else {
            assert!(records.unwrap_err().summary().contains("sample 0 of the shard"));
        }
    }
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let (index, bytes) = simple();
    for name in ["../a.mds", "/etc/passwd", "x/../../a.mds", "", ".", "..\\a.mds", "a\0.mds"] {
        let mut index = index.clone();
        index["shards"][0]["raw_data"]["basename"] = name.into();
        let said = foreign(&index, &[(name, &bytes)]).unwrap_err().summary();
        assert!(said.contains("leaves the folder"), "{name:?}: {said}");
    }
    let mut inside = index;
    inside["shards"][0]["raw_data"]["basename"] = "part-0/a.mds".into();
    foreign(&inside, &[("part-0/a.mds", &bytes)]).unwrap();
}

#[test]
fn compressed_shards_say_how_to_unpack_them() {
    let (mut index, bytes) = simple();
    let zip = json!({"basename": "a.mds.zstd", "bytes": 5, "hashes": {}});
    index["shards"][0]["zip_data"] = zip;
    let error = foreign(&index, &[]).unwrap_err();
    assert!(error.advice().unwrap().contains("zstd -d a.mds.zstd -o a.mds"), "{error}");
    foreign(&index, &[("a.mds", &bytes)]).unwrap();
}

#[test]
fn lists_that_contradict_the_shards_are_refused() {
    let (index, bytes) = simple();
    let said = |change: &dyn Fn(&mut Value)| {
        let mut index = index.clone();
        change(&mut index);
        foreign(&index, &[("a.mds", &bytes)]).unwrap_err().summary()
    };
    let shard = |key: &'static str, value: Value| {
        said(&move |index| index["shards"][0][key] = value.clone())
    };
    assert!(shard("samples", json!(3)).contains("it has 2"));
    assert!(shard("raw_data", json!({"basename": "a.mds", "bytes": 5})).contains("says 5"));
    assert!(shard("format", json!("json")).contains("format \"json\""));
    assert!(shard("version", json!(1)).contains("version 1"));
    assert!(shard("column_sizes", json!([4, null])).contains("2 sizes"));
    assert!(shard("column_sizes", json!([1_u64 << 40, null, null])).contains("a sample"));
    assert!(shard("column_sizes", json!([5, null, null])).contains("its columns are not"));
    assert!(said(&|index| index["version"] = json!(3)).contains("version 3"));
    assert!(said(&|index| index["shards"] = json!([])).contains("no shards"));
    let two = said(&|index| {
        let mut other = index["shards"][0].clone();
        other["column_names"] = json!(["class", "img", "other"]);
        index["shards"].as_array_mut().unwrap().push(other);
    });
    assert!(two.contains("other columns"), "{two}");
    assert!(MdsRecords::from_bytes(b"{}", &mut |_| unreachable!()).is_err());
}

#[test]
fn a_label_column_of_text_is_no_label_and_a_damaged_one_is_named() {
    let columns = [("image", "jpeg", None), ("label", "str_int", None)];
    let (index, bytes) = folder(&columns, &[&[JPEG, b"12"], &[JPEG, b"cat"]]);
    let records = foreign(&index, &[("a.mds", &bytes)]).unwrap();
    assert_eq!(records.label(0).unwrap(), Some(12));
    let said = records.label(1).unwrap_err().summary();
    assert!(said.contains("a.mds: sample 1"), "{said}");
    let text = [("image", "jpeg", None), ("label", "str", None)];
    let (index, bytes) = folder(&text, &[&[JPEG, b"cat"]]);
    assert!(!foreign(&index, &[("a.mds", &bytes)]).unwrap().has_labels());
}
