//! What is written is read; what is missing, changed or a link is an error.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::read::MAX_FILE;
use super::{ImagesReader, create};
use crate::codec::Encoding;
use crate::error::Kind;
use crate::shard::samples::{self, Sample};
use crate::shard::{GroupForm, MappedFile, ShardForm, ShardReader as _};

fn form() -> ShardForm {
    let mut form = samples::form(2, [3, 8, 8]);
    form.encoding = Encoding::WebP;
    form.classes = ["cat", "dog/wolf", "."].map(String::from).to_vec();
    form.latents = Some([2, 3]);
    form.parameters = true;
    let views =
        |name: &str, views| GroupForm { name: name.into(), views, ..form.groups[0].clone() };
    form.groups = vec![views("global", 2), views("local", 1)];
    form
}

fn write(folder: &Path, form: &ShardForm, samples: Range<u64>) -> PathBuf {
    let path = folder.join(format!("images-{:06}.safetensors", samples.start));
    let file = fs::File::create(&path).unwrap();
    let said = BTreeMap::from([("digest".to_owned(), "00".to_owned())]);
    let mut writer = create(folder, file, form, samples.clone(), &said).unwrap();
    for index in samples {
        Sample::make(form, index).put(&mut *writer).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn open(folder: &Path, path: &Path, form: &ShardForm, samples: Range<u64>) -> ImagesReader {
    ImagesReader::open(folder, MappedFile::open(path).unwrap(), form, samples).unwrap()
}

/// Every file below, with its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(tree(&path)),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    files
}

#[test]
fn a_folder_comes_back_and_is_the_same_when_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let form = form();
    let paths = [0..20, 20..33].map(|samples| write(folder.path(), &form, samples));
    let files = tree(folder.path());
    assert_eq!(files.len(), 33 * 3 + 2);
    let names: Vec<_> =
        files.keys().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
    assert!(names.iter().any(|name| name.starts_with("dog_wolf")), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("_")), "{names:?}");

    let readers = [
        open(folder.path(), &paths[0], &form, 0..20),
        open(folder.path(), &paths[1], &form, 20..33),
    ];
    for index in 0..33 {
        let (reader, position) = (&readers[usize::from(index >= 20)], index % 20);
        let sample = Sample::make(&form, index);
        sample.assert_in(reader, position);
        assert_eq!(reader.parameters(position).unwrap(), sample.parameters.as_deref());
        reader.verify(position).unwrap();
    }
    assert_eq!(readers[1].len(), 13);

    // As after an attempt that was killed.
    fs::write(folder.path().join("cat/.000000003-global-0.webp.part"), b"half").unwrap();
    let torn = names.iter().find(|name| name.starts_with("cat")).unwrap();
    fs::write(folder.path().join(torn), b"").unwrap();
    write(folder.path(), &form, 0..20);
    let mut again = tree(folder.path());
    again.retain(|path, _| !path.to_string_lossy().ends_with(".part"));
    assert!(again == files);
}

#[test]
fn samples_without_labels_are_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut form = samples::form(1, [3, 8, 8]);
    (form.labels, form.encoding) = (false, Encoding::Jpeg { quality: 90 });
    let path = write(folder.path(), &form, 7..9);
    assert!(folder.path().join("unlabelled/000000007.jpg").is_file());
    Sample::make(&form, 8).assert_in(&open(folder.path(), &path, &form, 7..9), 1);
}

#[test]
fn raw_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = tempfile::tempfile().unwrap();
    let raw = samples::form(1, [3, 8, 8]);
    let error = create(folder.path(), file, &raw, 0..1, &BTreeMap::new()).unwrap_err();
    assert!(error.advice().unwrap().contains("png"), "{error}");
}

/// A folder, a sample of it, and where its first picture is.
fn one() -> (tempfile::TempDir, ShardForm, ImagesReader, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut form = samples::form(1, [3, 8, 8]);
    form.encoding = Encoding::Png;
    let path = write(folder.path(), &form, 0..5);
    let label = Sample::make(&form, 3).label.unwrap();
    let picture = folder.path().join(format!("{label:04}/000000003.png"));
    assert!(picture.is_file());
    let reader = open(folder.path(), &path, &form, 0..5);
    (folder, form, reader, picture)
}

