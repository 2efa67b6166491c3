//! Each kind of data read back, and hostile files refused.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::tempdir;

use super::*;
use crate::codec::{Encoding, Form, Picture, RawForm};
use crate::recipe::{Dtype, Layout};
use crate::shard::npy;

const FORM: RawForm =
    RawForm { channels: 3, height: 2, width: 2, dtype: Dtype::U8, layout: Layout::Nhwc };

fn png(level: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let bytes = &[level; 12];
    Encoding::Png.encode(Picture { bytes, form: Form::Raw(FORM) }, &mut file).unwrap();
    file
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn bytes(records: &dyn Records, index: u64) -> Result<Vec<u8>> {
    let mut seen = Vec::new();
    let mut scratch = Vec::new();
    records.show(index, &mut scratch, &mut |_, picture| {
        seen = picture.bytes.to_vec();
        Ok(())
    })?;
    Ok(seen)
}

fn labels(records: &dyn Records) -> Vec<Option<i64>> {
    records.samples().map(|index| records.label(index).unwrap()).collect()
}

fn refused(path: &Path, word: &str) {
    let error = open(path).unwrap_err();
    assert!(error.to_string().contains(word), "{error}");
}

#[test]
fn a_folder_is_in_the_order_of_bytes_with_a_class_for_each_folder() {
    let root = tempdir().unwrap();
    for (name, level) in
        [("b/2.png", 3), ("b/10.PNG", 2), ("B/x.jpeg", 0), ("b/deep/1.png", 4), ("a/é.png", 1)]
    {
        write(&root.path().join(name), &png(level));
    }
    write(&root.path().join("b/notes.txt"), b"no image");
    let records = FolderRecords::open(root.path()).unwrap();
    assert_eq!(records.classes(), ["B", "a", "b"]);
    assert_eq!(labels(&records), [0, 1, 2, 2, 2].map(Some));
    assert_eq!(records.skipped(), 1);
    for (index, level) in (0..).zip([0, 1, 2, 3, 4]) {
        assert_eq!(bytes(&records, index).unwrap(), png(level));
    }
    assert!(records.place(4).ends_with("b/deep/1.png"));
    assert_eq!(records.label(5).unwrap_err().kind(), Kind::Argument);
}

#[test]
fn a_folder_without_folders_has_no_labels() {
    let root = tempdir().unwrap();
    write(&root.path().join("1.png"), &png(1));
    write(&root.path().join("0.png"), b"GIF89a");
    let records = open(root.path()).unwrap();
    assert!(!records.has_labels());
    assert_eq!(labels(&*records), [None, None]);
    let error = bytes(&*records, 0).unwrap_err();
    assert_eq!(error.kind(), Kind::Sample);
    assert!(error.to_string().contains("0.png"), "{error}");
}

#[test]
fn folders_that_are_half_sorted_or_empty_are_refused() {
    let root = tempdir().unwrap();
    refused(root.path(), "no image");
    write(&root.path().join("1.png"), &png(1));
    write(&root.path().join("a/1.png"), &png(1));
    refused(root.path(), "beside");
    refused(&root.path().join("none"), "cannot read");
    write(&root.path().join("page.html"), b"<html>");
    refused(&root.path().join("page.html"), ".npz");
}

#[test]
fn a_class_without_images_is_refused_and_named() {
    let root = tempdir().unwrap();
    write(&root.path().join("a/1.png"), &png(1));
    write(&root.path().join("c/more/notes.txt"), b"no image");
    fs::create_dir(root.path().join("b")).unwrap();
    refused(root.path(), "class `b` has no image");
    fs::remove_dir(root.path().join("b")).unwrap();
    refused(root.path(), "class `c` has no image");
    // Without classes, other folders are of no account.
    fs::rename(root.path().join("a/1.png"), root.path().join("1.png")).unwrap();
    assert!(!open(root.path()).unwrap().has_labels());
}

fn identity(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    open(path).unwrap().identify(&mut hasher);
    hasher.finalize()
}

#[test]
fn a_file_that_changed_since_it_was_listed_is_an_error_and_another_dataset() {
    let root = tempdir().unwrap();
    let path = root.path().join("a/1.png");
    write(&path, &png(1));
    let (records, before) = (open(root.path()).unwrap(), identity(root.path()));
    assert_eq!(bytes(&*records, 0).unwrap(), png(1));
    let longer = [png(1), vec![0]].concat();
    for other in [&longer[..], &png(1)[1..], b""] {
        write(&path, other);
        let error = bytes(&*records, 0).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.to_string().contains("1.png") && error.to_string().contains("changed"));
        assert_ne!(identity(root.path()), before);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(bytes(&*records, 0).unwrap_err().kind(), Kind::Io);
}

#[test]
fn other_images_or_labels_under_the_same_names_are_another_dataset() {
    let root = tempdir().unwrap();
    let (path, labels) = (root.path().join("x.npy"), root.path().join("labels.npy"));
    write(&path, &array(Dtype::U8, &[2, 1, 2], &[1, 2, 3, 4]));
    write(&labels, &array(Dtype::U8, &[2], &[5, 6]));
    let before = identity(&path);
    assert_eq!(identity(&path), before);
    write(&labels, &array(Dtype::U8, &[2], &[5, 7]));
    let relabelled = identity(&path);
    write(&path, &array(Dtype::U8, &[2, 1, 2], &[1, 2, 3, 5]));
    let all = [before, relabelled, identity(&path)];
    assert!(all[0] != all[1] && all[1] != all[2]);
    let tar = root.path().join("x.tar");
    let archives = [1, 2].map(|level| {
        write(&tar, &archive(&[("a/1.png", &png(level))]));
        (fs::metadata(&tar).unwrap().len(), identity(&tar))
    });
    assert!(archives[0].0 == archives[1].0 && archives[0].1 != archives[1].1);
}

#[cfg(unix)]
#[test]
fn a_link_that_leaves_the_folder_is_refused_and_one_inside_is_read() {
    use std::os::unix::fs::symlink;
    let (root, other) = (tempdir().unwrap(), tempdir().unwrap());
    write(&root.path().join("a/1.png"), &png(1));
    symlink("1.png", root.path().join("a/2.png")).unwrap();
    assert_eq!(open(root.path()).unwrap().samples(), 0..2);
    write(&other.path().join("secret.png"), &png(9));
    symlink(other.path().join("secret.png"), root.path().join("a/3.png")).unwrap();
    refused(root.path(), "3.png");
}

/// The header of a tar's member.
fn header(name: &str, len: usize, kind: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{len:011o}").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in members {
        tar.extend(header(name, bytes.len(), b'0'));
        tar.extend(*bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[test]
fn a_tar_keeps_its_order_and_takes_classes_from_folders() {
    let root = tempdir().unwrap();
    let path = root.path().join("data.tar");
    let (one, two) = (png(1), png(2));
    write(&path, &archive(&[("x/rose/1.png", &one), ("read.me", b"?"), ("x/daisy/2.png", &two)]));
    let records = open(&path).unwrap();
    assert_eq!(records.classes(), ["daisy", "rose"]);
    assert_eq!(labels(&*records), [Some(1), Some(0)]);
    assert_eq!(bytes(&*records, 0).unwrap(), one);
    assert_eq!(bytes(&*records, 1).unwrap(), two);
    assert!(bytes(&*records, 2).is_err());
}

#[test]
fn a_tar_with_hostile_names_or_links_is_refused() {
    let root = tempdir().unwrap();
    let path = root.path().join("data.tar");
    let one = png(1);
    for name in ["/etc/1.png", "a/../../1.png"] {
        write(&path, &archive(&[(name, &one)]));
        refused(&path, "name");
    }
    write(&path, &archive(&[("a/1.png", &one), ("a/1.png", &one)]));
    refused(&path, "twice");
    write(&path, &[header("a/1.png", 0, b'2'), vec![0; 1024]].concat());
    refused(&path, "link");
    write(&path, &header("a/1.png", 1 << 30, b'0'));
    refused(&path, "more than the file");
}

fn idx(magic: u8, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, magic];
    sizes.iter().for_each(|size| file.extend(size.to_be_bytes()));
    file.extend(data);
    file
}

#[test]
fn idx_images_find_their_labels_packed_or_not() {
    let root = tempdir().unwrap();
    let images = idx(3, &[3, 2, 2], &(0..12).collect::<Vec<u8>>());
    let path = root.path().join("train-images-idx3-ubyte");
    write(&path, &images);
    write(&root.path().join("train-labels-idx1-ubyte"), &idx(1, &[3], &[7, 0, 9]));
    for path in [&path, root.path()] {
        let records = open(path).unwrap();
        assert_eq!(labels(&*records), [7, 0, 9].map(Some));
        assert_eq!(bytes(&*records, 2).unwrap(), [8, 9, 10, 11]);
        assert_eq!(records.run(1..3, 0).unwrap().unwrap(), [4, 5, 6, 7, 8, 9, 10, 11]);
    }
    let packed = root.path().join("t10k-images-idx3-ubyte.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &images).unwrap();
    write(&packed, &gzip.finish().unwrap());
    let records = open(&packed).unwrap();
    assert!(!records.has_labels());
    assert_eq!(bytes(&*records, 1).unwrap(), [4, 5, 6, 7]);
}

#[test]
fn idx_of_hostile_sizes_is_refused() {
    let root = tempdir().unwrap();
    let path = root.path().join("x-images-idx3-ubyte");
    write(&path, &idx(3, &[u32::MAX, 28, 28], &[0; 784]));
    refused(&path, "ends before");
    write(&path, &idx(3, &[1, u32::MAX, u32::MAX], &[]));
    refused(&path, "more than is decoded");
    write(&path, &idx(3, &[1, 28], &[]));
    refused(&path, "header");
    write(&path, &idx(1, &[1], &[1]));
    refused(&path, "no IDX");
    write(&path, &idx(3, &[1, 1, 1], &[1]));
    write(&root.path().join("x-labels-idx1-ubyte"), &idx(1, &[2], &[1, 2]));
    refused(&path, "2 labels for 1");
}

fn array(dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
    [npy::header(dtype, shape), data.to_vec()].concat()
}

#[test]
fn numpy_arrays_of_three_shapes_are_read() {
    let root = tempdir().unwrap();
    let path = root.path().join("x.npy");
    let data: Vec<u8> = (0..24).collect();
    let shapes: [(&[usize], RawForm); 3] = [
        (&[2, 3, 4], RawForm { channels: 1, height: 3, width: 4, layout: Layout::Nchw, ..FORM }),
        (&[2, 2, 2, 3], FORM),
        (&[2, 3, 2, 2], RawForm { layout: Layout::Nchw, ..FORM }),
    ];
    for (shape, form) in shapes {
        write(&path, &array(Dtype::U8, shape, &data));
        write(&root.path().join("labels.npy"), &array(Dtype::U8, &[2], &[5, 6]));
        let records = open(&path).unwrap();
        assert_eq!(labels(&*records), [Some(5), Some(6)]);
        records
            .show(1, &mut Vec::new(), &mut |_, picture| {
                assert_eq!(picture, Picture { bytes: &data[12..], form: Form::Raw(form) });
                Ok(())
            })
            .unwrap();
    }
    write(&path, &array(Dtype::U8, &[24], &data));
    refused(&path, "[N, H, W]");
}

#[test]
fn a_numpy_archive_has_images_and_labels() {
    use std::io::Write as _;
    let root = tempdir().unwrap();
    let path = root.path().join("x.npz");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("y.npy", options).unwrap();
    archive.write_all(&array(Dtype::U8, &[2, 1], &[1, 0])).unwrap();
    archive.start_file("x.npy", options).unwrap();
    archive.write_all(&array(Dtype::U8, &[2, 1, 2], &[1, 2, 3, 4])).unwrap();
    archive.finish().unwrap();
    let records = open(&path).unwrap();
    assert_eq!(labels(&*records), [Some(1), Some(0)]);
    assert_eq!(bytes(&*records, 1).unwrap(), [3, 4]);
    write(&path, b"PK\x03\x04 and no more");
    refused(&path, "no NumPy archive");
}

#[test]
fn cifar_has_labels_before_its_images() {
    let root = tempdir().unwrap();
    let image = |label: &[u8], level: u8| [label, &[level; 3072]].concat();
    for batch in 1..=2u8 {
        let file = [image(&[batch], batch), image(&[9], 7)].concat();
        write(&root.path().join(format!("data_batch_{batch}.bin")), &file);
    }
    write(&root.path().join("batches.meta.txt"), "name\n".repeat(10).as_bytes());
    let records = open(root.path()).unwrap();
    assert_eq!(labels(&*records), [1, 9, 2, 9].map(Some));
    assert_eq!(bytes(&*records, 2).unwrap(), [2; 3072]);
    assert_eq!(records.together(0..4), 2);
    assert_eq!(records.classes().len(), 10);
    for names in [1, 9, 11, 100_000] {
        write(&root.path().join("batches.meta.txt"), "name\n".repeat(names).as_bytes());
        refused(root.path(), "does not name each of 10 classes");
    }
    let hundred = root.path().join("test.bin");
    write(&hundred, &image(&[3, 99], 5));
    assert_eq!(labels(&*open(&hundred).unwrap()), [Some(99)]);
    write(&hundred, &image(&[3, 100], 5));
    refused(&hundred, "100 is no label");
    write(&hundred, &[0; 3000]);
    refused(&hundred, "3000 bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn noise_is_an_error_or_data_and_never_a_panic(
        which in 0..4usize,
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let root = tempdir().unwrap();
        let (name, begin): (_, &[u8]) = [
            ("x-images-idx3-ubyte", [0, 0, 8, 3, 0, 0, 0].as_slice()),
            ("x.npy", b"\x93NUMPY\x01\x00\x40\x00{'descr': '|u1', 'shape': ("),
            ("x.npz", b"PK\x05\x06"),
            ("x.tar", b""),
        ][which];
        let path = root.path().join(name);
        write(&path, &[begin, &noise].concat());
        if let Ok(records) = open(&path) {
            for index in records.samples().take(3) {
                drop(bytes(&*records, index));
            }
        }
    }
}
