//! Shards written and read back; foreign tars read; hostile ones refused.

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::write::Writer;
use super::{WebDatasetReader, WebDatasetRecords};
use crate::codec::{Encoding, Form, Picture};
use crate::error::{Error, Kind, Result};
use crate::recipe::Dtype;
use crate::shard::samples::{Sample, form, forms};
use crate::shard::{GroupForm, MappedFile, Records, ShardForm, ShardReader as _};

/// A shard of these samples.
fn shard(form: &ShardForm, samples: Range<u64>) -> Vec<u8> {
    let metadata = BTreeMap::from([("recipe".to_owned(), "digits".to_owned())]);
    let mut writer = Writer::new(Vec::new(), form, samples.clone(), &metadata).unwrap();
    for index in samples {
        Sample::make(form, index).put(&mut writer).unwrap();
    }
    writer.end().unwrap()
}

fn open(bytes: &[u8], form: &ShardForm, samples: Range<u64>) -> Result<WebDatasetReader> {
    let file = MappedFile::from_bytes("shard.tar", bytes.to_vec());
    WebDatasetReader::open(file, form, samples)
}

fn full(encoding: Encoding, views: usize) -> ShardForm {
    let mut form = form(views, [3, 5, 4]);
    form.encoding = encoding;
    form.classes = vec!["a \"quoted\" one".into(), "b".into(), "c".into()];
    form.latents = Some([views, 6]);
    form.parameters = true;
    form
}

/// The names and contents of a tar, as the `tar` crate reads them.
fn contents(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let mut all = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o644, 946_684_800));
        let name = entry.path().unwrap().display().to_string();
        let mut held = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut held).unwrap();
        all.push((name, held));
    }
    all
}

#[test]
fn members_are_named_as_webdataset_names_them() {
    let names = |form: &ShardForm| -> Vec<String> {
        let all = contents(&shard(form, 7..8));
        assert_eq!(all[0].0, "__genset__");
        all[1..].iter().map(|(name, _)| name.strip_prefix("000000007.").unwrap().into()).collect()
    };
    let encoding = Encoding::Jpeg { quality: 90 };
    assert_eq!(names(&full(Encoding::Png, 1)), ["png", "cls", "json", "latent.npy"]);
    assert_eq!(names(&full(encoding, 2)), ["0.jpg", "1.jpg", "cls", "json", "latent.npy"]);
    assert_eq!(names(&full(Encoding::Raw, 2)), ["npy", "cls", "json", "latent.npy"]);
    let mut groups = full(Encoding::WebP, 2);
    groups.groups[0].name = "global".into();
    groups.groups.push(GroupForm { name: "local".into(), views: 1, ..groups.groups[0].clone() });
    groups.latents = None;
    groups.labels = false;
    assert_eq!(names(&groups), ["global.0.webp", "global.1.webp", "local.webp", "json"]);
    groups.encoding = Encoding::Raw;
    assert_eq!(names(&groups), ["global.npy", "local.npy", "json"]);
}

#[test]
fn a_label_an_index_and_parameters_are_there_for_people_too() {
    let form = full(Encoding::Raw, 2);
    let sample = Sample::make(&form, 7);
    let all = contents(&shard(&form, 7..8));
    assert_eq!(all[2].1, sample.label.unwrap().to_string().into_bytes());
    let about: serde_json::Value = serde_json::from_slice(&all[3].1).unwrap();
    assert_eq!(about["index"], 7);
    assert_eq!(about["label"].as_i64(), sample.label);
    let class = usize::try_from(sample.label.unwrap()).unwrap();
    assert_eq!(about["class"], form.classes[class]);
    assert_eq!(about["parameters"].to_string(), sample.parameters.unwrap());
}

#[test]
fn the_same_samples_are_the_same_bytes_and_others_are_not() {
    let form = full(Encoding::Png, 2);
    assert_eq!(shard(&form, 5..9), shard(&form, 5..9));
    assert_ne!(shard(&form, 5..9), shard(&form, 6..10));
    assert_eq!(shard(&form, 5..9).len() % 512, 0);
}

#[test]
fn samples_out_of_order_or_left_out_are_refused() {
    let form = full(Encoding::Raw, 1);
    let mut writer = Writer::new(Vec::new(), &form, 3..5, &BTreeMap::new()).unwrap();
    assert_eq!(Sample::make(&form, 4).put(&mut writer).unwrap_err().sample(), Some(4));
    let mut short = Sample::make(&form, 3);
    short.pictures[0].0.pop();
    short.put(&mut writer).unwrap_err();
    let mut writer = Writer::new(Vec::new(), &form, 3..5, &BTreeMap::new()).unwrap();
    Sample::make(&form, 3).put(&mut writer).unwrap();
    assert!(writer.end().unwrap_err().summary().contains("4 to 5"));
}

