//! Real data: files of IDX, NumPy and CIFAR, and tar files of images.

use std::io::{Cursor, Write as _};
use std::sync::LazyLock;

use genset::shard::MappedFile;
use genset::source;

use super::change::{choose, halves, resealed};
use super::{pictures, walk};

/// Opens a file and what lies beside it, and asks for everything.
fn open(name: &str, bytes: Vec<u8>, beside: Option<Vec<u8>>, must: bool) {
    let beside = beside.map(|bytes| MappedFile::from_bytes("beside", bytes));
    let opened = source::from_files(MappedFile::from_bytes(name, bytes), beside);
    assert!(opened.is_ok() || !must, "a valid {name} was refused: {opened:?}");
    if let Ok(records) = opened {
        walk::records(&*records);
    }
}

/// What lies beside a file: something of `valid` with changes, or nothing.
fn beside(input: &[u8], valid: &[Vec<u8>]) -> Option<(usize, Vec<u8>)> {
    choose(input, valid).filter(|_| !input.starts_with(&[0xff]))
}

/// Images and labels, with labels and without, packed and not.
pub fn idx(input: &[u8]) {
    let valid = |magic: u8, sizes: &[u32], data: &[u8]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        [&[0, 0, 8, magic][..], &sizes, data].concat()
    };
    let images = valid(3, &[3, 2, 2], &[7; 12]);
    let labels = [valid(1, &[3], &[7, 0, 9])];
    let files = [images.clone(), images, gzip(&valid(3, &[3, 2, 2], &[7; 12]))];
    let (first, second) = halves(input);
    let Some((choice, mut file)) = choose(first, &files) else { return };
    let unchanged = file == files[choice];
    // What is changed lies inside of what is packed, or is what is packed.
    if choice == 1 {
        file = gzip(&file);
    }
    match beside(second, &labels) {
        Some((_, beside)) => {
            let must = unchanged && beside == labels[0];
            let beside = if choice == 1 { gzip(&beside) } else { beside };
            open("x-images-idx3-ubyte", file, Some(beside), must);
        }
        None => open("x-images-idx3-ubyte.gz", file, None, unchanged),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).and_then(|()| gzip.finish()).expect("memory to write to")
}

/// An array as NumPy writes it.
fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let len = u16::try_from(text.len()).expect("a short header").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), data].concat()
}

/// Arrays in an archive.
fn npz(members: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        archive.start_file(*name, options).expect("a member");
        archive.write_all(bytes).expect("a member");
    }
    archive.finish().expect("an archive").into_inner()
}

/// Arrays of images and of labels, alone and in archives.
pub fn numpy(input: &[u8]) {
    static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let (images, labels) = (npy("|u1", "(2, 2, 3)", &[5; 12]), npy("<i8", "(2,)", &[0; 16]));
        let members = [("x.npy", &images[..]), ("y.npy", &labels)];
        vec![
            images.clone(),
            npy("<f4", "(2, 1, 2, 3)", &[0; 48]),
            npy("<f2", "(2, 2, 1, 3)", &[0; 24]),
            npz(&members, zip::CompressionMethod::Stored),
            npz(&members, zip::CompressionMethod::Deflated),
        ]
    });
    static LABELS: LazyLock<Vec<Vec<u8>>> =
        LazyLock::new(|| vec![npy("<i8", "(2,)", &[0; 16]), npy("|u1", "(2, 1)", &[1, 0])]);
    let (first, second) = halves(input);
    let Some((choice, file)) = choose(first, &FILES) else { return };
    let beside = beside(second, &LABELS);
    let valid = beside.as_ref().is_none_or(|(choice, beside)| *beside == LABELS[*choice]);
    let must = file == FILES[choice] && valid;
    let name = if choice < 3 { "x.npy" } else { "x.npz" };
    open(name, file, beside.map(|(_, beside)| beside), must);
}

/// A batch of CIFAR-10 or the images of CIFAR-100, with names of classes and without.
pub fn cifar(input: &[u8]) {
    static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let image = |labels: &[u8]| [labels, &[7; 3072]].concat();
        vec![[image(&[1]), image(&[9])].concat(), [image(&[3, 1]), image(&[19, 99])].concat()]
    });
    static NAMES: LazyLock<Vec<Vec<u8>>> =
        LazyLock::new(|| [10, 100].map(|count| b"name\n".repeat(count)).to_vec());
    let (first, second) = halves(input);
    let Some((choice, file)) = choose(first, &FILES) else { return };
    let beside = beside(second, &NAMES);
    let valid = beside.as_ref().is_none_or(|(_, beside)| *beside == NAMES[choice]);
    let must = file == FILES[choice] && valid;
    let name = ["data_batch_1.bin", "train.bin"][choice];
    open(name, file, beside.map(|(_, beside)| beside), must);
}

/// Images in a tar, in folders and not, under short names and long ones.
pub fn tar(input: &[u8]) {
    static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let images = pictures::files(1);
        let long = format!("{}/1.png", "rose".repeat(40));
        [
            ["a/1.jpg", "a/2.png", "b/3.webp"],
            ["1.jpg", "2.png", "3.webp"],
            ["b/1.jpg", &long, "c/3.webp"],
        ]
        .map(|names| {
            let mut archive = ::tar::Builder::new(Vec::new());
            for (name, image) in names.iter().zip(&images) {
                let mut header = ::tar::Header::new_gnu();
                header.set_size(image.len() as u64);
                header.set_mode(0o644);
                archive.append_data(&mut header, name, &image[..]).expect("a member");
            }
            archive.into_inner().expect("an archive")
        })
        .to_vec()
    });
    let Some((choice, file)) = choose(input, &FILES) else { return };
    let must = file == FILES[choice];
    open("x.tar", resealed(file), None, must);
}