#[track_caller]
fn refused(reader: &ImagesReader, picture: &Path, phrase: &str) {
    let shown = reader.show(3, &mut Vec::new(), &mut |_, _| unreachable!());
    for error in [shown.unwrap_err(), reader.verify(3).unwrap_err()] {
        assert_eq!((error.kind(), error.sample()), (Kind::Sample, Some(3)));
        let text = error.to_string();
        assert!(text.contains(phrase) && text.contains(picture.to_str().unwrap()), "{text}");
    }
}

#[test]
fn a_missing_image() {
    let (_folder, _, reader, picture) = one();
    fs::remove_file(&picture).unwrap();
    refused(&reader, &picture, "No such file");
}

#[test]
fn an_image_cut_short_or_grown() {
    let (_folder, _, reader, picture) = one();
    let mut bytes = fs::read(&picture).unwrap();
    bytes.push(0);
    fs::write(&picture, &bytes).unwrap();
    refused(&reader, &picture, "as it was written");
    fs::write(&picture, &bytes[..1]).unwrap();
    refused(&reader, &picture, "has 1 bytes, not");
}

#[test]
fn an_image_of_the_same_length_is_found_by_its_hash() {
    let (_folder, _, reader, picture) = one();
    let mut bytes = fs::read(&picture).unwrap();
    bytes[0] ^= 1;
    fs::write(&picture, &bytes).unwrap();
    reader.show(3, &mut Vec::new(), &mut |_, _| Ok(())).unwrap();
    let error = reader.verify(3).unwrap_err();
    assert!(error.to_string().contains("its hash is another"), "{error}");
    reader.verify(2).unwrap();
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere() {
    let (folder, _, reader, picture) = one();
    // The very same bytes, but somewhere else.
    let outside = tempfile::tempdir().unwrap();
    let elsewhere = outside.path().join("file");
    fs::rename(&picture, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &picture).unwrap();
    refused(&reader, &picture, "no regular file");
    fs::remove_file(&picture).unwrap();
    fs::rename(&elsewhere, &picture).unwrap();
    reader.verify(3).unwrap();
    let class = picture.parent().unwrap();
    fs::rename(class, outside.path().join("class")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("class"), class).unwrap();
    refused(&reader, &picture, "is no folder");
    // Nothing is written through one either.
    let file = tempfile::tempfile().unwrap();
    let mut form = samples::form(1, [3, 8, 8]);
    form.encoding = Encoding::Png;
    let mut writer = create(folder.path(), file, &form, 3..5, &BTreeMap::new()).unwrap();
    let error = Sample::make(&form, 3).put(&mut *writer).unwrap_err();
    assert!(error.to_string().contains("is in the way"), "{error}");
}

#[test]
fn a_length_that_no_memory_has() {
    let (folder, form, reader, picture) = one();
    drop(reader);
    let path = folder.path().join("images-000000.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // After the indices and the labels.
    bytes[8 + header + 13 * 8..][..8].copy_from_slice(&(MAX_FILE + 1).to_le_bytes());
    fs::write(&path, bytes).unwrap();
    // It would be there, in full.
    fs::File::options().write(true).open(&picture).unwrap().set_len(MAX_FILE + 1).unwrap();
    let reader = open(folder.path(), &path, &form, 0..5);
    refused(&reader, &picture, "more than");
}

#[test]
fn a_class_that_does_not_exist() {
    let (folder, mut form, reader, _) = one();
    drop(reader);
    form.classes = vec!["only".into()];
    let path = folder.path().join("images-000000.safetensors");
    let reader = open(folder.path(), &path, &form, 0..5);
    let other = (0..5).find(|&i| Sample::make(&samples::form(1, [3, 8, 8]), i).label != Some(0));
    let labels: Vec<_> = (0..5).map(|position| reader.label(position)).collect();
    assert!(labels.iter().any(Result::is_err), "{other:?} {labels:?}");
}