#[test]
fn a_group_whose_name_is_a_path_is_refused() {
    for name in ["../up", "a/b", "a.b", "ein Bild", &"x".repeat(200)] {
        let mut form = full(Encoding::Png, 1);
        form.groups[0].name = name.into();
        let error = Writer::new(Vec::new(), &form, 0..1, &BTreeMap::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Argument, "{name}");
    }
    let mut form = full(Encoding::Raw, 1);
    form.groups[0].name = "Latent".into();
    let error = Writer::new(Vec::new(), &form, 0..1, &BTreeMap::new()).unwrap_err();
    assert!(error.summary().contains("KEY.latent.npy"), "{error}");
}

proptest! {
    #[test]
    fn samples_read_back_whatever_their_form(form in forms(4, "group"), first in any::<u32>(), count in 0_u64..5) {
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
        prop_assert!(reader.label(count).is_err() || !form.labels);
        prop_assert!(open(&bytes, &form, samples.start..samples.end + 1).is_err());
        prop_assert!(open(&bytes, &form, samples.start + 1..samples.end + 1).is_err() || count == 0);
    }

    #[test]
    fn a_damaged_shard_is_an_error_or_other_bytes_but_no_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let form = full(Encoding::Raw, 2);
        let mut bytes = shard(&form, 0..2);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(reader) = open(&bytes, &form, 0..2) {
            for position in 0..2 {
                let _ = reader.label(position);
                let _ = reader.latents(position, &mut [0.0; 12]);
                let _ = reader.show(position, &mut Vec::new(), &mut |_, _| Ok(()));
            }
        }
        if let Ok(records) = foreign(vec![bytes]) {
            let _ = seen(&records, 1);
        }
    }
}

#[test]
fn a_shard_cut_short_anywhere_is_an_error() {
    let form = full(Encoding::Png, 1);
    let bytes = shard(&form, 0..2);
    for len in (0..bytes.len() - 512).step_by(64) {
        assert!(open(&bytes[..len], &form, 0..2).is_err(), "{len} of {}", bytes.len());
    }
}

/// Members of a tar of regular files.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn foreign(tars: Vec<Vec<u8>>) -> Result<WebDatasetRecords> {
    let files = tars.into_iter().enumerate();
    let files = files.map(|(at, bytes)| MappedFile::from_bytes(format!("{at}.tar"), bytes));
    WebDatasetRecords::from_files(files.collect())
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

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 one";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n two";

#[test]
fn foreign_tars_are_one_run_of_samples() {
    let long = format!("{}/b.jpg", "folder".repeat(30));
    let first = tar(&[
        ("train/a.JPG", JPEG),
        ("train/a.txt", b"a caption"),
        ("train/a.cls", b"3\n"),
        (&long, PNG),
        (&long.replace("jpg", "cls"), b"4"),
        ("README", b"no sample"),
    ]);
    let second = tar(&[("c.json", b"{}"), ("c.cls", b"-1"), ("c.jpeg", JPEG)]);
    let records = foreign(vec![first, tar(&[]), second]).unwrap();
    assert_eq!((records.samples(), records.pictures(), records.has_labels()), (0..3, 1, true));
    let labels: Vec<_> = (0..3).map(|at| records.label(at).unwrap().unwrap()).collect();
    assert_eq!(labels, [3, 4, -1]);
    assert_eq!(seen(&records, 0).unwrap(), [(JPEG.to_vec(), Form::Jpeg)]);
    assert_eq!(seen(&records, 1).unwrap(), [(PNG.to_vec(), Form::Png)], "by its bytes");
    assert_eq!(seen(&records, 2).unwrap(), [(JPEG.to_vec(), Form::Jpeg)]);
    assert_eq!((records.together(0..3), records.together(1..3), records.together(2..3)), (2, 1, 1));
    assert!(records.place(0).contains("0.tar: member train/a.JPG"), "{}", records.place(0));
    assert!(records.label(3).is_err() && seen(&records, u64::MAX).is_err());
}

#[test]
fn views_and_labels_in_json_are_found() {
    let array = [crate::shard::npy::header(Dtype::U8, &[2, 1, 5, 6]), vec![7; 60]].concat();
    let records = foreign(vec![tar(&[("a.npy", &array), ("a.json", br#"{"label": 2}"#)])]).unwrap();
    assert_eq!((records.pictures(), records.label(0).unwrap()), (2, Some(2)));
    assert_eq!(seen(&records, 0).unwrap().len(), 2);
    let views = foreign(vec![tar(&[("a.1.png", PNG), ("a.0.jpg", JPEG)])]).unwrap();
    let forms: Vec<_> = seen(&views, 0).unwrap().into_iter().map(|(_, form)| form).collect();
    assert_eq!((forms, views.has_labels()), (vec![Form::Jpeg, Form::Png], false));
}

#[test]
fn our_own_shards_are_webdatasets_too() {
    let mut form = full(Encoding::Raw, 2);
    form.groups[0].form.height = 9;
    form.groups[0].form.width = 8;
    let records = foreign(vec![shard(&form, 4..7)]).unwrap();
    assert_eq!((records.samples(), records.pictures()), (0..3, 2));
    let sample = Sample::make(&form, 5);
    assert_eq!(records.label(1).unwrap(), sample.label);
    assert_eq!(seen(&records, 1).unwrap(), sample.pictures);
}

#[test]
fn what_a_dataset_is_follows_from_names_and_sizes() {
    let identity = |records: &WebDatasetRecords| {
        let mut hasher = blake3::Hasher::new();
        records.identify(&mut hasher);
        hasher.finalize()
    };
    let one = || tar(&[("a.jpg", JPEG)]);
    let records = foreign(vec![one(), one()]).unwrap();
    assert_eq!(identity(&records), identity(&foreign(vec![one(), one()]).unwrap()));
    assert_ne!(identity(&records), identity(&foreign(vec![one()]).unwrap()));
}

/// What is said of a tar that is refused; names the tar.
fn refused(bytes: Vec<u8>) -> Error {
    let error = foreign(vec![bytes]).unwrap_err();
    assert!(error.summary().starts_with("0.tar: "), "{error}");
    error
}

/// A tar of one sample whose second header is changed.
fn changed(change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut bytes = tar(&[("a.jpg", JPEG), ("a.cls", b"1")]);
    let mut header = Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&bytes[1024..1536]);
    change(&mut header);
    header.set_cksum();
    bytes[1024..1536].copy_from_slice(header.as_bytes());
    bytes
}

#[test]
fn links_sparse_files_and_devices_are_refused() {
    for (kind, what) in [
        (EntryType::Symlink, "a link"),
        (EntryType::Link, "a link"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::Fifo, "a device"),
        (EntryType::new(b'Z'), "of a kind"),
    ] {
        let said = refused(changed(|header| header.set_entry_type(kind))).summary();
        assert!(said.contains("a.cls") && said.contains(what), "{said}");
    }
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("GNU.sparse.major", &b"1"[..])]).unwrap();
    let said = refused(builder.into_inner().unwrap()).summary();
    assert!(said.contains("sparse"), "{said}");
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let named = |name: &str| {
        refused(changed(|header| {
            let field = &mut header.as_old_mut().name;
            field.fill(0);
            field[..name.len()].copy_from_slice(name.as_bytes());
        }))
        .summary()
    };
    for (name, why) in [
        ("/etc/a.cls", "absolute"),
        (".//a.cls", "absolute"),
        ("../a.cls", "leaves"),
        ("a/../../a.cls", "leaves"),
        ("./", "folder that holds bytes"),
    ] {
        let said = named(name);
        assert!(said.contains(why), "{name}: {said}");
    }
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("path", &b"/etc/passwd.jpg"[..])]).unwrap();
    let mut header = Header::new_ustar();
    header.set_size(0);
    header.set_path("a.jpg").unwrap();
    header.set_cksum();
    builder.append(&header, &[][..]).unwrap();
    let said = refused(builder.into_inner().unwrap()).summary();
    assert!(said.contains("passwd") && said.contains("absolute"), "{said}");
}

#[test]
fn a_dot_before_a_name_is_passed_over() {
    let records = foreign(vec![changed(|header| {
        header.as_old_mut().name[..7].copy_from_slice(b"./a.cls");
    })]);
    assert_eq!(records.unwrap().label(0).unwrap(), Some(1));
}

#[test]
fn sizes_beyond_the_file_are_refused() {
    let said = refused(changed(|header| header.set_size(1 << 20))).summary();
    assert!(said.contains("more than the file"), "{said}");
    let said = refused(changed(|header| header.set_size(u64::MAX))).summary();
    assert!(said.contains("more than the file"), "{said}");
    // A number of base 256 whose lowest eight bytes are a small one.
    let said = refused(changed(|header| {
        header.as_old_mut().size = [0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    }));
    assert!(said.summary().contains("no file has"), "{said}");
    let said = refused(changed(|header| header.as_old_mut().size = *b"999999999999")).summary();
    assert!(said.contains("no number"), "{said}");
}

#[test]
fn wrong_checksums_and_files_that_are_no_tar_are_refused() {
    let mut bytes = tar(&[("a.jpg", JPEG)]);
    bytes[0] ^= 1;
    assert!(refused(bytes).summary().contains("checksum"));
    let error = refused([&b"\x1f\x8b"[..], &[7; 2000]].concat());
    assert!(error.advice().unwrap().contains(".gz"), "{error}");
}

#[test]
fn a_member_written_twice_is_refused() {
    for twice in ["a.cls", "a.CLS"] {
        let said = refused(tar(&[("a.jpg", JPEG), ("a.cls", b"1"), (twice, b"2")])).summary();
        assert!(said.contains(twice) && said.contains("twice"), "{said}");
    }
}

#[test]
fn a_second_archive_behind_the_end_is_refused() {
    let one = tar(&[("a.jpg", JPEG)]);
    let said = refused([one.clone(), one].concat()).summary();
    assert!(said.contains("after the mark of its end"), "{said}");
}

#[test]
fn a_pax_header_that_lies_about_its_length_is_refused() {
    for record in
        ["9999 path=a.jpg\n", "5 path=a.jpg\n", "x path=a\n", "16 path=aaa.jpg ", "+8 a=b\n"]
    {
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_size(record.len() as u64);
        header.set_path("pax").unwrap();
        header.set_cksum();
        builder.append(&header, record.as_bytes()).unwrap();
        let said = refused(builder.into_inner().unwrap()).summary();
        assert!(said.contains("pax"), "{record}: {said}");
    }
}

#[test]
fn a_long_name_of_megabytes_is_refused() {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(5 << 20);
    header.set_cksum();
    builder.append(&header, &vec![b'a'; 5 << 20][..]).unwrap();
    assert_eq!(refused(builder.into_inner().unwrap()).kind(), Kind::Limit);
}

#[test]
fn samples_unlike_the_first_are_named() {
    let said = |members: &[(&str, &[u8])]| refused(tar(members)).summary();
    let missing = said(&[("a.jpg", JPEG), ("a.cls", b"1"), ("b.jpg", JPEG)]);
    assert!(missing.contains("sample b") && missing.contains("`cls`"), "{missing}");
    let none = said(&[("a.jpg", JPEG), ("b.txt", b"x")]);
    assert!(none.contains("sample b") && none.contains("no picture"), "{none}");
    let two = said(&[("a.jpg", JPEG), ("a.png", PNG)]);
    assert!(two.contains("two pictures"), "{two}");
    assert!(said(&[("a.gif", b"GIF89a")]).contains("no picture"));
    assert!(said(&[("a.npy", b"\x93NUMPY")]).contains("NumPy"));
    let error = foreign(vec![tar(&[("README", b"x")])]).unwrap_err();
    assert!(error.summary().contains("no sample in 0.tar"), "{error}");
    let label = foreign(vec![tar(&[("a.jpg", JPEG), ("a.cls", b"cat")])]).unwrap();
    let said = label.label(0).unwrap_err().summary();
    assert!(said.contains("member a.cls") && said.contains("\"cat\""), "{said}");
}

#[test]
fn a_folder_a_file_and_braces_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    std::fs::write(name("s-1.tar"), tar(&[("b.jpg", JPEG)])).unwrap();
    std::fs::write(name("s-0.tar"), tar(&[("a.jpg", PNG)])).unwrap();
    std::fs::write(name("notes.txt"), b"x").unwrap();
    for (path, count) in [(folder.path(), 2), (&name("s-{0..1}.tar"), 2), (&name("s-1.tar"), 1)] {
        let records = WebDatasetRecords::open(path).unwrap();
        assert_eq!(records.samples(), 0..count, "{}", path.display());
    }
    let records = WebDatasetRecords::open(folder.path()).unwrap();
    assert_eq!(seen(&records, 0).unwrap()[0].1, Form::Png, "in the order of names");
    let error = WebDatasetRecords::open(&name("s-{0..2}.tar")).unwrap_err();
    assert!(error.summary().contains("s-2.tar"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert!(WebDatasetRecords::open(empty.path()).unwrap_err().summary().contains("no tar files"));
}
